"""A picture's and a text's vector to one query vector: CLIP4Cir's Combiner (arXiv 2308.11485), a
plain perceptron beside it, and DQE-CIR's attribute weights behind either.

Shapes: B questions, D numbers of a vector, P projection, H hidden, A attributes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from needlepoint.encoders.attributes import AttributeWeights
from needlepoint.errors import ModelUnavailable, UsageError

WEIGHTS, CONFIG = "combiner.safetensors", "combiner.json"


@dataclass(frozen=True, slots=True)
class CombinerShape:
    """Sizes and kinds.

    Attributes:
        dim: numbers D of a picture's, a text's and a query's vector.
        base: ``combiner``, or ``mlp``: two layers on both vectors side by side.
        projection: width P of each half of a Combiner; 0 for 4 D, as published.
        hidden: width H of both branches, and of the perceptron; 0 for 8 D, as published.
        dropout: share of activations left out in training.
        attributes: names of the attributes that are weighted; none for the base alone.
        gate: how the words become weights, see ``AttributeWeights``.
        lengths: ``unit``: vectors of unit length, as a library keeps them; ``raw``: with the
            length that the encoder gave them.
    """

    dim: int
    base: Literal["combiner", "mlp"] = "combiner"
    projection: int = 0
    hidden: int = 0
    dropout: float = 0.5
    attributes: tuple[str, ...] = ()
    gate: Literal["sigmoid", "softmax"] = "sigmoid"
    lengths: Literal["unit", "raw"] = "unit"

    def __post_init__(self) -> None:
        if self.dim < 1 or min(self.projection, self.hidden) < 0:
            raise UsageError(
                f"dim: must be at least 1, projection and hidden 0 or more, received {self.dim}, "
                f"{self.projection}, {self.hidden}"
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout: must be at least 0 and below 1, received {self.dropout}")
        for name, allowed in (("base", ("combiner", "mlp")), ("lengths", ("unit", "raw"))):
            if getattr(self, name) not in allowed:
                raise UsageError(
                    f"{name}: must be {' or '.join(allowed)}, received {getattr(self, name)!r}"
                )

    @property
    def widths(self) -> tuple[int, int]:
        """P and H."""
        return self.projection or 4 * self.dim, self.hidden or 8 * self.dim


@dataclass(frozen=True, slots=True)
class Combined:
    """Queries and what they are made of.

    ``query`` ``[B, D]`` has unit length, ``base`` ``[B, D]`` is what it was before attributes and
    normalisation; ``share`` ``[B]`` is the words' share in a Combiner's convex part, None for a
    perceptron; ``weights`` ``[B, A]`` and ``features`` ``[B, A, D]`` are those of the attributes.
    """

    query: Tensor
    base: Tensor
    share: Tensor | None = None
    weights: Tensor | None = None
    features: Tensor | None = None


class Combiner(nn.Module):  # type: ignore[misc]
    """``v + s t + (1 - s) i``: a mixture of both vectors and what a network adds to it."""

    def __init__(self, shape: CombinerShape) -> None:
        super().__init__()
        width, hidden = shape.widths
        self.text = nn.Linear(shape.dim, width)
        self.image = nn.Linear(shape.dim, width)
        self.joint = nn.Linear(2 * width, hidden)
        self.out = nn.Linear(hidden, shape.dim)
        self.share = nn.Sequential(
            nn.Linear(2 * width, hidden),
            nn.ReLU(),
            nn.Dropout(shape.dropout),
            nn.Linear(hidden, 1),
            nn.Sigmoid(),
        )
        self._drop = nn.Dropout(shape.dropout)

    def forward(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, D]`` each to queries ``[B, D]``, not normalised, and the words' share ``[B]``."""
        both = [self.text(texts).relu(), self.image(images).relu()]
        seen = torch.cat([self._drop(one) for one in both], dim=1)
        added = self.out(self._drop(self.joint(seen).relu()))
        share = self.share(seen)
        return added + share * texts + (1 - share) * images, share[:, 0]


class CombinerNet(nn.Module):  # type: ignore[misc]
    """The base, the attributes behind it where there are any, and the temperature of training."""

    def __init__(self, shape: CombinerShape) -> None:
        super().__init__()
        self.shape = shape
        _, hidden = shape.widths
        self.base: Any = (
            Combiner(shape)
            if shape.base == "combiner"
            else nn.Sequential(
                nn.Linear(2 * shape.dim, hidden),
                nn.ReLU(),
                nn.Dropout(shape.dropout),
                nn.Linear(hidden, shape.dim),
            )
        )
        self.attributes = (
            AttributeWeights(shape.dim, shape.dim, shape.attributes, shape.gate)
            if shape.attributes
            else None
        )
        self.log_temperature = nn.Parameter(torch.tensor(0.07).log())

    @property
    def temperature(self) -> Tensor:
        """What scores are divided by in training."""
        return self.log_temperature.exp()

    def forward(self, images: Tensor, texts: Tensor) -> Combined:
        """Vectors ``[B, D]`` each; their lengths as ``shape.lengths`` says."""
        share = None
        if self.shape.base == "combiner":
            base, share = self.base(images, texts)
        else:
            base = self.base(torch.cat([images, texts], dim=1))
        if self.attributes is None:
            return Combined(nn.functional.normalize(base, dim=1), base, share)
        found = self.attributes(base, texts)
        return Combined(found.query, base, share, found.weights, found.features)


def save_combiner(model: CombinerNet, folder: Path, **told: Any) -> None:
    """Write weights as float16 and sizes; ``told`` is kept beside them (the features' encoder)."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().half().contiguous() for k, v in model.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    facts = {"shape": asdict(model.shape), **told}
    (folder / CONFIG).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def load_combiner(folder: Path) -> tuple[CombinerNet, dict[str, Any]]:
    """The model of a folder in float32, and what was told beside it.

    Raises:
        ModelUnavailable: no such model there, or files that do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        facts = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        shape = facts.pop("shape")
        shape["attributes"] = tuple(shape["attributes"])
        model = CombinerNet(CombinerShape(**shape))
        state = {name: value.float() for name, value in load_file(folder / WEIGHTS).items()}
        model.load_state_dict(state)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailable(
            f"{folder} holds no combiner ({WEIGHTS} and {CONFIG}): {error}. Train one with "
            "`needlepoint train combiner` or `needlepoint train dqe-cir`."
        ) from error
    model.eval()
    return model, facts
