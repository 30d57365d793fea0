"""Files to descriptions, side by side: decoding and passes on all cores, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from needlepoint.errors import PictureError
from needlepoint.intake.decode import decode
from needlepoint.parts import Encoder
from needlepoint.picture import Picture
from needlepoint.regions.describe import Description, describe
from needlepoint.regions.recipe import Recipe

BATCH = 8
"""Pictures in one call of an encoder that works on batches."""


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
    recipe: Recipe,
    paths: Iterable[str],
    *,
    known: Set[bytes],
    workers: int,
) -> Iterator[Described]:
    """Describe files in their order, with at most a few pictures in memory.

    Args:
        encoder: the encoder.
        recipe: region policy.
        paths: absolute paths.
        known: digests whose vectors are stored already; such files are decoded but not encoded.
        workers: threads.
    """
    side = recipe.long_side if recipe.kind == "dense" else 2 * encoder.card.input_size

    def open_one(path: str) -> Described:
        try:
            picture = decode(path, at_least=side)
        except PictureError as error:
            return Described(path, None, [], error.reason)
        return Described(path, picture, [])

    def fresh(one: Described) -> bool:
        return one.picture is not None and one.picture.extra["digest"] not in known

    def whole_job(path: str) -> Described:
        one = open_one(path)
        if one.picture is None or not fresh(one):
            return one
        found = describe(encoder, [one.picture], recipe)[0]
        return Described(path, _light(one.picture), found)

    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="needlepoint") as pool:
        try:
            if encoder.card.concurrent:
                yield from _in_order(pool, whole_job, paths, 2 * workers)
                return
            batch: list[Described] = []
            for one in _in_order(pool, open_one, paths, 2 * BATCH):
                batch.append(one)
                if len(batch) == BATCH:
                    yield from _describe_batch(encoder, recipe, batch, fresh)
                    batch = []
            yield from _describe_batch(encoder, recipe, batch, fresh)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor,
    job: Callable[[str], Described],
    paths: Iterable[str],
    ahead: int,
) -> Iterator[Described]:
    """Results in the order of ``paths``, never more than ``ahead`` of them waiting."""
    waiting: deque[Future[Described]] = deque()
    for path in paths:
        waiting.append(pool.submit(job, path))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _describe_batch(
    encoder: Encoder,
    recipe: Recipe,
    batch: list[Described],
    fresh: Callable[[Described], bool],
) -> Iterator[Described]:
    pictures = [one.picture for one in batch if one.picture is not None and fresh(one)]
    found = iter(describe(encoder, pictures, recipe) if pictures else [])
    for one in batch:
        if one.picture is not None and fresh(one):
            yield Described(one.path, _light(one.picture), next(found))
        else:
            yield one


def _light(picture: Picture) -> Picture:
    """The picture without its pixels: what is written needs only the facts."""
    return replace(picture, pixels=np.zeros((1, 1, 3), np.uint8))
