"""CLIP4Cir's first stage: both towers of a CLIP model learn that picture plus change is the target.

Shapes: B questions of a step, G pictures, N texts, D numbers of a vector.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from needlepoint.bench.protocol import Protocol
from needlepoint.encoders.address import Address, open_encoder
from needlepoint.encoders.open_clip import (
    CONFIG_FILE,
    PAD_RATIO,
    TOKENIZER_FILES,
    WEIGHT_FILES,
    OpenClipTokenize,
    Parts,
    load_model,
    locate,
    read_preprocess,
)
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.stem import CHANNELS, StemConv
from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.picture import Pixels
from needlepoint.train.composed_losses import LossPlan, composed_loss, gallery_scores
from needlepoint.train.feeds import CellFeed, PixelFeed, piece_keys
from needlepoint.train.loop import Plan, Progress, train
from needlepoint.train.ragged import Rows
from needlepoint.train.samplers import Batches, Indices
from needlepoint.train.settings import keep_settings, plain
from needlepoint.train.triplet_features import Gathered, Joining
from needlepoint.train.triplets import Triplets, rank_answers, sequence_codes

_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class TowersRecipe:
    """What is learnt and how.

    Attributes:
        plan: steps, rates and seed.
        batch: questions of a step.
        pad_ratio: longer pictures are padded with black to this shape first; 0 for none. The
            tuned model pads all pictures so.
        joining: of two captions, see ``read_triplets``.
        temperature: scores are divided by it.
        held_out: share of the groups kept for checking.
    """

    plan: Plan = field(default_factory=lambda: Plan(steps=1000, rate=2e-6, warm_up=0))
    batch: int = 128
    pad_ratio: float = 1.25
    joining: Joining = "as asked"
    temperature: float = 0.01
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if self.batch < 2:
            raise UsageError(f"batch: must be at least 2, received {self.batch}")
        if self.temperature <= 0:
            raise UsageError(f"temperature: must be above 0, received {self.temperature}")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"held_out: must be at least 0 and below 1, received {self.held_out}")


class Towers(nn.Module):  # type: ignore[misc]
    """Both towers of an open_clip model, always in eval mode: nothing is dropped in training.

    A frozen stem is taken out as ``cells``: what it gives, ``[N, 1280, h, w]``, is the input then.
    """

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.clip = clip.requires_grad_(True)
        first = getattr(clip.visual, "conv1", None)
        self.cells: Callable[[Tensor], Tensor] | None = None
        if isinstance(first, StemConv):
            self.cells = first.cells
            clip.visual.conv1 = nn.Conv2d(CHANNELS, first.out_channels, 1, bias=False)
            clip.visual.conv1.weight = first.weight
        for name in ("logit_scale", "logit_bias"):
            if isinstance(getattr(clip, name, None), nn.Parameter):
                getattr(clip, name).requires_grad_(False)

    def train(self, mode: bool = True) -> Towers:
        """Stays in eval mode, whatever is asked."""
        super().train(False)
        return self

    def queries(self, images: Tensor, ids: Tensor) -> Tensor:
        """``unit(f(picture) + g(words))``, ``[B, D]``: lengths are those the towers give."""
        return nn.functional.normalize(
            self.clip.encode_image(images) + self.clip.encode_text(ids), dim=1
        )

    def targets(self, images: Tensor) -> Tensor:
        """``unit(f(picture))``, ``[B, D]``."""
        return nn.functional.normalize(self.clip.encode_image(images), dim=1)


class _Pixels(Gathered):
    """Pictures as places of a feed, texts as token ids."""

    def pictures(self) -> tuple[Floats, Floats, Rows]:
        """Nothing but which pieces have the same content."""
        pieces = [(str(path), box) for path, box in self.pieces]
        ones = np.ones((len(pieces), 1), np.float32)
        return ones, ones[:, 0], sequence_codes(piece_keys(pieces, "pixels"))

    def said(self) -> tuple[Floats, Floats]:
        """Nothing but how many there are."""
        ones = np.ones((len(self.texts), 1), np.float32)
        return ones, ones[:, 0]


class TowersLesson:
    """The loss of a step: cross-entropy over the targets of the batch, question to target only.

    Args:
        model: what is learnt.
        data: who is asked what; its vectors mean nothing.
        feed: rows of the gallery to inputs float32 ``[B, ...]``.
        ids: int64 ``[N, L]``, the wordings.
        learnt: int64, the questions that are learnt from.
        recipe: settings.
    """

    def __init__(
        self,
        model: Towers,
        data: Triplets,
        feed: Callable[[Rows], Tensor],
        ids: Tensor,
        learnt: Rows,
        recipe: TowersRecipe,
    ) -> None:
        self.model, self.data, self.feed, self.ids = model, data, feed, ids
        self.learnt, self.recipe = learnt, recipe

    def __call__(self, indices: Indices, step: int) -> Tensor:
        """The loss of the questions ``learnt[indices]``, a scalar."""
        data, questions = self.data, self.learnt[indices]
        rng = np.random.default_rng([self.recipe.plan.seed, 5, step])
        drawn = rng.integers(0, data.wordings.lengths()[questions])
        texts = data.wordings.values[data.wordings.offsets[questions] + drawn]
        queries = self.model.queries(
            self.feed(data.references[questions]), self.ids[torch.from_numpy(texts)]
        )
        targets = self.model.targets(self.feed(data.targets[questions]))
        scores = gallery_scores(queries, targets[:, None])
        given = torch.from_numpy(~data.right(questions, data.targets[questions]))
        plan = LossPlan(rank=0.0, attribute=0.0)
        return composed_loss(scores.diagonal(), scores, given, self.recipe.temperature, plan)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def vectors(self) -> tuple[Floats, Floats]:
        """What the towers make of all pictures and all wordings, raw: ``[G, D]`` and ``[N, D]``."""
        clip, count = self.model.clip, len(self.data.gallery)
        images = [
            clip.encode_image(self.feed(np.arange(start, min(start + _TOGETHER, count))))
            for start in range(0, count, _TOGETHER)
        ]
        texts = [clip.encode_text(some) for some in self.ids.split(_TOGETHER)]
        return torch.cat(images).float().numpy(), torch.cat(texts).float().numpy()

    def figures(self, questions: Rows) -> dict[str, float | int]:
        """Recall of ``unit(f + g)`` on questions, the mean over their wordings."""
        if not len(questions):
            return {}
        images, words = self.vectors()
        data = replace(self.data, gallery=_unit(images), texts=_unit(words))
        rows, texts = data.wordings.flat(questions)
        found = _unit(images[data.references[questions[rows]]] + words[texts])
        summed = np.zeros((len(questions), data.dim), np.float32)
        np.add.at(summed, rows, found)
        return rank_answers(_unit(summed), questions, data).figures()


def tune_towers(
    address: Address,
    protocols: Sequence[Protocol],
    recipe: TowersRecipe,
    out: Path,
    *,
    cache: Path | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Tune, save and check a model in open_clip's format; returns the facts of its card.

    Args:
        address: of an open_clip model.
        protocols: composed questions.
        recipe: settings.
        out: where the model goes, ``open_clip:local-dir:OUT``; ``out/run`` holds what a run needs
            to go on.
        cache: where cells of a frozen stem lie; ``out/run/cells`` when None.
        resume: go on from ``out/run``.
        stop_after: leave after so many steps of this call; the model so far is saved.
        say: told what goes on, a line at a time.

    Raises:
        UsageError: an address of another kind, nothing to learn from, or a run that is there
            already.
    """
    if address.family != "open_clip" or address.precision:
        raise UsageError(
            f"model: {address} cannot be tuned; give an open_clip: address without +bf16"
        )
    run, began = out / "run", time.monotonic()
    run.mkdir(parents=True, exist_ok=True)
    keep_settings(recipe, run, resume)
    parts = locate(address)
    model = Towers(load_model(address, parts, "cpu", None))
    preprocess = replace(read_preprocess(model.clip.visual), pad_ratio=recipe.pad_ratio)
    card = open_encoder(str(address)).card
    gathered = _Pixels(protocols, recipe.joining, card)
    data = gathered.made()
    ids = torch.from_numpy(OpenClipTokenize(address, parts)(gathered.texts))
    feed = _feed(gathered, model, preprocess, parts.stem, cache or run / "cells", say)
    learnt, held = data.split(recipe.held_out, recipe.plan.seed)
    if len(learnt) < 2:
        raise UsageError(
            f"held_out: {recipe.held_out} leaves {len(learnt)} questions to learn from"
        )
    say(f"{len(learnt):,} questions, {len(held):,} held out, {len(data.gallery):,} pictures")
    recipe = replace(recipe, batch=min(recipe.batch, len(learnt)))
    lesson = TowersLesson(model, data, feed, ids, learnt, recipe)
    batches = Batches(range(len(learnt)), batch=recipe.batch, run=1, seed=recipe.plan.seed)

    def report(one: Progress) -> None:
        say(f"step {one.step:,} of {one.steps:,}: loss {one.loss:.3f}, {one.seconds:.0f} s")

    before = lesson.figures(held) if not resume else {}
    done = train(
        model,
        lesson,
        batches,
        recipe.plan,
        run,
        resume=resume,
        stop_after=stop_after,
        report=report,
    )
    _save(model, parts, preprocess, out)
    return {
        "recipe": plain(recipe),
        "start": card.title,
        "steps_done": done,
        "seconds": round(time.monotonic() - began, 1),
        "data": {"name": data.name, "questions": len(learnt), "pictures": len(data.gallery)},
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "before": before,
        "held_out": lesson.figures(held),
    }


def _feed(
    gathered: Gathered,
    model: Towers,
    preprocess: Preprocess,
    stem: str,
    cache: Path,
    say: Callable[[str], None],
) -> Callable[[Rows], Tensor]:
    """Rows of the gallery to inputs: pixels, or cells of the stem that lie on disk."""
    pieces = [(str(path), box) for path, box in gathered.pieces]
    if model.cells is None:
        pixels = PixelFeed(pieces, preprocess)
        return lambda rows: torch.from_numpy(pixels(rows))
    cells = model.cells

    def cells_of(piece: Pixels) -> Floats:
        found = cells(torch.from_numpy(preprocess.batch([piece])))[0]
        rows: Floats = found.flatten(1).T.numpy()
        return rows

    side = round(len(cells_of(np.zeros((8, 8, 3), np.uint8))) ** 0.5)
    kept = CellFeed(
        pieces,
        cache,
        (side * side, CHANNELS),
        f"{stem} {preprocess}",
        cells_of,
        lambda done, total: say(f"stem: {done:,} of {total:,} pictures"),
    )
    return lambda rows: torch.from_numpy(kept(rows)).mT.unflatten(2, (side, side))


def _save(model: Towers, parts: Parts, preprocess: Preprocess, out: Path) -> None:
    """Write the folder ``open_clip:local-dir:OUT`` opens, weights in float32."""
    from safetensors.torch import save

    folder = Path(parts.model.removeprefix("local-dir:"))
    if parts.model.startswith("local-dir:"):
        told = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
        for name in TOKENIZER_FILES:
            if (folder / name).is_file():
                shutil.copy(folder / name, out / name)
    else:
        if parts.config["text_cfg"].get("hf_tokenizer_name"):
            raise UsageError(
                f"model: {parts.model} reads words with a tokenizer from the hub, which is not "
                "copied; tune a model of CLIP's own tokenizer, or one in a folder of its own"
            )
        told = {
            "model_cfg": {**parts.config, "quick_gelu": parts.quick_gelu},
            "preprocess_cfg": {
                "mean": list(preprocess.mean),
                "std": list(preprocess.std),
                "interpolation": preprocess.interpolation,
                "resize_mode": _MODES[preprocess.rule],
            },
        }
    told[PAD_RATIO] = preprocess.pad_ratio
    (out / CONFIG_FILE).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    state = model.clip.state_dict()
    state = {name: value.detach().float().contiguous() for name, value in state.items()}
    (out / WEIGHT_FILES[0]).write_bytes(save(state))


_MODES = {"shortest-crop": "shortest", "squash": "squash", "longest-pad": "longest"}


def _unit(rows: Floats) -> Floats:
    found: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return found
