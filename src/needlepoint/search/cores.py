"""Work on large arrays shared out among the cores this process may use, or kept to one."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from threadpoolctl import OpenBLASController, ThreadpoolController

_WORKERS = 4  # more do not read memory any faster
_guard = threading.Lock()
_inside = 0
_limit = contextlib.ExitStack()


def share_out(work: Callable[[int, int], None], shares: int) -> None:
    """Call ``work(first, every)`` once for each of some workers, at most ``shares`` of them.

    Each is to do every ``every``-th block, from block ``first`` on.
    """
    workers = min(_WORKERS, _cores(), shares)
    with one_core():
        if workers < 2:
            work(0, 1)
            return
        with ThreadPoolExecutor(workers) as pool:
            for done in [pool.submit(work, first, workers) for first in range(workers)]:
                done.result()


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep the matrix library to the core that calls it, until the last who wants that leaves.

    This holds for the whole process. A product that is shared out waits for the core that is busy
    with something else, and is not the same to the last bit for every number of cores.
    """
    global _inside
    with _guard:
        if not _inside:
            _limit.enter_context(_matrices().limit(limits=1))
        _inside += 1
    try:
        yield
    finally:
        with _guard:
            _inside -= 1
            if not _inside:
                # newer versions let only that thread set the limit that set it first
                clear = getattr(OpenBLASController, "clear_controlling_thread", None)
                if clear is not None:
                    clear(force=True)
                _limit.close()


@cache
def _matrices() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
