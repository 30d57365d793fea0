"""Lets torchvision import beside a CPU build of torch whose binary operators do not match.

open_clip and timm import torchvision for their transforms only; declaring the schemas of the
operators that torchvision registers shapes for is enough. For tests and benchmarks: a user has
matching builds. Run as a program it makes the environment it runs in do so whenever torchvision
is first imported, so that the installed command works there as well.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

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


class _First:
    """Declares the schemas when torchvision is looked for the first time, then steps aside."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            declare()


def hook() -> None:
    """Declare the schemas before torchvision is imported; costs nothing where it is not."""
    sys.meta_path.insert(0, _First())


def install() -> None:
    """Hook every interpreter of this environment."""
    packages = Path(sysconfig.get_path("purelib"))
    shutil.copy(__file__, packages / "torchvision_stub.py")
    (packages / "torchvision_stub.pth").write_text(
        "import torchvision_stub; torchvision_stub.hook()\n"
    )


if __name__ == "__main__":
    install()
