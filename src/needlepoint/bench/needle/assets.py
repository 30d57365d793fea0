"""Finding the stamps, 3-D models and photographs that scenes are made of.

Nothing is downloaded: the materials come from Debian packages or from folders the caller names.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path, PurePosixPath

from needlepoint.bench.needle.families import SPLITS, clean_name, deal, families, split_of
from needlepoint.errors import UsageError

STAMPS = "usr/share/tuxpaint/stamps"
MODELS = "usr/share/sweethome3d/furniture"
_UNFIT_CATEGORIES = frozenset({"Doors and windows", "Staircases"})
_UNFIT_FAMILIES = frozenset({"plug", "switch"})
_MODEL_LICENCES = {
    "BlendSwap-CC-0": "CC0-1.0",
    "BlendSwap-CC-BY": "CC-BY-3.0",
    "KatorLegaz": "CC-BY-3.0-US",
    "Reallusion": "CC-BY-3.0-US",
    "Scopia": "CC-BY-3.0",
}


@dataclass(frozen=True)
class Stamp:
    """A photographed (or drawn) thing with its transparent surroundings cut away."""

    object_id: str
    name: str
    caption: str
    family: str
    split: str
    photo: bool
    path: Path
    licence: str


@dataclass(frozen=True)
class Model:
    """A named 3-D model inside a catalogue archive (or an unpacked folder of one).

    ``rotation`` (nine numbers, row by row) stands it upright; ``size_cm`` is its real width,
    height and depth.
    """

    object_id: str
    name: str
    caption: str
    family: str
    split: str
    category: str
    archive: Path
    member: str
    rotation: tuple[float, ...] | None
    size_cm: tuple[float, float, float]
    licence: str


@dataclass(frozen=True)
class Background:
    """A photograph to put things on."""

    name: str
    split: str
    path: Path
    licence: str


@dataclass(frozen=True)
class Assets:
    """The materials that were found; ``of`` keeps one split of each."""

    stamps: tuple[Stamp, ...] = ()
    models: tuple[Model, ...] = ()
    backgrounds: tuple[Background, ...] = ()

    def of(self, split: str) -> Assets:
        """Only what belongs to ``split``; raises ``UsageError`` for an unknown one."""
        if split not in SPLITS:
            raise UsageError(f"split={split!r} is not known (allowed: {', '.join(SPLITS)})")
        return Assets(
            stamps=tuple(row for row in self.stamps if row.split == split),
            models=tuple(row for row in self.models if row.split == split),
            backgrounds=tuple(row for row in self.backgrounds if row.split == split),
        )


def find_assets(
    roots: Sequence[str | Path] = ("/",),
    *,
    need: Sequence[str] = ("stamps", "models", "backgrounds"),
    photographs: Sequence[str | Path] = (),
) -> Assets:
    """Look for the materials below one or several roots of a file system.

    Args:
        roots: folders that hold a ``usr/share`` (``/`` for installed packages, or the folder into
            which packages were unpacked with ``dpkg -x``).
        need: which kinds must be there: ``stamps``, ``models``, ``backgrounds``.
        photographs: further folders of photographs to use as backgrounds (licence unknown).

    Returns:
        All materials with their split; ordered by id or name.

    Raises:
        UsageError: a needed kind is missing; the message names the Debian package to install.
    """
    folders = [Path(root) for root in roots]
    stamps = [root / STAMPS for root in folders]
    archives = [sorted((root / MODELS).glob("*.sh3f")) for root in folders]
    found = Assets(
        stamps=tuple(stamps_in(next(filter(Path.is_dir, stamps), stamps[0]))),
        models=tuple(models_in(next(filter(None, archives), []))),
        backgrounds=backgrounds_in(folders, photographs),
    )
    packages = {
        "stamps": (found.stamps, "tuxpaint-stamps-default"),
        "models": (found.models, "sweethome3d-furniture"),
        "backgrounds": (found.backgrounds, "mate-backgrounds plasma-workspace-wallpapers"),
    }
    for kind in need:
        rows, package = packages[kind]
        if not rows:
            raise UsageError(
                f"roots={[str(root) for root in roots]} hold no {kind}; install them with "
                f"`apt-get install {package}` or name the folder they were unpacked into"
            )
    return found


def stamps_in(folder: Path) -> list[Stamp]:
    """Every stamp (PNG with a caption file beside it) below ``folder``, symbols left out."""
    listed = resources.files("needlepoint.bench.needle").joinpath("photo_stamps.txt")
    photos = set(listed.read_text(encoding="utf-8").splitlines())
    rows: list[tuple[str, Path, str]] = []
    for path in sorted(folder.rglob("*.png")):
        object_id = path.relative_to(folder).as_posix()
        words = path.with_suffix(".txt")
        if object_id.startswith("symbols/") or path.stem.endswith("_mirror") or not words.is_file():
            continue
        with words.open(encoding="utf-8", errors="replace") as lines:
            rows.append((object_id, path, lines.readline().strip()))
    names = [clean_name(caption) for _, _, caption in rows]
    labels = families(names, [path.stem for _, path, _ in rows])
    return [
        Stamp(
            object_id=object_id.removesuffix(".png"),
            name=name,
            caption=caption,
            family=family,
            split=split_of(family),
            photo=object_id in photos,
            path=path,
            licence="GPL-2.0-or-later",
        )
        for (object_id, path, caption), name, family in zip(rows, names, labels, strict=True)
    ]


def models_in(archives: Sequence[Path]) -> list[Model]:
    """Every named model of Sweet Home 3D catalogue archives, doors, windows and sockets left out.

    Args:
        archives: ``.sh3f`` files (zip), or folders with the same content.

    Returns:
        The models, ordered by archive and place in the catalogue.
    """
    rows: list[tuple[Path, dict[str, str]]] = []
    for archive in archives:
        entries: dict[int, dict[str, str]] = {}
        for line in _catalogue(archive).splitlines():
            match = re.match(r"(\w+)#(\d+)\s*=\s*(.*)", line.strip())
            if match:
                entries.setdefault(int(match[2]), {})[match[1]] = match[3]
        rows += [(archive, entry) for entry in entries.values() if _fit(entry)]
    names = [clean_name(entry["name"]) for _, entry in rows]
    labels = families(names, [PurePosixPath(entry["model"]).parent.name for _, entry in rows])
    found = []
    for (archive, entry), name, family in zip(rows, names, labels, strict=True):
        member = entry["model"].lstrip("/")
        turn = entry.get("modelRotation", "").split()
        if family in _UNFIT_FAMILIES:
            continue
        found.append(
            Model(
                object_id=f"{archive.stem}/{PurePosixPath(member).stem}",
                name=name,
                caption=entry["name"],
                family=family,
                split=split_of(family),
                category=entry.get("category", ""),
                archive=archive,
                member=member,
                rotation=tuple(float(value) for value in turn) if len(turn) == 9 else None,
                size_cm=(
                    float(entry.get("width", "50")),
                    float(entry.get("height", "50")),
                    float(entry.get("depth", "50")),
                ),
                licence=_MODEL_LICENCES.get(archive.stem, "see the archive"),
            )
        )
    return _distinct(found)


def backgrounds_in(
    roots: Sequence[Path], extra: Sequence[str | Path] = ()
) -> tuple[Background, ...]:
    """The photographs of the packaged list that exist below the roots, and those of ``extra``.

    The packaged list is dealt evenly to the splits by the hash of each name, whatever is
    installed; photographs in ``extra`` folders are dealt among themselves.
    """
    table = resources.files("needlepoint.bench.needle").joinpath("backgrounds.txt")
    lines = [
        [*line.split("|"), ""][:4]
        for line in table.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    dealt = deal([name for name, *_, split in lines if not split])
    dealt |= {name: split for name, *_, split in lines if split}
    found = []
    for name, place, licence, _ in lines:
        paths = [root / place for root in roots if (root / place).is_file()]
        if paths:
            found.append(Background(name, dealt[name], paths[0], licence))
    own = sorted(
        path
        for folder in extra
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
    )
    own_split = deal([path.name for path in own])
    found += [Background(path.name, own_split[path.name], path, "unknown") for path in own]
    return tuple(found)


def unpack(model: Model, folder: Path) -> Path:
    """Unpack a model's folder (OBJ, MTL, textures) below ``folder``; return the OBJ's path.

    A model in an already unpacked catalogue is used where it lies.
    """
    if model.archive.is_dir():
        return model.archive / model.member
    target = folder / model.archive.stem
    home = PurePosixPath(model.member).parent.as_posix() + "/"
    with zipfile.ZipFile(model.archive) as bundle:
        for info in bundle.infolist():
            if info.filename.startswith(home) and not (target / info.filename).exists():
                bundle.extract(info, target)
    return target / model.member


def _catalogue(archive: Path) -> str:
    name = "PluginFurnitureCatalog.properties"
    if archive.is_dir():
        return (archive / name).read_text(encoding="latin-1")
    with zipfile.ZipFile(archive) as bundle:
        return bundle.read(name).decode("latin-1")


def _fit(entry: dict[str, str]) -> bool:
    return (
        "model" in entry
        and entry["model"].lower().endswith(".obj")
        and entry.get("doorOrWindow", "false") != "true"
        and entry.get("category") not in _UNFIT_CATEGORIES
    )


def _distinct(models: Sequence[Model]) -> list[Model]:
    seen: dict[str, int] = {}
    rows = []
    for model in models:
        seen[model.object_id] = seen.get(model.object_id, 0) + 1
        again = seen[model.object_id]
        rows.append(model if again == 1 else replace(model, object_id=f"{model.object_id}~{again}"))
    return rows
