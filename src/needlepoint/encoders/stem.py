"""A frozen convolutional network as the first part of a ViT's patch embedding ("stem").

Early layers that are convolutions make small transformers train with little data (Xiao et al. 2021,
"Early Convolutions Help Transformers See Better"); here they are the built-in network, unchanged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import torch

from needlepoint.encoders.builtin.sight import STRIDE, Sight
from needlepoint.encoders.weights import weights_hash
from needlepoint.errors import ModelUnavailable, UsageError

CHANNELS = 1280
"""Channels of a cell of the built-in network."""

KEY = "stem"
"""Key of ``open_clip_config.json`` under which a model names its stem."""


@cache
def stem_name() -> str:
    """``builtin:HASH``: the stem this version of the package has, as a model's config names it."""
    with as_file(files("needlepoint.encoders.builtin") / "data" / "look.onnx") as path:
        return f"builtin:{weights_hash([path])}"


def check_stem(name: str, config: dict[str, Any], address: str) -> None:
    """Refuse a model that was trained on another stem, or has no place for one.

    Raises:
        UsageError: a stem of an unknown kind, or an image tower that is not open_clip's own ViT
            of patch 32.
        ModelUnavailable: the built-in network of another version.
    """
    if name.partition(":")[0] != "builtin":
        raise UsageError(f"model '{address}': stem '{name}' is not known; allowed: {stem_name()}")
    if name != stem_name():
        raise ModelUnavailable(
            f"model '{address}' was trained on the stem '{name}', but this version has "
            f"'{stem_name()}'; train it again, or use the version it was made with"
        )
    vision = config.get("vision_cfg", {})
    if "timm_model_name" in vision or vision.get("patch_size") != STRIDE:
        raise UsageError(
            f"model '{address}': a stem needs open_clip's own vision transformer with patch_size "
            f"{STRIDE}, received {vision}"
        )


class StemConv(torch.nn.Conv2d):  # type: ignore[misc]
    """The stem and the 1x1 convolution behind it, in the place of a ViT's ``conv1``.

    Pixels ``[N, 3, h, w]`` in 0 … 1 (mean 0, std 1), ``h`` and ``w`` multiples of 32, become
    ``[N, width, h / 32, w / 32]``. The stem sees one picture at a time and passes no gradient.

    Args:
        width: channels of the tower.
        threads: threads of one pass of the stem; 0 for onnxruntime's choice.
    """

    def __init__(self, width: int, threads: int = 0) -> None:
        super().__init__(CHANNELS, width, kernel_size=1, bias=False)
        self._sight = Sight(threads)

    def cells(self, pixels: Any) -> Any:
        """Pixels as above to the stem's cells float32 ``[N, 1280, h / 32, w / 32]``."""
        # numbers that came from bytes come back to the same bytes
        grey = (pixels.float() * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
        maps = [self._sight.cells(np.ascontiguousarray(one)) for one in grey.cpu().numpy()]
        return torch.from_numpy(np.stack(maps)).permute(0, 3, 1, 2).to(pixels.device)

    def forward(self, pixels: Any) -> Any:
        return super().forward(self.cells(pixels))


@contextmanager
def filled_later() -> Iterator[None]:
    """Keeps open_clip from warning of random weights while a model waits for its own."""

    def other(record: logging.LogRecord) -> bool:
        return "initialized randomly" not in record.getMessage()

    log = logging.getLogger()  # open_clip speaks through the root
    log.addFilter(other)
    try:
        yield
    finally:
        log.removeFilter(other)


def put_stem(visual: Any, threads: int | None) -> None:
    """Give an open_clip ``VisionTransformer`` the stem in the place of its ``conv1``."""
    visual.conv1 = StemConv(visual.conv1.out_channels, threads or 0)
