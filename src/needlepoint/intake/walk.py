"""Folders to candidate files: deterministic, each folder once, nothing special opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from needlepoint.errors import PictureError, UsageError
from needlepoint.intake.container import NOT_A_PICTURE, RAW_SUFFIXES, sniff
from needlepoint.intake.reading import os_reason, read_head, special_kind

PICTURE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp",
        ".dib", ".tif", ".tiff", ".pnm", ".ppm", ".pgm", ".pbm", ".pfm", ".heic", ".heif",
        ".hif", ".avif", ".jp2", ".j2k", ".jpx", *RAW_SUFFIXES,
    }
)  # fmt: skip
"""Lower-case suffixes of files that are taken without looking inside."""

_JUNK_FOLDERS = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "system volume information", "__macosx", "lost+found"}
)

OnSkip = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate: path relative to its root with forward slashes, bytes, mtime in ns.

    Names that are not UTF-8 carry their bytes as lone surrogates (``os.fsencode`` gives them
    back).
    """

    path: str
    size: int
    mtime_ns: int


def split_root(source: str | os.PathLike[str]) -> tuple[str, str | None]:
    """(root folder, None) of a folder; (its folder, its name) of a single file. Absolute."""
    path = os.path.abspath(os.fspath(source))
    if os.path.isdir(path) or not os.path.exists(path):
        return path, None
    return os.path.split(path)


def walk(root: str | os.PathLike[str], *, on_skip: OnSkip) -> Iterator[Found]:
    """Yield the picture files below a folder.

    Real folders come first, in byte order of their names, files of a folder before its
    sub-folders; then symbolic links to folders, each target once, so loops end and a folder
    reachable in two ways is found where it really lies. Hidden names and other programs' litter
    are passed over silently; so are files whose suffix is not a picture's. Files without a suffix
    are taken when their first bytes are a picture's. When ``root`` is a single file, its folder
    is the root and its name the only path; its first bytes are asked whatever it is called.

    Args:
        root: a folder or one file.
        on_skip: called with (path relative to the root, reason) for what ought to be readable
            and is not: unreadable folders, broken links, pipes and devices with a picture's name
            or without a suffix, and a single ``root`` that is no picture.

    Raises:
        UsageError: ``root`` does not exist or cannot be listed.
    """
    folder, only = split_root(root)
    if only is not None:
        found = _candidate(os.path.join(folder, only), only, on_skip, named=True)
        if found is not None:
            yield found
        return
    try:
        status = os.stat(folder)
        os.scandir(folder).close()
    except OSError as error:
        raise UsageError(
            f"root must be a readable folder or a file: {os_reason(error)}. Received: {folder!r}."
        ) from None
    seen = {(status.st_dev, status.st_ino)}
    links: list[tuple[str, str]] = []
    yield from _descend(folder, "", seen, links, on_skip)
    while links:
        path, relative = links.pop(0)
        try:
            status = os.stat(path)
        except OSError as error:
            on_skip(relative, os_reason(error))
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield from _descend(path, relative + "/", seen, links, on_skip)


def _descend(
    folder: str,
    prefix: str,
    seen: set[tuple[int, int]],
    links: list[tuple[str, str]],
    on_skip: OnSkip,
) -> Iterator[Found]:
    """Depth first without recursion, so that no tree is too deep; links are left for later."""
    stack = [(folder, prefix)]
    while stack:
        here, above = stack.pop()
        try:
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            on_skip(above.rstrip("/") or ".", os_reason(error))
            continue
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            relative = above + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name.lower() in _JUNK_FOLDERS:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    if (status.st_dev, status.st_ino) not in seen:
                        seen.add((status.st_dev, status.st_ino))
                        below.append((entry.path, relative + "/"))
                    continue
                if entry.is_symlink() and entry.is_dir():
                    links.append((entry.path, relative))
                    continue
            except OSError as error:
                on_skip(relative, os_reason(error))
                continue
            found = _candidate(entry.path, relative, on_skip)
            if found is not None:
                yield found
        stack.extend(reversed(below))


def is_picture_name(name: str) -> bool | None:
    """True for a picture's suffix, False for another, None when there is none to judge by."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix in PICTURE_SUFFIXES if suffix else None


def _candidate(path: str, relative: str, on_skip: OnSkip, *, named: bool = False) -> Found | None:
    """Judge one file; ``named`` is one the user asked for by name, which is never passed over."""
    verdict = is_picture_name(relative)
    if verdict is False and not named:
        return None
    try:
        status = os.stat(path)
    except OSError as error:
        broken = os.path.islink(path) and isinstance(error, FileNotFoundError)
        on_skip(relative, "broken link" if broken else os_reason(error))
        return None
    kind = special_kind(status.st_mode)
    if kind is not None:
        on_skip(relative, kind)
        return None
    if not verdict:
        try:
            if sniff(read_head(path)) is None:
                if named:
                    on_skip(relative, NOT_A_PICTURE)
                return None
        except PictureError as error:
            on_skip(relative, error.reason)
            return None
    return Found(relative, status.st_size, status.st_mtime_ns)


def root_identity(path: str | os.PathLike[str]) -> str:
    """Short text that names the folder itself, whatever is mounted there: ``filesystem:inode``.

    Uses the filesystem's id where the system tells one, because device numbers change between
    boots. Raises OSError when the folder is missing.
    """
    status = os.stat(path)
    filesystem = status.st_dev
    if hasattr(os, "statvfs"):
        filesystem = os.statvfs(path).f_fsid or filesystem
    return f"{filesystem:x}:{status.st_ino}"


def is_online(
    path: str | os.PathLike[str], identity: str | None = None, witnesses: Iterable[str] = ()
) -> bool:
    """Whether a root is really there, as against unplugged.

    A root is offline when it is missing or unreadable. When it is another folder than the one
    remembered (an empty mount point, another disk at the same place), it counts as online only
    if it holds one of the ``witnesses``, or, when none are given, anything at all. The same
    folder found empty is online: its pictures were deleted.

    Args:
        path: the root folder.
        identity: :func:`root_identity` when the root was added; None trusts any folder.
        witnesses: a few paths, relative to the root, that are known to have been there.
    """
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return False
        with os.scandir(path) as listing:
            first = next(listing, None)
        if identity is None or root_identity(path) == identity:
            return True
    except OSError:
        return False
    names = list(witnesses)
    if not names:
        return first is not None
    return any(os.path.lexists(os.path.join(path, name)) for name in names)
