"""EfficientNet-Lite0 as a fully convolutional encoder (Tan and Le 2019, Lite variant)."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import numpy as np
from PIL import Image

from needlepoint.encoders.runtime import onnxruntime
from needlepoint.parts import Floats
from needlepoint.picture import Pixels

STRIDE = 32
"""Pixels of the network's input that one cell stands for."""

_ENLARGE = 1.5
"""A small picture is enlarged at most this much before the pass: beyond, cells show blur."""

_SMALLEST = 224


def load_session(name: str, threads: int) -> Any:
    """An onnxruntime session over a file of this package.

    The memory pattern is off, since it is remembered for every shape a picture may have. The arena
    stays on: input shapes are bounded, and without it a pass takes a third longer.
    """
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    with as_file(files(__package__) / "data" / name) as path:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def input_shape(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Rows and columns of pixels, multiples of the stride, for a picture of this size.

    Small pictures are enlarged by at most 1.5, and never below 224 pixels on the long side, so
    that a thumbnail does not become a blur of a thousand cells.
    """
    longest = max(width, height)
    target = min(long_side, max(_SMALLEST, longest * _ENLARGE))
    scale = target / longest
    rows = max(1, round(height * scale / STRIDE))
    cols = max(1, round(width * scale / STRIDE))
    return rows * STRIDE, cols * STRIDE


def resize(pixels: Pixels, rows: int, cols: int) -> Pixels:
    """uint8 ``[H, W, 3]`` to ``[rows, cols, 3]``: bicubic with antialiasing, box-reduced first."""
    if pixels.shape[:2] == (rows, cols):
        return pixels
    image = Image.fromarray(pixels)
    # `reducing_gap` shrinks by whole pixels first: the same picture to the eye at half the time.
    return np.asarray(image.resize((cols, rows), Image.Resampling.BICUBIC, reducing_gap=2.0))


class Sight:
    """The network: uint8 ``[H, W, 3]`` (multiples of 32) to cells float32 ``[h, w, 1280]``."""

    def __init__(self, threads: int) -> None:
        self._session = load_session("look.onnx", threads)

    def cells(self, pixels: Pixels) -> Floats:
        """One pass over one picture; thread-safe."""
        out: Floats = self._session.run(None, {"pixels": pixels[None]})[0][0]
        return out
