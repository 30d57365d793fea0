"""Train a BLIP-2 Q-Former for composed questions on a frozen vision tower: SPRC, QuRe, DQE-CIR.

Only what lies behind the vision tower is learnt, so that its tokens are computed once for a data
set. The result is a folder in transformers' format that opens as ``hf:FOLDER``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from needlepoint.encoders.hf import PAD_RATIO, PROCESSOR_FILES, TOKENIZER_FILES
from needlepoint.encoders.qformer import (
    COMPOSER,
    COMPOSER_WEIGHTS,
    VISION_FROM,
    OwnSight,
    QFormerEncoder,
    lent_address,
)
from needlepoint.encoders.qformer_net import Base
from needlepoint.errors import UsageError
from needlepoint.parts import Composing
from needlepoint.train.composed_losses import LossPlan
from needlepoint.train.loop import Plan, Progress, train
from needlepoint.train.qformer_data import QFormerData
from needlepoint.train.qformer_lesson import (
    ComposedQFormer,
    QFormerLesson,
    QFormerRecipe,
    scores_of,
)
from needlepoint.train.samplers import Batches
from needlepoint.train.settings import keep_settings, plain
from needlepoint.train.triplets import rank_scores

_KEPT = (*TOKENIZER_FILES, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
         "vocab.txt", "merges.txt", *PROCESSOR_FILES)  # fmt: skip


def recipe_of(
    method: Composing,
    questions: int,
    *,
    base: Base | None = None,
    epochs: int = 50,
    rate: float = 1e-5,
    batch: int | None = None,
    seed: int = 0,
    **changed: Any,
) -> QFormerRecipe:
    """A method's published settings (those for CIRR), or what is told in their place.

    ``dqe_cir`` has those of QuRe, its likely base, and the losses and negatives of our reading.

    Args:
        method: sprc, qure or dqe_cir.
        questions: how many there are to learn from: epochs become steps.
        base: of dqe_cir; qure unless told.
        epochs, rate, batch, seed: of the run.
        changed: further fields of ``QFormerRecipe``.
    """
    batch = min(batch or (128 if method == "sprc" else 32), questions)
    steps = max(1, epochs * questions // batch)
    if method == "sprc":
        # one cycle of 80 epochs, of which 50 are run
        planned = max(steps, steps * 8 // 5)
        plan = Plan(steps, rate, min(planned // 50, steps - 1), 0.05, seed=seed, planned=planned)
        return QFormerRecipe(method, base or "sprc", plan, batch, **changed)
    plan = Plan(steps, rate, 0, 0.05, betas=(0.9, 0.999), seed=seed, least=0.01)
    given: dict[str, Any] = {"refresh": max(1, epochs // 6)}
    if method == "qure":
        given |= {"negatives": "qure"}
    else:
        given |= {"negatives": "trns", "count": 4, "losses": LossPlan()}
    return QFormerRecipe(method, base or "qure", plan, batch, **{**given, **changed})


def train_qformer(
    encoder: QFormerEncoder,
    data: QFormerData,
    recipe: QFormerRecipe,
    out: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    half: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train, save and check a model; returns the facts of its card.

    Args:
        encoder: where training starts from; it is learnt in place.
        data: questions, whose vision tokens are those of the encoder.
        recipe: settings.
        out: where the model goes; ``out/run`` holds what a run needs to go on.
        resume: go on from ``out/run``.
        stop_after: leave after so many steps of this call; the model so far is saved.
        half: keep float16 on disk; it is opened in float32 all the same.
        say: told what goes on, a line at a time.

    Raises:
        UsageError: nothing to learn from, or a run that is there already.
    """
    run = out / "run"
    run.mkdir(parents=True, exist_ok=True)
    keep_settings(recipe, run, resume)
    learnt, held = data.triplets.split(recipe.held_out, recipe.plan.seed)
    if len(learnt) < recipe.batch:
        raise UsageError(
            f"batch: {recipe.batch} is more than the {len(learnt)} questions there are"
        )
    say(f"{len(learnt):,} questions, {len(held):,} held out")
    torch.manual_seed(recipe.plan.seed)
    model = ComposedQFormer(encoder.net, recipe).to(encoder.device)
    lesson = QFormerLesson(model, data, learnt, recipe, run, say)

    def report(one: Progress) -> None:
        say(f"step {one.step:,} of {one.steps:,}: loss {one.loss:.3f}, {one.seconds:.0f} s")

    done = train(
        model,
        lesson,
        Batches(
            data.triplets.groups[learnt].tolist(),
            batch=recipe.batch,
            run=recipe.kin,
            seed=recipe.plan.seed,
        ),
        recipe.plan,
        run,
        resume=resume,
        stop_after=stop_after,
        report=report,
    )
    save_qformer(encoder, model, recipe, out, half=half)
    return {
        "recipe": plain(recipe),
        "steps_done": done,
        "data": {"name": data.triplets.name, "questions": len(learnt)},
        "start": {"address": encoder.card.address, "weights_hash": encoder.card.weights_hash},
        "parameters": sum(p.numel() for p in model.parameters()),
        "temperature": round(float(model.temperature.detach()), 4),
        "refreshes": [asdict(one) for one in lesson.sets.refreshes],
        "held_out": figures_of(model, data, held) if len(held) else {},
    }


def figures_of(model: ComposedQFormer, data: QFormerData, questions: Any) -> dict[str, Any]:
    """Recall of targets and mAP over the gallery, for some questions."""
    scores = scores_of(model, data)
    return rank_scores(lambda block: scores(questions[block]), questions, data.triplets).figures()


def save_qformer(
    encoder: QFormerEncoder,
    model: ComposedQFormer,
    recipe: QFormerRecipe,
    out: Path,
    *,
    half: bool = False,
) -> None:
    """Write everything that ``hf:OUT`` opens, with what composed training has added."""
    from safetensors.torch import save_file

    write_blip2(encoder, out, half=half)
    told: dict[str, Any] = {"method": recipe.method, "base": recipe.base}
    if model.attributes is not None:
        told["attributes"] = {
            "dim": model.net.dim,
            "words": model.net.dim,
            "names": list(model.attributes.names),
        }
        state = {k: v.detach().contiguous() for k, v in model.attributes.state_dict().items()}
        save_file(state, out / COMPOSER_WEIGHTS)
    (out / COMPOSER).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def write_blip2(encoder: QFormerEncoder, out: Path, *, half: bool = False) -> None:
    """Weights, tokenizer and preprocessing of an encoder as a folder of transformers."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    out.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu() for name, value in encoder.model.state_dict().items()}
    if half:
        state = {name: value.half() for name, value in state.items()}
    encoder.model.save_pretrained(out, state_dict=state)
    for name in _KEPT:
        if (encoder.folder / name).is_file() and encoder.folder != out:
            shutil.copy(encoder.folder / name, out / name)
    if isinstance(encoder.sight, OwnSight):
        _write_padding(encoder.sight, out)
        return
    path = out / "config.json"
    config = json.loads(path.read_text("utf-8"))
    was = json.loads((encoder.folder / "config.json").read_text("utf-8"))[VISION_FROM]
    family, place = lent_address(was, encoder.folder)
    if place:
        was = {**was, "address": f"{family}:{os.path.relpath(place, out.resolve())}"}
    config[VISION_FROM] = was
    path.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _write_padding(sight: OwnSight, out: Path) -> None:
    preprocess = sight.preprocess
    if not preprocess.pad_ratio:
        return
    path = next(out / name for name in PROCESSOR_FILES if (out / name).is_file())
    told = json.loads(path.read_text("utf-8"))
    size = preprocess.size
    told.get("image_processor", told).update(
        {
            "size": {"shortest_edge": size},
            "do_center_crop": True,
            "crop_size": {"height": size, "width": size},
            PAD_RATIO: preprocess.pad_ratio,
        }
    )
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
