"""Train a compact dual encoder on folders of captions, from reading them to the saved model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from needlepoint.errors import UsageError
from needlepoint.train.anchors import Anchors
from needlepoint.train.check import found_at
from needlepoint.train.dual import Dual, Tokens, save_dual, start_from
from needlepoint.train.feeds import Feed
from needlepoint.train.lesson import Lesson, Recipe
from needlepoint.train.loop import CHECKPOINT, Progress, train
from needlepoint.train.pairs import CAPTIONS, Pair, read_pairs
from needlepoint.train.samplers import Batches
from needlepoint.train.settings import keep_settings, plain
from needlepoint.train.settle import settle
from needlepoint.train.vocabulary import common_words, load_tokenizer, make_tokenizer

_CHECKED = 600
_BATCH = 16


def train_dual(
    recipe: Recipe,
    out: Path,
    *,
    cache: Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    stop_after: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train, save and check a model; returns the facts of its card (``card.write_card``).

    Args:
        recipe: data, sizes and settings.
        out: where the model goes; ``out/run`` holds what a run needs to go on.
        cache: where the stem's cells lie; ``out/run/cells`` when None.
        resume: go on from ``out/run``.
        device: torch device.
        stop_after: leave after so many steps of this call; the model so far is saved.
        say: told what goes on, a line at a time.

    Raises:
        UsageError: data or settings that cannot be used, or another recipe than the run's.
    """
    run = out / "run"
    run.mkdir(parents=True, exist_ok=True)
    keep_settings(recipe, run, resume)
    pairs = read_pairs(
        [Path(one) for one in recipe.data], limits=recipe.limits, seed=recipe.plan.seed
    )
    learnt, held = _split(pairs, recipe)
    pieces = len({p.piece for p in learnt})
    say(f"{len(learnt):,} pairs of {pieces:,} pieces, {len(held):,} held out")
    torch.manual_seed(recipe.plan.seed)
    tokenizer = (
        load_tokenizer(Path(recipe.start))
        if recipe.start
        else make_tokenizer(sorted({p.text for p in learnt}), words=recipe.words)
    )
    tokens = Tokens(tokenizer, recipe.shape.context)
    model = Dual(recipe.shape, tokenizer.get_vocab_size())
    cells = cache or run / "cells"
    feed = Feed(pairs, recipe.shape, cells, device, say)
    if recipe.start:
        start_from(model, Path(recipe.start))
    model.to(device)
    going_on = resume and (run / CHECKPOINT).is_file()
    anchors = _anchors(learnt, recipe, cells, run, going_on) if recipe.anchors else None
    lesson = Lesson(model, learnt, feed, tokens, recipe, device, anchors)
    if not recipe.start and not going_on:
        if anchors is not None:
            settle(model, learnt, feed, tokens, tokenizer, anchors, recipe.plan.seed)
        say(f"before the first step: {_short(_figures(model, held, feed, tokens, device))}")
    batches = Batches(
        [p.key for p in learnt],
        batch=min(recipe.batch, len(learnt)),
        run=recipe.run,
        seed=recipe.plan.seed,
    )

    def report(step: Progress) -> None:
        say(
            f"step {step.step:,} of {step.steps:,}: loss {step.loss:.3f}, rate {step.rate:.1e}, "
            f"{step.seconds:.0f} s"
        )
        if step.step % recipe.plan.save_every == 0:
            say(f"held out: {_short(_figures(model, held, feed, tokens, device))}")

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
    save_dual(model, tokenizer, out)
    return {
        "recipe": {k: v for k, v in plain(recipe).items() if k not in ("data", "start")},
        "start": Path(recipe.start).name,
        "steps_done": done,
        "data": [_told(Path(one)) for one in recipe.data],
        "pairs": len(learnt),
        "pieces": pieces,
        "tokens": tokenizer.get_vocab_size(),
        "parameters": sum(p.numel() for p in model.clip.parameters()),
        "held_out": _figures(model, held, feed, tokens, device),
    }


@torch.inference_mode()  # type: ignore[untyped-decorator]
def _figures(
    model: Dual, held: Sequence[Pair], feed: Feed, tokens: Tokens, device: str
) -> dict[str, Any]:
    """Retrieval among held-out pairs, whole pictures and things apart."""
    told: dict[str, Any] = {}
    for kind in ("whole", "thing"):
        one = {p.piece: p for p in held if (p.kind == "whole") == (kind == "whole")}
        some = list(one.values())[:_CHECKED]
        if not some:
            continue
        images = torch.cat(
            [model.images(feed(some[i : i + _BATCH])) for i in range(0, len(some), _BATCH)]
        )
        texts = model.texts(tokens([p.text for p in some]).to(device))
        found = found_at(texts.cpu().numpy(), images.cpu().numpy(), [p.meaning for p in some])
        told[kind] = {"pairs": len(some), **found}
    return told


def _anchors(
    pairs: Sequence[Pair], recipe: Recipe, cells: Path, run: Path, going_on: bool
) -> Anchors:
    path = run / "anchors.npz"
    if not going_on:
        words = common_words(recipe.words)
        made = Anchors.of([p.text for p in pairs], words, recipe.shape.dim, cells / "words.npz")
        made.save(path)
    return Anchors.load(path)


def _short(figures: dict[str, Any]) -> str:
    return "; ".join(f"{kind} R@1 {row['R@1']:.3f}" for kind, row in figures.items())


def _split(pairs: Sequence[Pair], recipe: Recipe) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from and pairs held out, by a hash of the picture's name."""

    def held(pair: Pair) -> bool:
        digest = hashlib.sha256(Path(pair.source).name.encode()).digest()
        return int.from_bytes(digest[:4], "big") < recipe.held_out * 2**32

    learnt = [p for p in pairs if not held(p)]
    if not learnt:
        raise UsageError("data: too few pictures; every one of them fell among the held out")
    return learnt, [p for p in pairs if held(p)]


def _told(folder: Path) -> dict[str, Any]:
    """What a card says of a data folder: name, hash of the captions, licence where it is stated."""
    data = (folder / CAPTIONS).read_bytes()
    told = {"name": folder.name, "captions_sha256": hashlib.sha256(data).hexdigest()}
    truth = folder / "truth.json"
    if truth.is_file():
        told["licence"] = str(json.loads(truth.read_text("utf-8")).get("licence", "unknown"))
    return told
