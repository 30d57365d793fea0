"""What happened to a folder since last time: a pure comparison of two listings."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from needlepoint.errors import PictureError
from needlepoint.intake.reading import open_regular, os_reason
from needlepoint.intake.walk import Found

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the library remembers it; ``digest`` is empty when it was never taken."""

    id: int
    size: int
    mtime_ns: int
    digest: bytes


@dataclass(slots=True)
class Plan:
    """What to do, each list ordered by path (``missing`` by id).

    ``new`` files get new ids. ``changed`` keep their id and have other content. ``moved`` ids
    have the same content at another path. ``touched`` have the same content and another mtime.
    ``missing`` ids are nowhere; ``unchanged`` counts the rest. ``digests`` holds what was hashed
    on the way, by path, so that it need not be hashed again.
    """

    new: list[Found] = field(default_factory=list)
    changed: list[tuple[int, Found]] = field(default_factory=list)
    moved: list[tuple[int, Found]] = field(default_factory=list)
    touched: list[tuple[int, Found]] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    unchanged: int = 0
    digests: dict[str, bytes] = field(default_factory=dict)


def digest(path: str | os.PathLike[str]) -> bytes:
    """BLAKE2b of a file's content, 16 bytes, read in pieces. Raises PictureError."""
    name = os.fspath(path)
    state = blake2b(digest_size=DIGEST_BYTES)
    fd = open_regular(name)
    try:
        while chunk := os.read(fd, 1 << 20):
            state.update(chunk)
    except OSError as error:
        raise PictureError(name, os_reason(error)) from None
    finally:
        os.close(fd)
    return state.digest()


def plan(
    known: Mapping[str, Known],
    found: Iterable[Found],
    digest_of: Callable[[Found], bytes],
) -> Plan:
    """Compare what is remembered of one root with what lies there now.

    A file whose size and mtime are as remembered is unchanged and is not read. Others are
    hashed only where the answer matters: the same size with another mtime, or a size equal to
    that of a picture whose content is no longer at its path. An id follows its content: renames,
    chains of renames, swaps, changes of case and files moved over others all keep their vectors.
    Of several equal candidates the one with the same file name is preferred, then the smaller
    id. Two files with the same size and mtime that swap names are not noticed: nothing but
    reading everything could.

    Args:
        known: remembered files by path.
        found: files there now, paths unique.
        digest_of: content hash of a found file; may raise PictureError or OSError, and the file
            then counts as having content seen nowhere else.

    Returns:
        Plan in which every found file and every known id stands exactly once.
    """
    result = Plan()
    unexplained: list[Found] = []
    seen: set[str] = set()
    for file in sorted(found, key=lambda f: f.path):
        seen.add(file.path)
        old = known.get(file.path)
        if old is None or old.size != file.size:
            unexplained.append(file)
        elif old.mtime_ns == file.mtime_ns:
            result.unchanged += 1
        elif old.digest and _take(result, file, digest_of) == old.digest:
            result.touched.append((old.id, file))
        else:
            unexplained.append(file)

    displaced = {file.path for file in unexplained if file.path in known}
    homeless = {path: old for path, old in known.items() if path not in seen or path in displaced}
    homes = _match(homeless, unexplained, result, digest_of)
    moved = set(homes.values())
    for file in unexplained:
        if file.path in homes:
            result.moved.append((homes[file.path], file))
        elif file.path in displaced and known[file.path].id not in moved:
            result.changed.append((known[file.path].id, file))
        else:
            result.new.append(file)
    settled = moved.union(id for id, _ in result.changed)
    result.missing = sorted(old.id for old in homeless.values() if old.id not in settled)
    return result


def _match(
    homeless: Mapping[str, Known],
    files: list[Found],
    result: Plan,
    digest_of: Callable[[Found], bytes],
) -> dict[str, int]:
    """Path -> id for files whose content is that of a picture that lost its path."""
    sizes = {old.size for old in homeless.values() if old.digest}
    by_content: defaultdict[bytes, list[Found]] = defaultdict(list)
    for file in files:
        if file.size in sizes:
            content = _take(result, file, digest_of)
            if content:
                by_content[content].append(file)
    owners: defaultdict[bytes, list[tuple[int, str]]] = defaultdict(list)
    for path, old in homeless.items():
        if old.digest in by_content:
            owners[old.digest].append((old.id, path))
    homes: dict[str, int] = {}
    for content, ids in owners.items():
        by_name: defaultdict[str, list[Found]] = defaultdict(list)
        for file in reversed(by_content[content]):
            by_name[_name(file.path)].append(file)
        left = []
        for id, path in sorted(ids):
            namesakes = by_name.get(_name(path))
            if namesakes:
                homes[namesakes.pop().path] = id
            else:
                left.append(id)
        free = (file.path for file in by_content[content] if file.path not in homes)
        homes.update(zip(free, left, strict=False))
    return homes


def _take(result: Plan, file: Found, digest_of: Callable[[Found], bytes]) -> bytes:
    """Digest of a file, asked for once; empty when the file cannot be read."""
    if file.path not in result.digests:
        try:
            result.digests[file.path] = digest_of(file)
        except (PictureError, OSError):
            return b""
    return result.digests[file.path]


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
