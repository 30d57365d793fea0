"""Train a mapping network for a frozen encoder: Pic2Word, SEARLE or LinCIR.

Shapes: N items, D joint dim, C token width.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from needlepoint.encoders.phi import Kind, Phi, PhiShape, save_phi
from needlepoint.encoders.slots import Slots
from needlepoint.encoders.text import slots_of
from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.train.keywords import PLAIN, Tagger, self_mask, tag_words
from needlepoint.train.loop import Plan, Progress, train
from needlepoint.train.phi_data import Seen, Source, raw_texts, see
from needlepoint.train.phi_lessons import Captions, Lesson, Pictures, echo
from needlepoint.train.phi_words import Words, distilled
from needlepoint.train.samplers import Batches, Indices
from needlepoint.train.settings import keep_settings, plain

CURVE = "curve.jsonl"
_CHECKED = 500
_MEASURED = 200  # pictures whose mean length LinCIR is told

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PhiRecipe:
    """What is learnt and how.

    Attributes:
        method: ``pic2word`` and ``searle`` learn from pictures, ``lincir`` from captions.
        plan: steps, rates and seed.
        batch: items of a step.
        hidden: numbers of the layers between; 0 for as many as published.
        held_out: share of the pictures, or captions, kept for checking.
        noise: LinCIR's, see ``phi_lessons.noised``.
        sharpness: Pic2Word's inverse temperature; 0 for the one the encoder was trained with.
        words: SEARLE's settings.
    """

    method: Kind
    plan: Plan = field(default_factory=lambda: Plan(steps=1000))
    batch: int = 128
    hidden: int = 0
    held_out: float = 0.05
    noise: float = 1.0
    sharpness: float = 0.0
    words: Words = field(default_factory=Words)

    def __post_init__(self) -> None:
        if self.method not in ("pic2word", "searle", "lincir"):
            raise UsageError(
                f"method: must be pic2word, searle or lincir, received {self.method!r}"
            )
        if not 0 <= self.held_out < 1:
            raise UsageError(f"held_out: must be at least 0 and below 1, received {self.held_out}")
        for name in ("noise", "sharpness", "hidden"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}: must not be negative, received {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class _Task:
    """A lesson, what the network is given of the items held out, and facts for the card."""

    lesson: Lesson
    held: Floats
    scale: float
    told: dict[str, Any]


def train_phi(
    encoder: Any,
    source: Source,
    recipe: PhiRecipe,
    out: Path,
    *,
    cache: Path | None = None,
    tagger: Tagger = tag_words,
    resume: bool = False,
    stop_after: int | None = None,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Train, save and check a network; returns the facts of its card.

    The encoder's towers are read and not changed: libraries need no new vectors.

    Args:
        encoder: with the ability ``inject``.
        source: captions and pictures, of which the method takes what it needs.
        recipe: settings.
        out: where the network goes; ``out/run`` holds what a run needs to go on.
        cache: where vectors and words are kept from run to run; ``out/run`` when None.
        tagger: tells which words of a caption are keywords.
        resume: go on from ``out/run``.
        stop_after: leave after so many steps of this call; the network so far is saved.
        say: told what goes on, a line at a time.

    Raises:
        UsageError: an encoder, data or settings that cannot be used, or a run with others.
    """
    run, plan = out / "run", recipe.plan
    run.mkdir(parents=True, exist_ok=True)
    keep_settings(recipe, run, resume)
    slots = Slots(encoder)
    if recipe.method == "lincir":
        task = _by_captions(encoder, slots, source, recipe, cache or run, tagger, say)
    else:
        task = _by_pictures(encoder, slots, source, recipe, cache or run, tagger, say)
    torch.manual_seed(plan.seed)
    shape = PhiShape.published(recipe.method, slots.dim, slots.width, recipe.hidden)
    model = Phi(shape, task.scale).to(encoder.device)
    keys = task.lesson.keys
    batches = Batches(
        keys,
        batch=min(recipe.batch, len(keys)),
        run=recipe.words.group if recipe.method == "searle" else 1,
        seed=plan.seed,
    )
    curve = _Curve(run / CURVE, resume)

    def loss_of(indices: Indices, step: int) -> Tensor:
        return task.lesson.loss(model, indices, step)

    def report(one: Progress) -> None:
        curve.add(one)
        say(f"step {one.step:,} of {one.steps:,}: loss {one.loss:.4f}, {one.seconds:.0f} s")

    done = train(
        model, loss_of, batches, plan, run, resume=resume, stop_after=stop_after, report=report
    )
    save_phi(model, out, recipe.method, encoder.card)
    return {
        "recipe": plain(recipe),
        "encoder": {"title": encoder.card.title, "fingerprint": encoder.card.fingerprint()},
        "data": list(source.names),
        **task.told,
        "items": len(keys),
        "hidden": shape.hidden,
        "scale": round(task.scale, 4),
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps_done": done,
        "minutes": round(curve.seconds / 60, 2),
        "hardware": f"{os.cpu_count()}-core-{platform.machine().lower()}",
        "loss": curve.ends(),
        "held_out": echo(model, slots, task.held) if len(task.held) else {},
    }


def _by_captions(
    encoder: Any,
    slots: Slots,
    source: Source,
    recipe: PhiRecipe,
    cache: Path,
    tagger: Tagger,
    say: Say,
) -> _Task:
    if not source.texts:
        raise UsageError(
            "data: lincir learns from captions, and there are none; give a folder with "
            "captions.jsonl or a .txt file with a caption a line"
        )
    drawn = np.random.default_rng([recipe.plan.seed, 3])
    masked = [self_mask(text, drawn, tagger) for text in source.texts]
    fitting = [_fits(text, encoder) for text in masked]
    masked = [text if fits else PLAIN for text, fits in zip(masked, fitting, strict=True)]
    learnt, held = _split(source.texts, recipe.held_out)
    raw = raw_texts(encoder, source.texts)
    say(f"{len(learnt):,} captions, {len(held):,} held out")
    # without pictures at hand, captions stand in for them: lengths differ by little
    some = source.pieces[:: max(1, len(source.pieces) // _MEASURED)][:_MEASURED]
    length = see(encoder, some, cache, say).length if some else 0.0
    scale = length or float(np.linalg.norm(raw, axis=1).mean())
    told = {
        "scale_of": "pictures" if length else "captions",
        "captions": len(source.texts),
        "too_long": len(fitting) - sum(fitting),
        "digest": _digest(source.texts),
    }
    lesson = Captions(slots, [masked[i] for i in learnt], raw[learnt], recipe.noise)
    return _Task(lesson, raw[held[:_CHECKED]], scale, told)


def _by_pictures(
    encoder: Any,
    slots: Slots,
    source: Source,
    recipe: PhiRecipe,
    cache: Path,
    tagger: Tagger,
    say: Say,
) -> _Task:
    if not source.pieces:
        raise UsageError(
            f"data: {recipe.method} learns from pictures, and there are none; give a folder of "
            "pictures, with captions.jsonl or without"
        )
    seen = see(encoder, source.pieces, cache, say)
    learnt, held = _split([Path(path).name for path, _ in source.pieces], recipe.held_out)
    say(f"{len(learnt):,} pictures and pieces, {len(held):,} held out")
    if not len(learnt):
        raise UsageError(f"held_out: {recipe.held_out} leaves nothing to learn from")
    scale = seen.length or 1.0
    told: dict[str, Any] = {
        "scale_of": "pictures" if seen.length else "nothing: unit vectors",
        "pictures": len(seen.vectors),
        "digest": seen.digest,
    }
    lesson: Lesson
    if recipe.method == "pic2word":
        sharpness = recipe.sharpness or encoder.text.sharpness
        if not sharpness:
            raise UsageError(
                f"sharpness: {encoder.card.address} does not tell the inverse temperature it was "
                "trained with; give --sharpness"
            )
        told["sharpness"] = round(sharpness, 4)
        lesson = Pictures(slots, seen.vectors[learnt], sharpness)
    else:
        some = Seen(seen.vectors[learnt], seen.length, seen.digest)
        lesson, stage = distilled(
            encoder, slots, some, source.texts, recipe.words, recipe.plan.seed, cache, tagger, say
        )
        told["stage_one"] = stage
    return _Task(lesson, seen.vectors[held[:_CHECKED]] * scale, scale, told)


class _Curve:
    """The losses of a run, a line a report; a run that goes on goes on with its file."""

    def __init__(self, path: Path, resume: bool) -> None:
        self._path = path
        if not resume:
            path.unlink(missing_ok=True)
        rows = self.rows()
        self._before = rows[-1]["seconds"] if rows else 0.0
        self.seconds = self._before

    def rows(self) -> list[dict[str, float]]:
        """What was reported, the latest of each step."""
        if not self._path.is_file():
            return []
        lines = self._path.read_text(encoding="utf-8").splitlines()
        held = {row["step"]: row for row in map(json.loads, lines)}
        return [held[step] for step in sorted(held)]

    def add(self, one: Progress) -> None:
        self.seconds = self._before + one.seconds
        row = {"step": one.step, "loss": round(one.loss, 6), "seconds": round(self.seconds, 1)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def ends(self) -> dict[str, float]:
        """The first and the last loss."""
        rows = self.rows()
        return {"first": rows[0]["loss"], "last": rows[-1]["loss"]} if rows else {}


def _fits(masked: str, encoder: Any) -> bool:
    """Whether each place of a masked caption is a token of its own within the context."""
    try:
        slots_of(masked, encoder.token_ids, encoder.card.context)
    except UsageError:
        return False
    return True


def _split(names: Sequence[str], share: float) -> tuple[Indices, Indices]:
    """Items to learn from and those held out, by a hash of their names."""
    marks = [int.from_bytes(hashlib.sha256(n.encode()).digest()[:4], "big") for n in names]
    held = np.array(marks, np.float64) < share * 2**32
    return np.flatnonzero(~held), np.flatnonzero(held)


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
