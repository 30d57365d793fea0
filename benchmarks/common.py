"""What several benchmarks share: an encoder that remembers its passes, and where results go."""

from __future__ import annotations

import csv
import hashlib
import os
import platform
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.encoders.builtin.sight import input_shape
from needlepoint.parts import Floats
from needlepoint.picture import Pixels

RESULTS = Path(__file__).parent / "results"
CACHE = Path(os.environ.get("TMPDIR", "/tmp")) / "needlepoint-cells"
"""Where maps of cells are kept between runs; may be deleted at any time."""


def hardware() -> str:
    """Cores and architecture, as they stand in the names of result files."""
    return f"{os.cpu_count()}-core-{platform.machine().lower()}"


def write_rows(name: str, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows to ``results/NAME-HARDWARE.csv``; columns are those of all rows, in order."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{hardware()}.csv"
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


class Remembering(BuiltinEncoder):
    """The built-in encoder, with every pass kept on disk as float16.

    The network is by far the dearest part, and what is measured about storage does not change it.
    Everything behind the pass is the product's own code. Rounding to float16 moves no figure in
    its third decimal.
    """

    def __init__(self, folder: Path = CACHE) -> None:
        super().__init__(threads=1)
        weights = (files("needlepoint.encoders.builtin") / "data" / "look.onnx").read_bytes()
        self._folder = folder / hashlib.blake2b(weights, digest_size=8).hexdigest()
        self._folder.mkdir(parents=True, exist_ok=True)

    def cells(self, pixels: Pixels, long_side: int) -> Floats:
        """As the encoder's own; read from disk where the same picture was seen at this size."""
        rows, cols = input_shape(pixels.shape[1], pixels.shape[0], long_side)
        seen = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=12)
        seen.update(str(pixels.shape).encode())
        path = self._folder / f"{seen.hexdigest()}-{rows}x{cols}.npy"
        if path.exists():
            kept: Floats = np.load(path).astype(np.float32)
            return kept
        found = super().cells(pixels, long_side).astype(np.float16)
        # Written under another name first: an interrupted run leaves no half file behind.
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.save(file, found)
        part.replace(path)
        return found.astype(np.float32)
