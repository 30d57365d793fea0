"""Rewriting OBJ and MTL files so that a strict reader takes them.

Model collections were written by many programs: material names with spaces or only digits,
textures at places on somebody's disk, faces of two corners, stray tokens.
"""

from __future__ import annotations

from pathlib import Path

_SURFACE = {"Ka": 3, "Kd": 3, "Ks": 3, "Ns": 1, "d": 1}


def tidy(path: Path) -> Path:
    """Write ``tidy.obj`` and ``tidy.mtl`` beside an OBJ file; returns the new OBJ's path.

    Args:
        path: an OBJ file with its materials and textures in the same folder.

    Returns:
        The path of the rewritten file: vertices, faces of at least three corners and materials
        only, every used material defined, textures only when they exist.
    """
    renamed: dict[str, str] = {}
    libraries: list[str] = []
    body: list[str] = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            word, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if word in {"v", "vt", "vn"}:
                body.append(f"{word} {rest}")
            elif word == "f" and len(rest.split()) >= 3:
                body.append(f"f {rest}")
            elif word == "usemtl":
                body.append(f"usemtl {renamed.setdefault(rest, f'm{len(renamed)}')}")
            elif word == "mtllib":
                libraries.append(rest)
    defined = _materials(path.parent, libraries or [path.with_suffix(".mtl").name])
    materials = []
    for name, new in renamed.items():
        materials += [f"newmtl {new}", *defined.get(name, ["Kd 0.7 0.7 0.7"]), ""]
    target = path.parent / "tidy.obj"
    target.with_suffix(".mtl").write_text("\n".join(materials) + "\n", encoding="utf-8")
    target.write_text("mtllib tidy.mtl\n" + "\n".join(body) + "\n", encoding="utf-8")
    return target


def _materials(folder: Path, libraries: list[str]) -> dict[str, list[str]]:
    textures = {item.name.lower(): item.name for item in folder.iterdir()}
    defined: dict[str, list[str]] = {}
    rows: list[str] = []
    for library in libraries:
        source = folder / textures.get(library.lower(), library)
        if not source.is_file():
            continue
        for line in source.read_text(encoding="utf-8", errors="replace").splitlines():
            word, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if word == "newmtl":
                rows = defined.setdefault(rest, [])
            elif word in _SURFACE:
                values = _numbers(rest)
                if len(values) >= _SURFACE[word]:
                    rows.append(f"{word} {' '.join(values[: _SURFACE[word]])}")
            elif word == "map_Kd" and rest:
                name = rest.replace("\\", "/").split("/")[-1].lower()
                name = name if name in textures else name.split()[-1]
                if name in textures:
                    rows.append(f"map_Kd {textures[name]}")
    return defined


def _numbers(text: str) -> list[str]:
    kept = []
    for token in text.split():
        try:
            float(token)
        except ValueError:
            break
        kept.append(token)
    return kept
