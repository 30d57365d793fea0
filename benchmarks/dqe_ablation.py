"""DQE-CIR (our reading) taken apart on needle edits, on the vectors of one encoder.

    python benchmarks/dqe_ablation.py TRAIN DEV TEST --model ADDRESS --out DIR

All arms share base, data, steps and seeds. Bounds, K and refresh interval are chosen on DEV, one
after the other; with these, base, + weights, + mid-zone negatives, both, and every other rule for
negatives are asked DEV and, once, TEST. Runs go on where they were broken off.

dqe-ablation-HARDWARE.csv: a row for each arm, split and seed, and one for its seeds together
(seed ``all``: each question's mean over the seeds) with 95 % bootstrap intervals over families of
scenes and the paired differences of mAP to the base and to both parts together. ``fallback`` and
``near`` tell of the sets of the last refresh: questions whose rule found nothing, and negatives
that are right answers nobody labelled; ``caught`` is the share of all such answers that are among
the negatives.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from common import write_rows
from needlepoint.bench.cache import remembering
from needlepoint.bench.metrics import bootstrap_interval, paired_bootstrap
from needlepoint.bench.needle.edit_protocols import edit_protocol
from needlepoint.bench.protocol import Protocol
from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.combiner import CombinerNet, CombinerShape, load_combiner
from needlepoint.train.composed import ComposedRecipe, queries_of, train_composed
from needlepoint.train.composed_losses import LossPlan
from needlepoint.train.loop import Plan
from needlepoint.train.negatives import Bounds, Choice
from needlepoint.train.triplet_data import training_protocols
from needlepoint.train.triplet_features import read_triplets
from needlepoint.train.triplets import Ranks, Triplets, mixed_queries, rank_answers

ATTRIBUTES = ("colour", "shape")
BASE = LossPlan(rank=0.0, attribute=0.0)
FULL = LossPlan(rank=0.5, attribute=0.1)

BOUNDS = (
    Bounds(0.05, 0.30),
    Bounds(0.0, 0.10),
    Bounds(-0.05, 0.10),
    Bounds(0.10, 0.50),
    Bounds(0.002, 0.03, "quantile"),
    Bounds(0.02, 0.20, "quantile"),
)
COUNTS = (1, 4, 16, 64)
INTERVALS = (2, 5, 10)
"""What is tried; the first of the bounds, K = 16 and 5 epochs are the defaults."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all arms share; chosen on DEV with the base alone."""

    steps: int = 300
    batch: int = 128
    rate: float = 1e-3
    projection: int = 128
    hidden: int = 256
    dropout: float = 0.2
    temperature: float = 0.07


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train, ``part`` and ``name`` tell it apart."""

    part: str
    name: str
    weights: bool
    negatives: str
    losses: LossPlan = BASE
    bounds: Bounds = BOUNDS[0]
    count: int = 16
    refresh: int = 5
    times: int = 1
    """How many times the steps of the others."""

    def recipe(self, shared: Settings, dim: int, seed: int) -> ComposedRecipe:
        """The recipe of one seed."""
        shape = CombinerShape(
            dim,
            projection=shared.projection,
            hidden=shared.hidden,
            dropout=shared.dropout,
            attributes=ATTRIBUTES if self.weights else (),
        )
        steps = self.times * shared.steps
        plan = Plan(steps, shared.rate, 0, 0.0, betas=(0.9, 0.999), seed=seed,
                    save_every=steps, report_every=steps)  # fmt: skip
        return ComposedRecipe(
            shape,
            plan,
            shared.batch,
            self.negatives,  # type: ignore[arg-type]
            Choice(bounds=self.bounds),
            self.count,
            self.refresh,
            losses=self.losses,
            temperature=shared.temperature,
            learnt=True,
            held_out=0.0,
        )


def told_bounds(bounds: Bounds) -> str:
    """``gaps 0.05 to 0.3``."""
    return f"{bounds.by}s {bounds.low:g} to {bounds.high:g}"


class Ablation:
    """Trains arms and keeps what they answer.

    Args:
        train, asked: triplets to learn from, and those of each split that is asked.
        out: where runs lie.
        shared: settings of all arms.
        seeds: how many each.
    """

    def __init__(
        self,
        train: Triplets,
        asked: dict[str, Triplets],
        out: Path,
        shared: Settings,
        seeds: int,
    ) -> None:
        self.train, self.asked, self.out = train, asked, out
        self.shared, self.seeds = shared, range(seeds)
        self.rows: list[dict[str, Any]] = []
        self.found: dict[tuple[str, str], list[Ranks]] = {}

    def run(self, arm: Arm, split: str) -> float:
        """Ask an arm of all seeds one split; returns its mean average precision."""
        key = (f"{arm.part}/{arm.name}", split)
        data = self.asked[split]
        questions = np.arange(len(data))
        ranks, told = [], []
        for seed in self.seeds:
            model, facts = self._trained(arm, seed)
            ranks.append(rank_answers(queries_of(model, data, questions), questions, data))
            told.append(facts)
        self.found[key] = ranks
        for seed, one, more in zip(self.seeds, ranks, told, strict=True):
            self.rows.append(self._row(arm, split, seed, one.figures(), more))
        merged = {name: round(float(np.mean([row[name] for row in told])), 5) for name in told[0]}
        self.rows.append(self._row(arm, split, "all", self._pooled(key, data), merged))
        precision = float(np.mean([one.precision for one in ranks]))
        click.echo(f"{split} {arm.part}/{arm.name}: mAP {precision:.4f} {merged}")
        return precision

    def _trained(self, arm: Arm, seed: int) -> tuple[CombinerNet, dict[str, float]]:
        """The model as it is kept on disk, and facts of its negatives."""
        recipe = arm.recipe(self.shared, self.train.dim, seed)
        # arms of one recipe are one run
        folder = self.out / hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]
        path = folder / "facts.json"
        if not path.is_file():
            _, told = train_composed(self.train, recipe, folder, resume=True)
            facts = self._negatives(arm)
            if told["refreshes"]:
                last = told["refreshes"][-1]
                facts = {name: round(last[name], 5) for name in facts}
            path.write_text(json.dumps(facts | {"seconds": told["seconds"]}))
        return load_combiner(folder)[0], json.loads(path.read_text())

    def plain(self, split: str, share: float, name: str) -> None:
        """A row of the weighted sum, nothing learnt."""
        data = self.asked[split]
        questions = np.arange(len(data))
        ranks = rank_answers(mixed_queries(data, questions, share), questions, data)
        self.found[f"controls/{name}", split] = [ranks]
        arm = Arm("controls", name, False, "none")
        pooled = self._pooled((f"controls/{name}", split), data)
        self.rows.append(self._row(arm, split, "all", pooled, {}))
        click.echo(f"{split} {name}: {ranks.figures()}")

    def differences(self, against: str, name: str) -> None:
        """Add to every row of all seeds how far it is from an arm, question by question."""
        for row in self.rows:
            key = (f"{row['part']}/{row['arm']}", row["split"])
            base = self.found.get((against, row["split"]))
            if row["seed"] != "all" or base is None or key[0] == against:
                continue
            mine, theirs = self._precision(self.found[key]), self._precision(base)
            groups = self.asked[row["split"]].groups.tolist()
            gain = bootstrap_interval(mine - theirs, groups=groups)
            row |= {
                name: round(gain.estimate, 4),
                f"{name}_low": round(gain.low, 4),
                f"{name}_high": round(gain.high, 4),
                f"{name}_p": round(paired_bootstrap(mine, theirs, groups=groups)[1], 4),
            }

    def _negatives(self, arm: Arm) -> dict[str, float]:
        """Facts of negatives that need no sets: of the batch, or all."""
        data = self.train
        near = sum(int(np.isin(data.targets, data.near[q]).sum()) for q in range(len(data)))
        planted = int(data.near.lengths().sum())
        if arm.negatives == "in-batch":
            return {"fallback": 0.0, "near": round(near / len(data) ** 2, 5), "caught": 0.0,
                    "size": self.shared.batch - 1}  # fmt: skip
        count = sum(int(data.eligible(np.array([q])).sum()) for q in range(len(data)))
        return {"fallback": 0.0, "near": round(planted / count, 5), "caught": 1.0,
                "size": round(count / len(data), 1)}  # fmt: skip

    def _pooled(self, key: tuple[str, str], data: Triplets) -> dict[str, Any]:
        ranks = self.found[key]
        groups = data.groups.tolist()
        whole = bootstrap_interval(self._precision(ranks), groups=groups)
        ten = bootstrap_interval(np.mean([one.recall(10) for one in ranks], axis=0), groups=groups)
        merged = [one.figures() for one in ranks]
        figures: dict[str, Any] = {
            name: round(float(np.mean([one[name] for one in merged])), 4) for name in merged[0]
        }
        figures["questions"] = len(data)
        return figures | {
            "mAP_low": round(whole.low, 4), "mAP_high": round(whole.high, 4),
            "R@10_low": round(ten.low, 4), "R@10_high": round(ten.high, 4),
        }  # fmt: skip

    @staticmethod
    def _precision(ranks: list[Ranks]) -> np.ndarray:
        return np.mean([one.precision for one in ranks], axis=0)

    @staticmethod
    def _row(
        arm: Arm, split: str, seed: Any, figures: dict[str, Any], more: dict[str, Any]
    ) -> dict[str, Any]:
        row = {"split": split, "part": arm.part, "arm": arm.name, "seed": seed, **figures}
        return row | more


def choose(ablation: Ablation) -> Arm:
    """Bounds, then K, then the refresh interval, by mean average precision on DEV."""
    best = Arm("bounds", "", True, "trns", FULL)
    tried = [replace(best, name=told_bounds(one), bounds=one) for one in BOUNDS]
    best = max(tried, key=lambda arm: ablation.run(arm, "dev"))
    tried = [replace(best, part="K", name=f"K {one}", count=one) for one in COUNTS]
    best = max(tried, key=lambda arm: ablation.run(arm, "dev"))
    tried = [
        replace(best, part="refresh", name=f"every {one} epochs", refresh=one) for one in INTERVALS
    ]
    return max(tried, key=lambda arm: ablation.run(arm, "dev"))


def arms(best: Arm) -> list[Arm]:
    """The corners, both parts with every other rule for negatives, and two trained for longer."""
    base = replace(best, part="main", name="base", weights=False, negatives="in-batch", losses=BASE)
    further = replace(BASE, rank=FULL.rank)
    corners = [
        base,
        replace(base, name="+ ranking loss", losses=further),
        replace(base, name="+ weights", weights=True, losses=replace(BASE, attribute=0.1)),
        replace(base, name="+ trns", negatives="trns", losses=further),
        replace(best, part="main", name="both"),
    ]
    rules = [
        replace(best, part="negatives", name=rule, negatives=rule)
        for rule in ("random", "hardest", "qure", "in-batch", "all")
    ]
    longer = [replace(one, part="twice the steps", times=2) for one in (base, corners[-1])]
    return corners + rules + longer


@click.command(help=__doc__)
@click.argument("train", type=click.Path(exists=True, path_type=Path))
@click.argument("dev", type=click.Path(exists=True, path_type=Path))
@click.argument("test", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "address", required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--seeds", default=3, show_default=True)
@click.option("--steps", default=Settings().steps, show_default=True)
def main(
    train: Path, dev: Path, test: Path, address: str, out: Path, seeds: int, steps: int
) -> None:
    """Choose on DEV, then ask TEST once."""
    torch.set_num_threads(1)
    encoder = remembering(open_encoder(address, threads=1), out / "features")

    def read(protocols: list[Protocol]) -> Triplets:
        return read_triplets(protocols, encoder, cache=out / "triplets", say=click.echo)

    learnt = read(training_protocols([str(train)]))
    asked = {"dev": read([edit_protocol(dev)]), "test": read([edit_protocol(test)])}
    ablation = Ablation(learnt, asked, out / "runs", replace(Settings(), steps=steps), seeds)
    best = choose(ablation)
    for split in ("dev", "test"):
        for name, share in (("picture alone", 0.0), ("sum", 0.5), ("words alone", 1.0)):
            ablation.plain(split, share, name)
        for arm in arms(best):
            ablation.run(arm, split)
    ablation.differences("main/base", "over_base")
    ablation.differences("main/both", "over_both")
    click.echo(write_rows("dqe-ablation", ablation.rows))


if __name__ == "__main__":
    main()
