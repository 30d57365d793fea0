"""Lets torchvision import beside a CPU build of torch whose binary operators do not match.

open_clip and timm import torchvision for their transforms only; declaring the schemas of the
operators that torchvision registers shapes for is enough. For tests and benchmarks: a user has
matching builds.
"""

from __future__ import annotations

import importlib.util

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
    "int pooled_width, int sampling_ratio, bool aligned) -> Tensor",
)

_library = None


def declare() -> None:
    """Declare the operator schemas once, when torchvision cannot be imported without them."""
    global _library
    if _library is not None or importlib.util.find_spec("torchvision") is None:
        return
    import torch

    if hasattr(torch.ops.torchvision, "nms"):
        return
    _library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        _library.define(schema)
