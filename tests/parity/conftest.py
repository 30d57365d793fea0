"""Small models of each family, built once a session; no hub can be reached by mistake."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "encoders"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``tiny("hf_clip", act="gelu")`` → its folder, made on first use."""
    import torchvision_stub

    torchvision_stub.declare()
    import tiny as makers
    import torch

    torch.set_num_threads(1)
    made: dict[str, Path] = {}

    def get(maker: str, **options: object) -> Path:
        key = f"{maker}-{sorted(options.items())}"
        if key not in made:
            folder = tmp_path_factory.mktemp("models") / "model"
            made[key] = getattr(makers, maker)(folder, **options)
        return made[key]

    return get
