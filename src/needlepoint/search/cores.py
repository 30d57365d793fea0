"""Work on large arrays shared out among the cores this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from threadpoolctl import ThreadpoolController

_WORKERS = 4  # more do not read memory any faster


def share_out(work: Callable[[int, int], None], shares: int) -> None:
    """Call ``work(first, every)`` once for each of some workers, at most ``shares`` of them.

    Each is to do every ``every``-th block, from block ``first`` on.
    """
    workers = min(_WORKERS, _cores(), shares)
    if workers < 2:
        work(0, 1)
        return
    # threads of the matrix library's own would wait for these
    with _matrices().limit(limits=1), ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, first, workers) for first in range(workers)]:
            done.result()


@cache
def _matrices() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
