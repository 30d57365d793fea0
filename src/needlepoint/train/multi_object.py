"""MaO's stage A fine-tuned: the mean of a scene's crops near a view of one of its objects.

arXiv 2503.07038, section 3.1 and appendix: LoRA (arXiv 2106.09685) of rank 256 on queries, keys and
values, InfoNCE with the other questions of the batch as negatives, AdamW from 5e-5 down by 0.93 to
1e-6. The temperature and how often the rate falls are not given there; ours are. Shapes: N scenes,
k crops of each, D dim.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from needlepoint.encoders.hf import read_preprocess
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.errors import UsageError
from needlepoint.picture import Picture, Pixels
from needlepoint.regions.crops import square_around
from needlepoint.regions.objects import Objects

Tensor = Any

KINDS = ("clip", "siglip", "dinov2", "dinov2_with_registers")
_TARGETS = r"(q_proj|k_proj|v_proj|query|key|value)"
_COPIED = ("*.json", "*.txt", "*.model")


@dataclass(frozen=True, slots=True)
class Example:
    """A scene as the crops of its objects, and a view of one of them.

    ``crops`` are k squares uint8 ``[S, S, 3]``, ``query`` one picture. ``shows`` names the
    instances in the scene and ``asks`` the one of the query: where a scene shows what another
    one's query asks for, that pair is no negative. Both may stay empty.
    """

    crops: Sequence[Pixels]
    query: Pixels
    shows: frozenset[str] = frozenset()
    asks: str = ""

    @classmethod
    def of(
        cls,
        picture: Picture,
        objects: Objects,
        query: Pixels,
        side: int,
        shows: frozenset[str] = frozenset(),
        asks: str = "",
    ) -> Example:
        """Crops as stage A makes them; ``side`` is the encoder's input in pixels."""
        rows, cols = picture.pixels.shape[:2]
        boxes = objects.boxes / np.array([picture.scale_x, picture.scale_y] * 2, np.float32)
        crops = [square_around(box, cols, rows, side).cut(picture.pixels) for box in boxes]
        return cls(crops or [picture.pixels], query, shows, asks)


@dataclass(frozen=True, slots=True)
class StageA:
    """How stage A learns; the defaults are the paper's where it gives them.

    ``steps`` of ``batch`` scenes; rate ``first`` times ``fall`` after every ``every`` steps, but
    at least ``last`` (ours: 8, so that it gets there in one epoch of 55 000 scenes);
    ``temperature`` of the loss (ours); ``rank``, ``alpha`` and ``dropout`` of LoRA.
    """

    steps: int = 430
    batch: int = 128
    first: float = 5e-5
    last: float = 1e-6
    fall: float = 0.93
    every: int = 8
    temperature: float = 0.07
    rank: int = 256
    alpha: float = 32.0
    dropout: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 2), ("every", 1), ("rank", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}. Allowed: {least} or more.")
        if not (0 < self.last <= self.first and 0 < self.fall <= 1 and self.temperature > 0):
            raise UsageError(
                f"first is {self.first:g}, last {self.last:g}, fall {self.fall:g}, temperature "
                f"{self.temperature:g}. Allowed: 0 < last <= first, 0 < fall <= 1, temperature > 0."
            )

    def rate(self, step: int) -> float:
        """The rate of a step (the first is 0).

        Example:
            >>> plan = StageA()
            >>> plan.rate(7), round(plan.rate(8) * 1e5, 2), plan.rate(432)
            (5e-05, 4.65, 1e-06)
        """
        return max(self.first * self.fall ** (step // self.every), self.last)


def scene_loss(scenes: Tensor, queries: Tensor, allowed: Tensor, temperature: float) -> Tensor:
    """InfoNCE of scenes against questions, a scalar (MaO, eq. 2).

    Args:
        scenes, queries: ``[N, D]``, unit length; row i of both belong together.
        allowed: bool ``[N, N]``, which questions count for a scene; the diagonal must.
        temperature: what similarities are divided by.
    """
    similar = (scenes @ queries.T / temperature).masked_fill(~allowed, float("-inf"))
    return torch.nn.functional.cross_entropy(similar, torch.arange(len(scenes)).to(similar.device))


def allowed_pairs(examples: Sequence[Example]) -> Tensor:
    """Bool ``[N, N]``: a scene's own question, and those that ask for nothing it shows."""
    rows = [
        [one is other or not other.asks or other.asks not in one.shows for other in examples]
        for one in examples
    ]
    return torch.tensor(rows)


def fine_tune(
    folder: str | Path,
    examples: Sequence[Example],
    out: str | Path,
    plan: StageA | None = None,
    *,
    device: str = "cpu",
    report: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Fit LoRA weights of a model of transformers to scenes, and save them.

    Args:
        folder: the model, with its ``config.json``, weights and ``preprocessor_config.json``.
        examples: scenes; read one by one, so that a sequence may load them when asked.
        out: where the adapter is written, as peft does.
        plan: how to learn.
        device: of torch.
        report: told each step's number and loss.

    Returns:
        The loss of every step.

    Raises:
        UsageError: a model of another kind, or fewer examples than a batch.
    """
    from peft import LoraConfig, get_peft_model

    plan = plan or StageA()
    if len(examples) < plan.batch:
        raise UsageError(
            f"{len(examples)} examples do not fill a batch of {plan.batch}. Give more, or a "
            "smaller batch."
        )
    torch.manual_seed(plan.seed)
    model, kind, preprocess = _open(Path(folder), device)
    inside = r".*vision_model.*\." if kind in ("clip", "siglip") else r".*\."
    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=inside + _TARGETS,
        bias="none",
    )
    adapted = get_peft_model(model, config)
    adapted.train()
    learning = [value for value in adapted.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=plan.first)
    losses = []
    for step, chosen in enumerate(_batches(len(examples), plan)):
        batch = [examples[i] for i in chosen]
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        loss = _loss(adapted, kind, preprocess, batch, plan, device)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if report is not None:
            report(step, losses[-1])
    adapted.save_pretrained(str(out))
    return losses


def merge(folder: str | Path, adapter: str | Path, out: str | Path) -> Path:
    """The model with the adapter in its weights, as a folder that ``hf:FOLDER`` opens.

    Args:
        folder: the model that was fine-tuned.
        adapter: what ``fine_tune`` wrote.
        out: a new folder.

    Raises:
        UsageError: ``out`` holds something already.
    """
    from peft import PeftModel

    target = Path(out)
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"out is {str(target)!r}, which is not empty. Give a new folder.")
    model, _, _ = _open(Path(folder), "cpu")
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    target.mkdir(parents=True, exist_ok=True)
    for pattern in _COPIED:
        for file in Path(folder).glob(pattern):
            shutil.copy(file, target / file.name)
    merged.save_pretrained(str(target))
    return target


def _open(folder: Path, device: str) -> tuple[Any, str, Preprocess]:
    from transformers import AutoModel

    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(f"folder is {str(folder)!r}, which holds no config.json of a model.")
    kind = str(json.loads(path.read_text(encoding="utf-8")).get("model_type", ""))
    if kind not in KINDS:
        raise UsageError(f"the model in {str(folder)!r} is {kind!r}. Allowed: {', '.join(KINDS)}.")
    model = AutoModel.from_pretrained(str(folder), local_files_only=True, dtype=torch.float32)
    # as when a library is made: all of a crop is seen
    return model.to(device), kind, replace(read_preprocess(folder, kind), rule="squash")


def _batches(count: int, plan: StageA) -> Iterator[list[int]]:
    """``steps`` batches; every example once before any comes again."""
    generator = torch.Generator().manual_seed(plan.seed)
    waiting: list[int] = []
    for _ in range(plan.steps):
        if len(waiting) < plan.batch:
            waiting = torch.randperm(count, generator=generator).tolist()
        yield waiting[: plan.batch]
        waiting = waiting[plan.batch :]


def _loss(
    model: Any,
    kind: str,
    preprocess: Preprocess,
    batch: Sequence[Example],
    plan: StageA,
    device: str,
) -> Tensor:
    crops = [crop for example in batch for crop in example.crops]
    owner = [i for i, example in enumerate(batch) for _ in example.crops]
    pixels = preprocess.batch([*crops, *(example.query for example in batch)])
    vectors = _vectors(model, kind, torch.from_numpy(pixels).to(device))
    parts, queries = vectors[: len(crops)], vectors[len(crops) :]
    place = torch.tensor(owner, device=device)
    # the mean's length does not matter: it is brought to 1
    scenes = torch.zeros_like(queries).index_add(0, place, parts)
    unit = torch.nn.functional.normalize
    allowed = allowed_pairs(batch).to(device)
    return scene_loss(unit(scenes, dim=-1), unit(queries, dim=-1), allowed, plan.temperature)


def _vectors(model: Any, kind: str, pixels: Tensor) -> Tensor:
    """The encoder's own output ``[N, D]``, not normalised."""
    if kind not in ("clip", "siglip"):
        return model(pixel_values=pixels).pooler_output
    told = model.get_image_features(pixel_values=pixels)
    return told if isinstance(told, torch.Tensor) else told.pooler_output
