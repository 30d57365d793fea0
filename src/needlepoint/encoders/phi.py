"""A picture's vector as one pseudo-word: the mapping networks of Pic2Word, SEARLE and LinCIR.

What a library keeps of a picture has unit length, while text towers and published networks work
on raw vectors. A network here is given unit vectors times one number, ``scale``: the mean raw
length of the encoder's pictures, measured when it was trained. Queries need no new pass.

Shapes: N vectors, D joint dim, C token width.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from needlepoint.errors import LibraryIncompatible, ModelUnavailable, UsageError
from needlepoint.parts import EncoderCard, Floats

WEIGHTS, CONFIG = "phi.safetensors", "phi.json"
Kind = Literal["pic2word", "searle", "lincir"]


@dataclass(frozen=True, slots=True)
class PhiShape:
    """Sizes of a network: Linear, activation, dropout, twice; then Linear.

    Attributes:
        dim: numbers D of a picture's vector.
        width: numbers C of a token's embedding.
        hidden: numbers of the two layers between.
        activation: ``gelu`` (SEARLE, LinCIR) or ``relu`` (Pic2Word, which drops out before it;
            that is the same).
        dropout: share of the hidden numbers that a step leaves out.
    """

    dim: int
    width: int
    hidden: int
    activation: Literal["gelu", "relu"]
    dropout: float

    def __post_init__(self) -> None:
        for name in ("dim", "width", "hidden"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")
        if self.activation not in ("gelu", "relu"):
            raise UsageError(f"activation: must be gelu or relu, received {self.activation!r}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout: must be at least 0 and below 1, received {self.dropout}")

    @classmethod
    def published(cls, kind: Kind, dim: int, width: int, hidden: int = 0) -> PhiShape:
        """The shape that a method was published with, or one with ``hidden`` numbers between.

        Example:
            >>> PhiShape.published("lincir", 768, 768).hidden
            3072
        """
        if kind == "pic2word":
            return cls(dim, width, hidden or 512, "relu", 0.1)
        return cls(dim, width, hidden or 4 * dim, "gelu", 0.5)


class Phi(nn.Module):  # type: ignore[misc]
    """The network; ``scale`` is what unit vectors of pictures are multiplied by."""

    def __init__(self, shape: PhiShape, scale: float) -> None:
        super().__init__()
        self.shape, self.scale = shape, scale
        layers: list[nn.Module] = []
        size = shape.dim
        for _ in range(2):
            act = nn.GELU() if shape.activation == "gelu" else nn.ReLU()
            layers += [nn.Linear(size, shape.hidden), act, nn.Dropout(shape.dropout)]
            size = shape.hidden
        self.layers = nn.Sequential(*layers, nn.Linear(size, shape.width))

    def forward(self, raw: Tensor) -> Tensor:
        """Vectors ``[N, D]`` of any length to pseudo-words ``[N, C]``."""
        found: Tensor = self.layers(raw)
        return found

    def pseudo_words(self, vectors: Floats) -> Floats:
        """Unit vectors ``[N, D]`` of pictures to pseudo-words float32 ``[N, C]``, no dropout."""
        training = self.training
        self.eval()
        with torch.inference_mode():
            raw = torch.from_numpy(np.ascontiguousarray(vectors, np.float32)) * self.scale
            found: Floats = self(raw).numpy()
        self.train(training)
        return found


def save_phi(model: Phi, folder: Path, kind: Kind, encoder: EncoderCard) -> None:
    """Write ``phi.safetensors`` (float16) and ``phi.json``, which names the encoder."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    held = {k: v.detach().half().contiguous() for k, v in model.state_dict().items()}
    save_file(held, folder / WEIGHTS)
    facts = {
        "method": kind,
        "shape": asdict(model.shape),
        "scale": model.scale,
        "encoder": {"fingerprint": encoder.fingerprint(), "title": encoder.title},
    }
    (folder / CONFIG).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def load_phi(folder: Path, kind: Kind, encoder: EncoderCard) -> Phi:
    """The network of a folder, float32, ready to ask.

    Raises:
        ModelUnavailable: no network there, or files that do not belong together.
        LibraryIncompatible: it was trained for another method or another encoder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        facts = _facts(folder)
        model = Phi(PhiShape(**facts["shape"]), float(facts["scale"]))
        method, made_for = facts["method"], facts["encoder"]
        held = load_file(folder / WEIGHTS)
        model.load_state_dict({k: v.float() for k, v in held.items()})
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailable(
            f"{folder} holds no mapping network ({WEIGHTS} and {CONFIG}): {error}. Train one with "
            f"`needlepoint train phi --method {kind}`."
        ) from error
    if method != kind:
        raise LibraryIncompatible(
            f"weights={folder} holds a network of {method}, not of {kind}. Ask --method {method}, "
            f"or train one with `needlepoint train phi --method {kind}`."
        )
    if made_for["fingerprint"] != encoder.fingerprint():
        raise LibraryIncompatible(
            f"weights={folder} was trained for the encoder {made_for['title']} (fingerprint "
            f"{made_for['fingerprint']}); the library's is {encoder.address} "
            f"({encoder.fingerprint()}). Train one for it with `needlepoint train phi --method "
            f"{kind} --model {encoder.address}`."
        )
    model.eval()
    return model


def find_weights(named: str, kind: Kind, encoder: EncoderCard) -> Path:
    """The folder that ``weights=`` names, or of the weights that lie in a checkout.

    Raises:
        ModelUnavailable: nothing is named, and no weights of a checkout fit the encoder.
    """
    if named:
        return Path(named).expanduser()
    ours = Path(__file__).resolve().parents[3] / "weights" / "composed" / f"{kind}-s0"
    if (ours / CONFIG).is_file() and (
        _facts(ours)["encoder"]["fingerprint"] == encoder.fingerprint()
    ):
        return ours
    raise ModelUnavailable(
        f"method {kind} needs a mapping network for {encoder.address}, and none is at hand. Train "
        f"one with `needlepoint train phi --method {kind} --model {encoder.address} --data FOLDER "
        f"--out MINE`, then ask --method {kind}:weights=MINE."
    )


def _facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return facts
