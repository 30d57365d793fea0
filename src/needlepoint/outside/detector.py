"""Boxes of anything that looks like an object, from a detector that is not an encoder.

Shapes: R boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from needlepoint.outside.local import load_local
from needlepoint.parts import Floats
from needlepoint.picture import Pixels

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes float32 ``[R, 4]`` x1, y1, x2, y2 in pixels of the given picture; scores ``[R]``.

    Not thinned out and not cut to the picture.
    """

    boxes: Floats
    scores: Floats


class Detector(Protocol):
    """Finds objects without being told what to look for."""

    def detect(self, picture: Pixels) -> Detections:
        """All candidates of a picture uint8 ``[H, W, 3]`` with their scores, 0 to 1."""
        ...


class OwlDetector:
    """OWLv2 (arXiv 2306.09683) in objectness mode, from a folder of transformers' files.

    The picture is padded to a square at the bottom and right, with the grey it was trained with,
    and resized to the input of the model; a box is relative to that square, so both axes count by
    ``max(W, H)``.
    """

    def __init__(self, folder: str, device: str = "cpu") -> None:
        self._model, told = load_local(folder, "owlv2", "Owlv2ForObjectDetection", device)
        self._device = device
        self._side = int(self._model.config.vision_config.image_size)
        self._mean = np.array(told.get("image_mean") or _MEAN, np.float32)
        self._std = np.array(told.get("image_std") or _STD, np.float32)

    def detect(self, picture: Pixels) -> Detections:
        """See ``Detector``: one candidate a patch of the model's input."""
        import torch

        height, width = picture.shape[:2]
        with torch.inference_mode():
            features, _ = self._model.image_embedder(self.prepare(picture))
            flat = features.flatten(1, 2)
            boxes = self._model.box_predictor(flat, features)[0].cpu().numpy()
            scores = self._model.objectness_predictor(flat)[0].sigmoid().cpu().numpy()
        centres, sizes = boxes[:, :2], boxes[:, 2:]
        corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
        return Detections(
            (corners * max(height, width)).astype(np.float32), scores.astype(np.float32)
        )

    def prepare(self, picture: Pixels) -> Any:
        """The tensor the model is given, float32 ``[1, 3, S, S]``."""
        import torch

        height, width = picture.shape[:2]
        square = np.full((max(height, width),) * 2 + (3,), 128, np.uint8)
        square[:height, :width] = picture
        image = Image.fromarray(square).resize((self._side,) * 2, Image.Resampling.BILINEAR)
        pixels = (np.asarray(image, np.float32) / 255 - self._mean) / self._std
        return torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()).to(self._device)
