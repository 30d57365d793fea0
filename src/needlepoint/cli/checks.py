"""What doctor looks at: packages, extras, the built-in model, settings, the library."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from needlepoint import __version__
from needlepoint.cli.door import Door
from needlepoint.errors import (
    EXIT_HITS,
    EXIT_LIBRARY,
    EXIT_MODEL,
    LibraryMissing,
    NeedlepointError,
)

_NEEDED = ("numpy", "onnxruntime", "pillow", "click", "rich", "lark", "tokenizers", "watchfiles")
_EXTRAS = {
    "torch": ("torch", "open-clip-torch", "transformers", "safetensors"),
    "heif": ("pillow-heif",),
    "raw": ("rawpy",),
    "pandas": ("pandas",),
    "chat": ("openai", "jsonschema"),
}
_GIVES = {
    "torch": "CLIP, SigLIP, DINO encoders",
    "heif": "HEIC pictures",
    "raw": "camera raw pictures",
    "pandas": "results as data frames",
    "chat": "chat models in conversations",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: ``state``, what was found and the command that changes it."""

    name: str
    state: Literal["ok", "optional", "problem"]
    told: str
    fix: str = ""
    exit_code: int = EXIT_HITS

    def to_dict(self) -> dict[str, Any]:
        """Fields ready for JSON."""
        return asdict(self)


def run_checks(door: Door) -> list[Check]:
    """All findings, in order of display."""
    return [
        Check("needlepoint", "ok", f"{__version__}, Python {platform.python_version()}"),
        *_packages(),
        _formats(),
        _model(),
        *_settings(door),
        _chat(door),
        *_library(door),
    ]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Check]:
    missing = [name for name in _NEEDED if _version(name) is None]
    if missing:
        fix = f"{sys.executable} -m pip install --force-reinstall needlepoint"
        told = f"missing: {', '.join(missing)}"
        yield Check("packages", "problem", told, fix, EXIT_MODEL)
    else:
        told = ", ".join(f"{name} {_version(name)}" for name in _NEEDED[:3])
        yield Check("packages", "ok", told)
    for extra, names in _EXTRAS.items():
        missing = [name for name in names if _version(name) is None]
        told = ", ".join(f"{name} {_version(name) or 'missing'}" for name in names)
        fix = f"{sys.executable} -m pip install 'needlepoint[{extra}]'" if missing else ""
        state: Literal["ok", "optional"] = "optional" if missing else "ok"
        yield Check(f"extra {extra} ({_GIVES[extra]})", state, told, fix)


def _formats() -> Check:
    from PIL import features

    names = {"jpg": "JPEG", "zlib": "PNG", "webp": "WebP", "libtiff": "TIFF", "avif": "AVIF"}
    have = [name for key, name in names.items() if features.check(key)]
    lack = [name for key, name in names.items() if not features.check(key)]
    told = f"{', '.join(have)}" + (f"; not {', '.join(lack)}" if lack else "")
    fix = f"{sys.executable} -m pip install --upgrade pillow" if lack else ""
    return Check("picture formats", "optional" if lack else "ok", told, fix)


def _model() -> Check:
    from needlepoint.encoders.address import open_encoder

    try:
        card = open_encoder("builtin").card
    except Exception as error:  # whatever a broken installation raises is the finding
        fix = f"{sys.executable} -m pip install --force-reinstall needlepoint"
        return Check("built-in model", "problem", str(error), fix, EXIT_MODEL)
    return Check("built-in model", "ok", f"{card.title}, {card.size_mb:.0f} MB, {card.licence}")


def _settings(door: Door) -> Iterator[Check]:
    if door.settings["offline"]:
        told = "no network is used (offline is set)"
        yield Check("network", "ok", told)
    for warning in door.settings.warnings:
        yield Check("settings", "optional", warning, "needlepoint config show --origin")


def _chat(door: Door) -> Check:
    """Whether the chat model that is set answers; without one conversations work as well."""
    from needlepoint.outside.endpoint import Endpoint
    from needlepoint.outside.openai_chat import OpenAIChat

    setting = door.settings["chat"]
    if setting is None:
        return Check("chat model", "ok", "none is set; conversations go by plain feedback")
    try:
        endpoint = Endpoint.parse(setting, seconds=5.0)
        names = OpenAIChat(endpoint).models()
    except NeedlepointError as error:
        return Check("chat model", "optional", str(error), "needlepoint config show --origin")
    if endpoint.model not in names:
        told = f"{setting}: the server has no such model, but {', '.join(names[:5]) or 'none'}"
        return Check("chat model", "optional", told, "needlepoint config show --origin")
    return Check("chat model", "ok", f"{setting} answers")


def _library(door: Door) -> Iterator[Check]:
    path = door.library_path
    try:
        with door.open(read_only=True) as library:
            info = library.info()
    except LibraryMissing:
        fix = "needlepoint index YOUR_PICTURES"
        yield Check("library", "optional", f"none yet at {path}", fix)
        return
    except NeedlepointError as error:
        yield Check("library", "problem", str(error), "", EXIT_LIBRARY)
        return
    yield _sound(path)
    counts = f"{info.get('pictures', 0):,} pictures, {info.get('skipped', 0):,} unreadable"
    yield Check("library", "ok", f"{path}: {counts}")
    if info.get("unfinished"):
        fix = "needlepoint index"
        yield Check("indexing", "optional", "an indexing run was interrupted", fix)
    free = shutil.disk_usage(path).free
    if free < 1_000_000_000:
        told = f"only {free / 1e6:.0f} MB free beside the library"
        yield Check("disk", "problem", told, "free some space, or needlepoint gc", EXIT_LIBRARY)


def _sound(path: Path) -> Check:
    """SQLite's own examination of the file, which only reads."""
    import sqlite3

    found = "no database file"
    try:
        address = (path / "library.sqlite3").absolute().as_uri()
        connection = sqlite3.connect(f"{address}?mode=ro", uri=True)
        try:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        found = str(error)
    if found == "ok":
        return Check("database", "ok", "SQLite finds no damage")
    fix = "restore the library from a snapshot, or index again into another --library"
    return Check("database", "problem", f"damaged: {found}", fix, EXIT_LIBRARY)
