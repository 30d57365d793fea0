"""A conversation as one vector: memories in a cascade (FashionNTM, arXiv 2308.10170).

Each stage is a neural Turing machine (Graves et al. 2014, arXiv 1410.5401): a controller, a memory
that one head writes and one head reads. The paper gives the cascade; the equations of addressing
are the standard ones.

Shapes: B conversations, T turns, M stages, P and W numbers of a picture and of words, N slots of S
numbers, H hidden.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from needlepoint.errors import ModelUnavailable, UsageError

WEIGHTS, CONFIG = "fashion_ntm.safetensors", "fashion_ntm.json"


@dataclass(frozen=True, slots=True)
class CascadeShape:
    """Sizes.

    Attributes:
        picture: numbers P of a picture's vector; the answer has as many.
        words: numbers W of a text's vector.
        stages: memories in the cascade (M), one for each level of features.
        slots: rows N of a memory; ``slot``: numbers S of a row.
        hidden: numbers H of a controller's state.
        skip: whether the mean of the turns' vectors is added to the answer, with learnt shares.
            Ours; without it the answer is the paper's.
    """

    picture: int
    words: int
    stages: int = 3
    slots: int = 64
    slot: int = 128
    hidden: int = 256
    skip: bool = False

    def __post_init__(self) -> None:
        for name in ("picture", "words", "stages", "slots", "slot", "hidden"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Memory:
    """The state of one stage: ``rows`` ``[B, N, S]``, the heads' last weights and reading.

    ``reading`` and ``writing`` are ``[B, N]``, ``read`` ``[B, S]``, ``state`` the LSTM's.
    """

    rows: Tensor
    reading: Tensor
    writing: Tensor
    read: Tensor
    state: tuple[Tensor, Tensor]


class Head(nn.Module):  # type: ignore[misc]
    """Where a head looks: by content, held back or moved on from where it looked before."""

    def __init__(self, shape: CascadeShape) -> None:
        super().__init__()
        self._slot = shape.slot
        self.wish = nn.Linear(shape.hidden, shape.slot + 6)

    def forward(self, hidden: Tensor, rows: Tensor, before: Tensor) -> Tensor:
        """Weights ``[B, N]``, none below 0, each row adding up to 1."""
        key, rest = self.wish(hidden).split([self._slot, 6], dim=1)
        strength, gate = nn.functional.softplus(rest[:, :1]), rest[:, 1:2].sigmoid()
        shift, sharp = rest[:, 2:5].softmax(1), 1 + nn.functional.softplus(rest[:, 5:])
        near = nn.functional.cosine_similarity(rows, key[:, None], dim=2)
        content = (strength * near).softmax(1)
        weights = gate * content + (1 - gate) * before
        moved = sum(
            shift[:, place : place + 1] * weights.roll(step, 1)
            for place, step in enumerate((-1, 0, 1))
        )
        # the largest is divided out first, so that a high power of small numbers is no 0 / 0
        powered = (moved / moved.amax(1, keepdim=True)).clamp(min=1e-12) ** sharp
        chosen: Tensor = powered / powered.sum(1, keepdim=True)
        return chosen


class Stage(nn.Module):  # type: ignore[misc]
    """One memory with its controller and its two heads."""

    def __init__(self, shape: CascadeShape) -> None:
        super().__init__()
        self.controller = nn.LSTMCell(shape.picture + shape.words + 2 * shape.slot, shape.hidden)
        self.reader, self.writer = Head(shape), Head(shape)
        self.erase = nn.Linear(shape.hidden, shape.slot)
        self.add = nn.Linear(shape.hidden, shape.slot)
        self.rows = nn.Parameter(torch.randn(shape.slots, shape.slot) * 0.1)

    def start(self, count: int) -> Memory:
        """The memory before the first turn of ``count`` conversations."""
        slots, slot = self.rows.shape
        even = self.rows.new_full((count, slots), 1 / slots)
        none = self.rows.new_zeros(count, self.controller.hidden_size)
        return Memory(
            self.rows.expand(count, -1, -1),
            even,
            even,
            self.rows.new_zeros(count, slot),
            (none, none),
        )

    def forward(self, feature: Tensor, above: Tensor, memory: Memory) -> Memory:
        """One turn: ``feature`` ``[B, P + W]`` and the reading ``[B, S]`` of the stage before."""
        hidden, cell = self.controller(
            torch.cat([feature, memory.read, above], dim=1), memory.state
        )
        writing = self.writer(hidden, memory.rows, memory.writing)
        at = writing[:, :, None]
        rows = memory.rows * (1 - at * self.erase(hidden).sigmoid()[:, None])
        rows = rows + at * self.add(hidden).tanh()[:, None]
        reading = self.reader(hidden, rows, memory.reading)
        read = (reading[:, :, None] * rows).sum(1)
        return Memory(rows, reading, writing, read, (hidden, cell))


class Cascade(nn.Module):  # type: ignore[misc]
    """Turns to the vector that a picture is sought with after each of them."""

    def __init__(self, shape: CascadeShape) -> None:
        super().__init__()
        self.shape = shape
        self.stages = nn.ModuleList(Stage(shape) for _ in range(shape.stages))
        self.answer = nn.Sequential(
            nn.Linear(shape.slot + shape.hidden, shape.hidden),
            nn.GELU(),
            nn.Linear(shape.hidden, shape.picture),
        )
        self.shares = nn.Parameter(torch.ones(2)) if shape.skip else None
        self.scale = nn.Parameter(torch.tensor(20.0).log())

    def start(self, count: int) -> list[Memory]:
        """The memories before the first turn."""
        return [stage.start(count) for stage in self.stages]

    def step(self, features: Tensor, memories: list[Memory]) -> tuple[Tensor, list[Memory]]:
        """One turn: features ``[B, M, P + W]`` to an answer ``[B, P]``, not of unit length."""
        above = torch.zeros_like(memories[0].read)
        after = []
        for level, (stage, memory) in enumerate(zip(self.stages, memories, strict=True)):
            after.append(stage(features[:, level], above, memory))
            above = after[-1].read
        answer: Tensor = self.answer(torch.cat([above, after[-1].state[0]], dim=1))
        return answer, after

    def forward(self, features: Tensor) -> Tensor:
        """Features ``[B, T, M, P + W]`` to unit vectors ``[B, T, P]``, one after each turn."""
        memories, answers = self.start(len(features)), []
        for turn in range(features.shape[1]):
            answer, memories = self.step(features[:, turn], memories)
            answers.append(answer)
        found = torch.stack(answers, dim=1)
        if self.shares is not None:
            found = found + self._means(features, self.shares)
        return nn.functional.normalize(found, dim=2)

    def _means(self, features: Tensor, shares: Tensor) -> Tensor:
        """What was shown and said up to each turn, ``[B, T, P]``."""
        shape, turns = self.shape, features.shape[1]
        counts = torch.arange(1, turns + 1, device=features.device)[:, None]
        shown = features[..., : shape.picture].sum(2).cumsum(1) / counts
        found: Tensor = shares[0] * shown
        if shape.words == shape.picture:  # one space for both
            said = features[:, :, 0, shape.picture :].cumsum(1) / counts
            found = found + shares[1] * said
        return found


def save_cascade(model: Cascade, folder: Path, **told: Any) -> None:
    """Write weights and sizes; ``told`` is kept beside them (what the features were made with)."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / WEIGHTS)
    facts = {"shape": asdict(model.shape), **told}
    (folder / CONFIG).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def load_cascade(folder: Path) -> tuple[Cascade, dict[str, Any]]:
    """The model of a folder, and what was told beside it.

    Raises:
        ModelUnavailable: no such model there, or files that do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        facts = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        model = Cascade(CascadeShape(**facts.pop("shape")))
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailable(
            f"{folder} holds no FashionNTM ({WEIGHTS} and {CONFIG}): {error}. Train one with "
            "`needlepoint train memory`."
        ) from error
    model.eval()
    return model, facts
