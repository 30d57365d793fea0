"""A gallery as vectors: described once for each recipe, with what that costs.

Shapes: G pictures, T regions of all of them, D dim.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from needlepoint.bench.counting import counted
from needlepoint.intake.decode import decode
from needlepoint.parts import Encoder, Floats, SpaceCard
from needlepoint.picture import Picture
from needlepoint.regions.describe import Describer, Description
from needlepoint.search.codes import code_bytes, finer
from needlepoint.store.rows import pack_boxes

_BATCH = 8  # pictures described in one call


@dataclass(frozen=True, slots=True)
class Vectors:
    """One space: ``whole`` ``[G, D]``, ``regions`` ``[T, D]`` with ``boxes`` ``[T, 4]``.

    Picture i owns the rows ``offsets[i]`` to ``offsets[i + 1]`` of the regions.
    """

    whole: Floats
    regions: Floats
    boxes: Floats
    offsets: npt.NDArray[np.int64]

    def bytes_per_picture(self, space: SpaceCard) -> float:
        """What a library keeps of a picture on average: codes and boxes."""
        whole = code_bytes(finer(space.codec), space.dim)
        regions = len(self.regions) * code_bytes(space.codec, space.dim)
        return whole + (regions + len(pack_boxes(self.boxes))) / len(self.whole)


@dataclass(frozen=True, slots=True)
class Described:
    """A gallery under one recipe: vectors by space, and what a picture costs (see ``Passes``)."""

    recipe: str
    spaces: dict[str, Vectors]
    passes: float
    maps: float
    work: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Median milliseconds to describe a picture: on the clock and of the processor."""

    wall_ms: float
    cpu_ms: float
    pictures: int


class Album:
    """Decoded pictures, as many as fit in ``megabytes``; the longest unused go first."""

    def __init__(self, megabytes: int = 600) -> None:
        self._room = megabytes * 1_000_000
        self._held: OrderedDict[tuple[str, int], Picture] = OrderedDict()
        self._bytes = 0

    def load(self, path: Path, at_least: int) -> Picture:
        """A picture decoded with a long side of at least so many pixels (0: full size).

        Raises:
            PictureError: it cannot be read.
        """
        key = (str(path), at_least)
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        picture = decode(path, at_least=at_least)
        self._held[key] = picture
        self._bytes += picture.pixels.nbytes
        while self._bytes > self._room and len(self._held) > 1:
            _, gone = self._held.popitem(last=False)
            self._bytes -= gone.pixels.nbytes
        return picture


def describe_gallery(
    encoder: Encoder,
    describer: Describer,
    files: Sequence[Path],
    album: Album,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Described:
    """Describe G pictures in every space of an encoder.

    Raises:
        UsageError: the encoder lacks what the describer needs.
        PictureError: a picture cannot be read.
    """
    counting, passes = counted(encoder)
    side = describer.side(encoder.card)
    rows: dict[str, list[Description]] = {}
    for start in range(0, len(files), _BATCH):
        pictures = [album.load(path, side) for path in files[start : start + _BATCH]]
        for spaces in describer.describe(counting, pictures):
            for one in spaces:
                rows.setdefault(one.space, []).append(one)
        progress(start + len(pictures), len(files))
    return Described(
        describer.recipe,
        {space: _stacked(found) for space, found in rows.items()},
        passes.pictures / len(files),
        passes.maps / len(files),
        passes.work / len(files),
    )


def save_described(described: Described, path: Path) -> None:
    """Write a described gallery whole or not at all."""
    arrays = {
        f"{name}/{part}": getattr(vectors, part)
        for name, vectors in described.spaces.items()
        for part in ("whole", "regions", "boxes", "offsets")
    }
    costs = np.array([described.passes, described.maps, described.work])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.npz")
    np.savez(part, **arrays, recipe=np.array(described.recipe), costs=costs)
    part.replace(path)


def load_described(path: Path) -> Described | None:
    """What ``save_described`` wrote; None where there is nothing that can be read."""
    try:
        with np.load(path, allow_pickle=False) as held:
            names = dict.fromkeys(key.rpartition("/")[0] for key in held if "/" in key)
            spaces = {
                name: Vectors(
                    *(held[f"{name}/{part}"] for part in ("whole", "regions", "boxes", "offsets"))
                )
                for name in names
            }
            passes, maps, work = held["costs"].tolist()
            return Described(str(held["recipe"]), spaces, passes, maps, work)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def pace(
    encoder: Encoder, describer: Describer, files: Sequence[Path], album: Album, count: int
) -> Pace:
    """Time to describe single pictures, on one thread, with nothing remembered.

    Args:
        encoder: one that keeps no features.
        describer: what is timed; decoding is not.
        files: the gallery; pictures evenly spread over it are taken.
        album: where decoded pictures come from.
        count: how many pictures, at least 1; one more is described first to warm up.
    """
    places = np.unique(np.linspace(0, len(files) - 1, count).astype(int))
    side = describer.side(encoder.card)
    pictures = [album.load(files[i], side) for i in places]
    walls, cpus = [], []
    with one_thread():
        describer.describe(encoder, pictures[:1])
        for picture in pictures:
            wall, cpu = time.perf_counter(), time.process_time()
            describer.describe(encoder, [picture])
            cpus.append((time.process_time() - cpu) * 1e3)
            walls.append((time.perf_counter() - wall) * 1e3)
    return Pace(statistics.median(walls), statistics.median(cpus), len(pictures))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy and torch (where it is loaded) use one thread."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)


def _stacked(found: Sequence[Description]) -> Vectors:
    counts = [len(one.regions) for one in found]
    whole = np.stack([one.whole for one in found]).astype(np.float32)
    dim = whole.shape[1]
    return Vectors(
        whole,
        np.concatenate([one.regions.reshape(-1, dim) for one in found]).astype(np.float32),
        np.concatenate([one.boxes.reshape(-1, 4) for one in found]).astype(np.float32),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )
