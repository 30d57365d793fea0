"""Whether a small Q-Former uses both halves of a composed question, where it could know everything.

    python benchmarks/qformer_attributes.py OUT

Pictures are made of tokens, not of pixels: two things (a noun and a colour each) and four tokens of
noise. A question shows one picture and says "noun colour"; right is the picture whose one thing has
that colour and whose other is as it was. Pairs of nouns that are asked about were never seen
together in training. SPRC, QuRe and DQE-CIR (our reading) learn with both halves, with the words
alone (blank tokens) and with the picture alone (no words); a row each goes to
qformer-attributes-HARDWARE.csv.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import torch

from common import write_rows
from needlepoint.encoders.qformer_net import QFormer
from needlepoint.train.loop import train
from needlepoint.train.negatives import stable_keys
from needlepoint.train.qformer import recipe_of
from needlepoint.train.qformer_data import QFormerData
from needlepoint.train.qformer_lesson import ComposedQFormer, QFormerLesson, scores_of
from needlepoint.train.ragged import Lists
from needlepoint.train.samplers import Batches
from needlepoint.train.triplets import Triplets, rank_scores

NOUNS, COLOURS, WIDTH = 8, 6, 32
START, END = 1, 2


@dataclass(frozen=True)
class Feed:
    """Tokens float32 ``[G, P, C]`` held in memory."""

    tokens: Any
    rows: Any

    def __call__(self, places: Any) -> Any:
        return self.tokens[places]


def world(
    pairs: list[tuple[int, int]], questions: int, rng: np.random.Generator, hide: str
) -> QFormerData:
    """Every picture of some pairs of nouns, and questions about them; ``hide`` a half."""
    known = np.random.default_rng(5)  # what nouns and colours look like is the same in all sets
    nouns, colours = (known.normal(size=(n, WIDTH)) for n in (NOUNS, COLOURS))
    pictures = [(a, b, c, d) for a, b in pairs for c, d in product(range(COLOURS), repeat=2)]
    place = {picture: row for row, picture in enumerate(pictures)}
    tokens = rng.normal(size=(len(pictures), 6, WIDTH)) * 0.5
    for row, (a, b, c, d) in enumerate(pictures):
        tokens[row, :2] += [nouns[a] + colours[c], nouns[b] + colours[d]]
        tokens[row] = tokens[row, rng.permutation(6)]
    references, targets, ids = [], [], []
    for row in rng.integers(0, len(pictures), questions):
        a, b, c, d = pictures[row]
        first, step = bool(rng.integers(2)), int(rng.integers(1, COLOURS))
        new = ((c if first else d) + step) % COLOURS
        references.append(int(row))
        targets.append(place[a, b, new, d] if first else place[a, b, c, new])
        ids.append([START, 3 + (a if first else b), 3 + NOUNS + new, END])
    texts = np.array(ids, np.int64)
    if hide == "words":
        texts[:, 1:] = [END, 0, 0]
    seen = tokens.astype(np.float32)
    if hide == "picture":  # of the questions: references are rows of their own, all blank
        seen = np.concatenate([seen, np.zeros((1, 6, WIDTH), np.float32)])
    count, total = len(targets), len(seen)
    asked_from = np.full(count, total - 1) if hide == "picture" else np.array(references)
    ones = np.ones((total, 1), np.float32)
    triplets = Triplets(
        ones, ones[:, 0], np.arange(total), stable_keys([str(n) for n in range(total)]),
        np.ones((count, 1), np.float32), np.ones(count, np.float32), asked_from,
        np.array(targets), Lists.of([[n] for n in range(count)]),
        Lists.of([[n] for n in targets]), Lists.of([[n] for n in references]),
        Lists.of([[]] * count), Lists.of([list(range(len(pictures)))]), np.zeros(count, np.int64),
        np.arange(count), np.zeros(count, np.int64), ("recolour",),
        stable_keys([f"q{n}" for n in range(count)]),
    )  # fmt: skip
    return QFormerData(triplets, texts, Feed(seen, np.arange(total)))  # type: ignore[arg-type]


def fresh() -> QFormer:
    """Two blocks of width 64, four queries."""
    from transformers import Blip2Config, Blip2ForImageTextRetrieval

    few = {"num_attention_heads": 4, "intermediate_size": 128}
    config = Blip2Config(
        vision_config={"hidden_size": WIDTH, "num_hidden_layers": 0, "image_size": 1,
                       "patch_size": 1, "num_attention_heads": 1, "intermediate_size": 1},
        qformer_config={**few, "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 32,
                        "cross_attention_frequency": 1, "use_qformer_text_input": True,
                        "max_position_embeddings": 8, "hidden_dropout_prob": 0.0,
                        "attention_probs_dropout_prob": 0.0, "initializer_range": 0.1},
        text_config={"model_type": "opt", "hidden_size": 1, "num_hidden_layers": 0, "ffn_dim": 1,
                     "num_attention_heads": 1, "vocab_size": 8, "word_embed_proj_dim": 1},
        num_query_tokens=4, image_text_hidden_size=32,
    )  # fmt: skip
    model = Blip2ForImageTextRetrieval(config)
    torch.nn.init.normal_(model.query_tokens, 0, 0.3)
    return QFormer(SimpleNamespace(**{n: getattr(model, n) for n in (
        "query_tokens", "embeddings", "qformer", "vision_projection", "text_projection", "config"
    )}))  # fmt: skip


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--questions", default=2048, show_default=True)
@click.option("--epochs", default=6, show_default=True)
@click.option("--rate", default=2e-3, show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--only", multiple=True, help="Methods, unless all.")
def main(
    out: Path, questions: int, epochs: int, rate: float, seeds: int, only: tuple[str, ...]
) -> None:
    """Train, ask, and write the rows."""
    torch.set_num_threads(1)
    every = list(combinations(range(NOUNS), 2))
    order = np.random.default_rng(1).permutation(len(every))
    known, new = ([every[n] for n in part] for part in (order[:20], order[20:]))
    rows = []
    methods = only or ("sprc", "qure", "dqe_cir")
    for hide in ("", "picture", "words"):
        for seed, method in product(range(seeds), methods):
            rng = np.random.default_rng([seed, 2])
            data, asked = world(known, questions, rng, hide), world(new, 400, rng, hide)
            recipe = recipe_of(
                method, questions, epochs=epochs, rate=rate, batch=64, seed=seed, held_out=0.0
            )
            torch.manual_seed(seed)
            model = ComposedQFormer(fresh(), recipe)
            learnt = np.arange(questions)
            run = out / f"{method}-{hide or 'both'}-s{seed}"
            lesson = QFormerLesson(model, data, learnt, recipe, run)
            began = time.process_time()
            train(model, lesson, Batches(learnt, batch=64, run=1, seed=seed), recipe.plan, run)
            scores = scores_of(model, asked)
            some = np.arange(len(asked.triplets))
            told = rank_scores(
                lambda block, scores=scores, some=some: scores(some[block]), some, asked.triplets
            ).figures()
            learns = {"": "both", "picture": "words alone", "words": "picture alone"}[hide]
            refreshes = lesson.sets.refreshes
            rows.append({
                "method": method, "learns with": learns, "seed": seed, **told,
                "fallback": round(refreshes[-1].fallback, 3) if refreshes else "",
                "cpu_s": round(time.process_time() - began, 1),
            })  # fmt: skip
            click.echo(f"{rows[-1]} {write_rows('qformer-attributes', rows)}")


if __name__ == "__main__":
    main()
