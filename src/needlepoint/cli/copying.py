"""Copying the pictures of an answer into a folder, never over anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from needlepoint.errors import UsageError
from needlepoint.results import Hit


def copy_hits(hits: Sequence[Hit], folder: str) -> tuple[int, list[str]]:
    """Copy pictures as ``001-name.jpg``; returns how many were copied and what went wrong.

    A file of that name and content is left alone; another of that name gets a number.
    """
    target = Path(folder).expanduser()
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--copy-to {folder} cannot be made: {error.strerror}") from None
    copied, problems = 0, []
    for hit in hits:
        try:
            copied += _copy(hit, target)
        except OSError as error:
            problems.append(f"{hit.path} was not copied: {error.strerror}")
    return copied, problems


def _copy(hit: Hit, folder: Path) -> bool:
    stem, ending = os.path.splitext(os.path.basename(hit.path))
    for attempt in range(1, 10_000):
        number = "" if attempt == 1 else f"-{attempt}"
        target = folder / f"{hit.rank:03d}-{stem}{number}{ending}"
        try:
            with open(hit.path, "rb") as source, open(target, "xb") as copy:
                try:
                    shutil.copyfileobj(source, copy, 1 << 20)
                except OSError:
                    target.unlink()  # half a picture is worse than none
                    raise
        except FileExistsError:
            if _same(hit.path, target):
                return False
            continue
        shutil.copystat(hit.path, target)
        return True
    return False


def _same(path: str, other: Path) -> bool:
    if not other.is_file() or os.path.getsize(path) != other.stat().st_size:
        return False
    with open(path, "rb") as one, open(other, "rb") as two:
        while block := one.read(1 << 20):
            if block != two.read(1 << 20):
                return False
    return True
