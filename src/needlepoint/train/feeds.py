"""From pieces of pictures to a network's input: pixels, or cells of the stem kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from needlepoint.encoders.builtin.sight import STRIDE, Sight
from needlepoint.encoders.convenience import as_pixels
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.stem import CHANNELS, stem_name
from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.picture import Box, Pixels
from needlepoint.train.dual import Shape
from needlepoint.train.pairs import Pair
from needlepoint.train.samplers import Indices


def cut(pixels: Pixels, box: Box | None, where: str) -> Pixels:
    """The piece uint8 ``[h, w, 3]`` of a picture that a box (pixels) names."""
    if box is None:
        return pixels
    x, y, w, h = (round(side) for side in box)
    piece = pixels[max(0, y) : y + h, max(0, x) : x + w]
    if not piece.size:
        raise UsageError(f"{where}: the box {list(box)} lies outside the picture")
    return np.ascontiguousarray(piece)


class PixelFeed:
    """Pieces as pixels, decoded when asked for: float32 ``[B, 3, S, S]``."""

    def __init__(self, pieces: Sequence[tuple[str, Box | None]], preprocess: Preprocess) -> None:
        self._pieces, self._preprocess = list(pieces), preprocess

    def __call__(self, places: Indices, kept: npt.NDArray[np.int64] | None = None) -> Floats:
        """Whole pieces, whatever is kept: patches are dropped behind the first convolution."""
        return self._preprocess.batch(
            [cut(as_pixels(path), box, path) for path, box in (self._pieces[i] for i in places)]
        )


class CellFeed:
    """Pieces as cells of a frozen network, kept on disk as float16 once they were computed.

    A row is found again by the content of its picture file, its box, and ``recipe``, the name of
    all that made it: a changed picture or another stem is another row.

    Args:
        pieces: what of which picture.
        folder: where ``cells.f16`` and ``cells.txt`` (one key a row) lie; created when absent.
        shape: (patches, channels) of a row.
        recipe: stem, size and resize rule in words.
        cells_of: a piece uint8 ``[h, w, 3]`` to its row float ``[P, C]``.
        report: told (done, total) now and then.
    """

    def __init__(
        self,
        pieces: Sequence[tuple[str, Box | None]],
        folder: Path,
        shape: tuple[int, int],
        recipe: str,
        cells_of: Callable[[Pixels], Floats],
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._shape = shape
        self._file = folder / "cells.f16"
        known = self._known(folder / "cells.txt")
        keys = piece_keys(pieces, recipe)
        missing = [i for i, key in enumerate(keys) if key not in known]
        with self._file.open("ab") as file, (folder / "cells.txt").open("a") as names:
            path, pixels = "", np.empty((0, 0, 3), np.uint8)
            for done, i in enumerate(sorted(missing, key=lambda i: pieces[i][0])):
                if keys[i] in known:
                    continue
                if pieces[i][0] != path:
                    path = pieces[i][0]
                    pixels = as_pixels(path)
                row = cells_of(cut(pixels, pieces[i][1], path)).astype(np.float16)
                file.write(row.reshape(shape).tobytes())
                file.flush()  # the row first: a name without one would be wrong
                names.write(keys[i] + "\n")
                names.flush()
                known[keys[i]] = len(known)
                if report is not None and (done + 1) % 100 == 0:
                    report(done + 1, len(missing))
        #: which row on disk each piece is: pieces of equal content share one
        self.rows = np.array([known[key] for key in keys], np.int64)
        self._cells = np.memmap(self._file, np.float16, "r", shape=(len(known), *shape))

    def __call__(self, places: Indices, kept: npt.NDArray[np.int64] | None = None) -> Floats:
        """Cells float32 ``[B, P, C]``, or ``[B, K, C]`` of the kept patches int64 ``[B, K]``."""
        rows = self.rows[places]
        if kept is None:
            return np.asarray(self._cells[rows], np.float32)
        return np.asarray(self._cells[rows[:, None], kept], np.float32)

    def _known(self, names: Path) -> dict[str, int]:
        """Rows that are whole on disk; what a broken run left over is cut off."""
        size = 2 * self._shape[0] * self._shape[1]
        whole = self._file.stat().st_size // size if self._file.is_file() else 0
        keys = names.read_text().split("\n")[:-1] if names.is_file() else []
        keys = keys[:whole]
        names.write_text("".join(key + "\n" for key in keys))
        if self._file.is_file():
            with self._file.open("r+b") as file:
                file.truncate(len(keys) * size)
        return {key: row for row, key in enumerate(keys)}


def piece_keys(pieces: Sequence[tuple[str, Box | None]], recipe: str) -> list[str]:
    """Names of pieces by the content of their files, their boxes and what is made of them."""
    contents: dict[str, str] = {}
    keys = []
    for path, box in pieces:
        if path not in contents:
            try:
                contents[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            except OSError as error:
                raise UsageError(f"data: {path} cannot be read: {error.strerror}") from error
        told = f"{recipe} {contents[path]} {box}"
        keys.append(hashlib.sha256(told.encode()).hexdigest()[:32])
    return keys


class Feed:
    """Pairs to the model's input, from pixels or from the stem's cells on disk."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        shape: Shape,
        cache: Path,
        device: str,
        say: Callable[[str], None],
    ) -> None:
        pieces: list[tuple[str, Box | None]] = list(dict.fromkeys(p.piece for p in pairs))
        self._place = {piece: i for i, piece in enumerate(pieces)}
        self.device = device
        preprocess = shape.preprocess()
        self._read: PixelFeed | CellFeed
        if shape.image_tower == "vit":
            self._read = PixelFeed(pieces, preprocess)
            return
        sight = Sight(1)

        def cells_of(piece: Pixels) -> Floats:
            side = shape.size
            values = preprocess.batch([piece])[0].transpose(1, 2, 0) * 255
            whole = np.ascontiguousarray(values.round().astype(np.uint8))
            return sight.cells(whole.reshape(side, side, 3))

        self._read = CellFeed(
            pieces,
            cache,
            (shape.patches, CHANNELS),
            f"{stem_name()} {shape.size} squash bicubic {STRIDE}",
            cells_of,
            lambda done, total: say(f"stem: {done:,} of {total:,} pieces"),
        )

    def __call__(self, pairs: Sequence[Pair], kept: Indices | None = None) -> Any:
        places = np.array([self._place[p.piece] for p in pairs])
        values = self._read(places, kept)
        return torch.from_numpy(values).to(self.device)

    def tensors(self, pairs: Sequence[Pair], kept: Indices | None) -> tuple[Any, Any]:
        """The input of pairs, and the kept patches int64 ``[B, K]``, both on the device."""
        chosen = None if kept is None else torch.from_numpy(kept).to(self.device)
        return self(pairs, kept), chosen
