"""Files to descriptions, side by side: decoding and passes on all cores, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from needlepoint.errors import PictureError
from needlepoint.intake.decode import decode
from needlepoint.parts import Encoder
from needlepoint.picture import Picture
from needlepoint.regions.describe import Describer, Description

BATCH = 4
"""Pictures one worker takes at a time: enough for an encoder that likes batches."""


@dataclass(frozen=True, slots=True)
class Described:
    """One file's outcome: a picture and its descriptions, or the reason why there is none.

    ``descriptions`` is empty when the content is already known under another path.
    """

    path: str
    picture: Picture | None
    descriptions: list[Description]
    reason: str = ""


def describe_files(
    encoder: Encoder,
    describer: Describer,
    paths: Iterable[str],
    *,
    known: Set[bytes],
    workers: int,
) -> Iterator[Described]:
    """Describe files in their order, with at most a few pictures in memory.

    Args:
        encoder: the encoder.
        describer: what is kept of a picture; used by all threads at once.
        paths: absolute paths.
        known: digests whose vectors are stored already; such files are decoded but not encoded.
        workers: threads; each decodes and encodes, so the encoder runs on one core a pass.
    """
    side = describer.side(encoder.card)

    def job(some: list[str]) -> list[Described]:
        opened = [_open(path, side) for path in some]
        fresh = [p for _, p, _ in opened if p is not None and p.extra["digest"] not in known]
        found = iter(describer.describe(encoder, fresh) if fresh else [])
        return [
            Described(
                path,
                None if picture is None else _light(picture),
                next(found) if any(picture is one for one in fresh) else [],
                reason,
            )
            for path, picture, reason in opened
        ]

    from threadpoolctl import threadpool_limits

    # A product shared out by BLAS waits for the core that the other worker is using: with two
    # workers on two cores that costs more than twice the processor time.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(max(1, workers), thread_name_prefix="needlepoint") as pool,
    ):
        try:
            waiting: deque[Future[list[Described]]] = deque()
            for some in _chunks(paths):
                waiting.append(pool.submit(job, some))
                if len(waiting) > 2 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _open(path: str, side: int) -> tuple[str, Picture | None, str]:
    try:
        return path, decode(path, at_least=side), ""
    except PictureError as error:
        return path, None, error.reason


def _chunks(paths: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(paths)
    while some := list(islice(rest, BATCH)):
        yield some


def _light(picture: Picture) -> Picture:
    """The picture without its pixels: what is written needs only the facts."""
    return replace(picture, pixels=np.zeros((1, 1, 3), np.uint8))
