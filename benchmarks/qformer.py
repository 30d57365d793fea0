"""SPRC, QuRe and DQE-CIR on a small Q-Former, trained on needle edits and asked on others.

    python benchmarks/qformer.py WORK --train EDITS --asked EDITS --asked EDITS

A Q-Former of two blocks looks through the compact encoder's frozen vision tower; it first learns
which caption is of which picture, then each method goes on from it with the same questions and
epochs, once a seed. Objects, backgrounds and edits of the sets differ. Each model is asked with
picture and change, with the words alone (as a text) and with the picture alone (an empty change); a
row each goes to qformer-HARDWARE.csv. Recall and mAP count any labelled answer; answers that nobody
labelled count neither for nor against. Real BLIP-2 weights are another matter: none were at hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from common import write_rows
from needlepoint.bench.metrics.intervals import bootstrap_interval
from needlepoint.bench.needle.edit_protocols import edit_protocol
from needlepoint.bench.protocol import Protocol
from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.qformer import QFormerEncoder
from needlepoint.parts import Composing
from needlepoint.train.loop import Plan
from needlepoint.train.pairs import Pair
from needlepoint.train.qformer import recipe_of, train_qformer
from needlepoint.train.qformer_data import QFormerData, read_questions
from needlepoint.train.qformer_lesson import ComposedQFormer, queries_of, scores_of
from needlepoint.train.qformer_small import SmallShape, captioned, train_matching, write_small
from needlepoint.train.ragged import Rows
from needlepoint.train.triplet_data import training_protocols
from needlepoint.train.triplets import rank_scores

VISION = "open_clip:local-dir:" + str(Path(__file__).parents[1] / "weights" / "compact")
VARIANTS: dict[str, tuple[Composing, dict[str, Any]]] = {
    "sprc": ("sprc", {}),
    "sprc, kin in a step": ("sprc", {"kin": 8}),
    "qure": ("qure", {}),
    "dqe_cir": ("dqe_cir", {}),
}
_BASE_ROW = recipe_of("qure", 1)


def opened(folder: Path) -> QFormerEncoder:
    encoder = open_encoder(f"hf:{folder}", threads=1)
    assert isinstance(encoder, QFormerEncoder)
    return encoder


def of_few(protocol: Protocol, pictures: int) -> Protocol:
    """Whole families, in order, whose references and answers are so many pictures at most.

    The gallery is made of these: a question is trained against answers to other questions.
    """
    kept, used = [], dict[str, None]()
    for question in protocol.questions:
        more = dict.fromkeys([question.file, *sorted(question.relevant)])
        if len(used | more) > pictures:
            break
        used |= more
        kept.append(question)
    items = [item for item in protocol.gallery if item.file in used]
    near = frozenset(item.id for item in items)
    questions = tuple(replace(one, near=one.near & near) for one in kept)
    return replace(protocol, gallery=tuple(items), questions=questions)


def _fair(protocol: Protocol) -> Protocol:
    """Answers that nobody labelled are left out of the ranking."""
    asked = tuple(replace(one, junk=one.junk | one.near) for one in protocol.questions)
    return replace(protocol, questions=asked)


def ways(
    model: ComposedQFormer, data: QFormerData, silence: Any
) -> dict[str, Callable[[Rows], Tensor]]:
    """What a model is asked with; ``silence`` int64 ``[1, L]`` is a text without words."""

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def words(questions: Rows) -> Tensor:
        ids = data.asked(questions, [0], torch.device("cpu"))
        return torch.nn.functional.normalize(model.net.read(ids), dim=-1)

    silent = replace(data, ids=np.tile(silence, (len(data.ids), 1)))
    return {
        "picture and change": lambda questions: queries_of(model, data, questions),
        "words alone": words,
        "picture alone": lambda questions: queries_of(model, silent, questions),
    }


def figures(model: ComposedQFormer, data: QFormerData, silence: Any) -> list[dict[str, Any]]:
    """A row for each way of asking, with intervals over families."""
    questions = np.arange(len(data.triplets))
    rows = []
    for name, asked in ways(model, data, silence).items():
        scores = scores_of(model, data, asked)
        ranks = rank_scores(
            lambda block, scores=scores: scores(questions[block]), questions, data.triplets
        )
        interval = bootstrap_interval(ranks.precision, groups=data.triplets.groups.tolist())
        found = ranks.found.mean(0).round(4).tolist()
        told = dict(zip(("R@1", "R@5", "R@10"), found, strict=True))
        mean = round(float(ranks.precision.mean()), 4)
        rows.append(
            {"asked with": name, **told, "mAP": mean, "mAP_low": round(interval.low, 4),
             "mAP_high": round(interval.high, 4)}
        )  # fmt: skip
    return rows


def taught(folder: Path, pairs: list[Pair], steps: int, cache: Path) -> float:
    """A small BLIP-2, unless it is there; minutes it took."""
    began = time.process_time()
    if not (folder / "model.safetensors").is_file():
        lender = open_encoder(VISION, threads=1)
        write_small(lender, VISION, SmallShape(), [one.text for one in pairs], folder, 0)
        plan = Plan(steps, 1e-3, steps // 10, 0.05, report_every=50)
        train_matching(opened(folder), pairs, plan, 64, folder, cache, say=click.echo)
    return (time.process_time() - began) / 60


@click.command()
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--train", "learnt", required=True, type=click.Path(path_type=Path))
@click.option("--asked", multiple=True, required=True, type=click.Path(path_type=Path))
@click.option("--pictures", default=700, show_default=True, help="Used of the training set.")
@click.option("--captions", default=250, show_default=True, help="Steps of the first lesson.")
@click.option("--epochs", default=10, show_default=True)
@click.option("--rate", default=3e-4, show_default=True)
@click.option("--batch", default=32, show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(VARIANTS)), help="Unless all.")
def main(
    work: Path,
    learnt: Path,
    asked: tuple[Path, ...],
    pictures: int,
    captions: int,
    epochs: int,
    rate: float,
    batch: int,
    seeds: int,
    only: tuple[str, ...],
) -> None:
    """Train, ask, and write the rows."""
    torch.set_num_threads(1)
    few = [of_few(one, pictures) for one in training_protocols([str(learnt)])]
    used = {str(learnt / item.file) for one in few for item in one.gallery}
    pairs = [pair for pair in captioned([learnt]) if pair.source in used]
    rows: list[dict[str, Any]] = []
    cache, small = work / "cache", work / "small"
    minutes = taught(small, pairs, captions, cache)
    start = opened(small)
    sets = {
        folder.name: read_questions([_fair(edit_protocol(folder))], start, cache)
        for folder in asked
    }
    silence = start.tokenize([""])
    plain = ComposedQFormer(start.net, _BASE_ROW).eval()
    rows += told(plain, sets, silence, {"method": "captions alone", "minutes": round(minutes, 1)})
    for seed in range(seeds):
        for name in only or VARIANTS:
            method, changed = VARIANTS[name]
            encoder = opened(small)
            data = read_questions(few, encoder, cache)
            recipe = recipe_of(
                method, len(data.triplets), epochs=epochs, rate=rate, batch=batch, seed=seed,
                held_out=0.0, **changed,
            )  # fmt: skip
            began = time.process_time()
            out = work / f"{name.replace(', ', '-').replace(' ', '-')}-s{seed}"
            facts = train_qformer(encoder, data, recipe, out, half=True, say=click.echo)
            minutes = (time.process_time() - began) / 60
            again = opened(out)
            model = ComposedQFormer(again.net, recipe).eval()
            if model.attributes is not None and again.learnt.attributes is not None:
                model.attributes.load_state_dict(again.learnt.attributes.state_dict())
            refreshed = facts["refreshes"]
            rows += told(model, sets, silence, {
                "method": name, "seed": seed, "minutes": round(minutes, 1),
                "questions": len(data.triplets), "steps": facts["steps_done"],
                "fallback": round(refreshed[-1]["fallback"], 4) if refreshed else "",
            })  # fmt: skip
            click.echo(write_rows("qformer", rows))


def told(
    model: ComposedQFormer, sets: dict[str, QFormerData], silence: Any, facts: dict[str, Any]
) -> list[dict[str, Any]]:
    """Rows of a model on every set."""
    rows = [
        {**facts, "set": name, **row}
        for name, data in sets.items()
        for row in figures(model, data, silence)
    ]
    for row in rows:
        click.echo(str(row))
    return rows


if __name__ == "__main__":
    main()
