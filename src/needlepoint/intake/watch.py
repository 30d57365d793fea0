"""Following folders as they change, in batches that have come to rest."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence

from needlepoint.errors import UsageError
from needlepoint.intake.walk import is_picture_name, root_identity, split_root

_LONGEST_BATCH_S = 30.0
_RETRY_S = 1.0


def watch(
    roots: Sequence[str | os.PathLike[str]],
    *,
    stop: threading.Event,
    settle_ms: int = 1000,
) -> Iterator[set[str]]:
    """Yield sets of absolute paths that changed, each once nothing has changed for a while.

    Paths are of pictures, of files without a suffix, and of folders (a moved folder is one path);
    the caller lists what lies there. A root that vanishes or returns is reported as its own path,
    and the others are followed meanwhile. A batch that never comes to rest is handed out after
    half a minute. Where the system has no more file watches, folders are polled instead.

    Args:
        roots: folders or single files; they need not exist yet.
        stop: set it to end the iteration, within about ``settle_ms``.
        settle_ms: how long it must be quiet before a batch is handed out, at least 50.

    Raises:
        UsageError: no root, a root whose name is not UTF-8, or ``settle_ms`` below 50.
    """
    if settle_ms < 50:
        raise UsageError(f"settle_ms must be at least 50. Received: {settle_ms}.")
    if not roots:
        raise UsageError("roots must name at least one folder. Received: none.")
    places = [split_root(root) for root in roots]
    for folder, _ in places:
        try:
            folder.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(
                f"a root must have a UTF-8 name to be watched. Received: {folder!r}."
            ) from None
    polling = False
    before = _presence(places)
    while not stop.is_set():
        now = _presence(places)
        turned = {folder for folder in now if now[folder] != before[folder]}
        before = now
        if turned:
            yield turned
        online = sorted(folder for folder, identity in now.items() if identity)
        if not online:
            stop.wait(settle_ms / 1000)
            continue
        try:
            yield from _follow(online, places, before, stop, settle_ms, polling)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                continue  # vanished between the look and the watch
            if polling:
                stop.wait(_RETRY_S)
            polling = True


def _follow(
    online: list[str],
    places: list[tuple[str, str | None]],
    presence: dict[str, str | None],
    stop: threading.Event,
    settle_ms: int,
    polling: bool,
) -> Iterator[set[str]]:
    """Batches from the roots that are there, until one of them comes or goes."""
    import watchfiles

    pending: set[str] = set()
    first = last = looked = time.monotonic()
    for events in watchfiles.watch(
        *online,
        watch_filter=None,
        debounce=settle_ms,
        step=min(50, settle_ms),
        stop_event=stop,
        rust_timeout=settle_ms,
        yield_on_timeout=True,
        force_polling=polling or None,
        ignore_permission_denied=True,
    ):
        now = time.monotonic()
        news = {path for _, path in events if _matters(path, places)}
        if news:
            first = first if pending else now
            last = now
            pending |= news
        # noise from files that do not matter must not hold a batch back
        if pending and (now - last >= settle_ms / 1000 or now - first >= _LONGEST_BATCH_S):
            yield pending
            pending = set()
        if now - looked >= settle_ms / 1000:
            looked = now
            if _presence(places) != presence:
                break
    if pending:
        yield pending


def _presence(places: list[tuple[str, str | None]]) -> dict[str, str | None]:
    """Identity of each root folder, None where it is missing."""
    found: dict[str, str | None] = {}
    for folder, _ in places:
        try:
            found[folder] = root_identity(folder) if os.path.isdir(folder) else None
        except OSError:
            found[folder] = None
    return found


def _matters(path: str, places: list[tuple[str, str | None]]) -> bool:
    for folder, only in places:
        relative = os.path.relpath(path, folder)
        if relative.startswith(os.pardir) or os.path.isabs(relative):
            continue
        if relative == os.curdir:
            return only is None
        parts = relative.split(os.sep)
        if only is not None:
            if parts == [only]:
                return True
            continue
        if any(part.startswith(".") for part in parts):
            continue
        # a foreign suffix may still be a folder's, and of what is gone nobody can tell
        verdict = is_picture_name(parts[-1])
        if verdict is not False or os.path.isdir(path) or not os.path.lexists(path):
            return True
    return False
