"""Masks of objects whose boxes are known, from a segmenter that is not an encoder.

Shapes: R boxes, H and W sides of the picture.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from needlepoint.outside.local import load_local
from needlepoint.parts import Floats
from needlepoint.picture import Pixels

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Segmenter(Protocol):
    """Tells the pixels of an object from those of its surroundings."""

    def segment(self, picture: Pixels, boxes: Floats) -> list[npt.NDArray[np.bool_]]:
        """One mask bool ``[H, W]`` a box.

        Args:
            picture: uint8 ``[H, W, 3]``.
            boxes: float32 ``[R, 4]``, x1, y1, x2, y2 in its pixels.
        """
        ...


class SamSegmenter:
    """SAM (arXiv 2304.02643) with one box prompt an object and a single mask, from a folder.

    The longer side is resized to the input of the model, the rest is padded; masks are enlarged
    to the input, cut to the picture, resized to it, and are what exceeds 0.
    """

    def __init__(self, folder: str, device: str = "cpu") -> None:
        self._model, told = load_local(folder, "sam", "SamModel", device)
        self._device = device
        self._side = int(self._model.config.vision_config.image_size)
        self._mean = np.array(told.get("image_mean") or _MEAN, np.float32)
        self._std = np.array(told.get("image_std") or _STD, np.float32)

    def segment(self, picture: Pixels, boxes: Floats) -> list[npt.NDArray[np.bool_]]:
        """See ``Segmenter``."""
        import torch
        from torch.nn.functional import interpolate

        if not len(boxes):
            return []
        height, width = picture.shape[:2]
        rows, cols = self._shape(height, width)
        scale = np.array([cols / width, rows / height] * 2, np.float32)
        prompts = torch.from_numpy((boxes * scale)[None].astype(np.float32)).to(self._device)
        with torch.inference_mode():
            told = self._model(
                pixel_values=self.prepare(picture),
                input_boxes=prompts,
                multimask_output=False,
            )
            coarse = told.pred_masks[0].float()  # [R, 1, h, w]
            full = interpolate(coarse, (self._side,) * 2, mode="bilinear", align_corners=False)
            cut = full[..., :rows, :cols]
            masks = interpolate(cut, (height, width), mode="bilinear", align_corners=False)
            return list((masks[:, 0] > 0).cpu().numpy())

    def _shape(self, height: int, width: int) -> tuple[int, int]:
        scale = self._side / max(height, width)
        return int(height * scale + 0.5), int(width * scale + 0.5)

    def prepare(self, picture: Pixels) -> Any:
        """The tensor the model is given, float32 ``[1, 3, S, S]``."""
        import torch

        rows, cols = self._shape(*picture.shape[:2])
        image = Image.fromarray(picture).resize((cols, rows), Image.Resampling.BILINEAR)
        padded = np.zeros((self._side, self._side, 3), np.float32)
        padded[:rows, :cols] = (np.asarray(image, np.float32) / 255 - self._mean) / self._std
        return torch.from_numpy(padded.transpose(2, 0, 1)[None].copy()).to(self._device)
