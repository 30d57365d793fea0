"""FashionNTM beside the last turn alone and the mean of the turns, each trained in the same way.

    python benchmarks/fashion_ntm.py edits OUT
    python benchmarks/fashion_ntm.py scenes OUT --train SET --test SET --model ADDRESS --cache DIR

``edits``: conversations made of attributes (``needlepoint.train.edits``). ``scenes``: what the
simulated user says and marks on generated scenes (whole pictures marked, plain feedback answering),
with the encoder's vectors of whole pictures; trained on one set, asked on another. All are trained
with the same loss, steps and seed; a row a model and seed goes to fashion-ntm-HARDWARE.csv.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import nn

from common import write_rows
from needlepoint.bench.array_view import ArrayView, probes_of
from needlepoint.bench.cache import remembering
from needlepoint.bench.gallery import Album, describe_gallery
from needlepoint.bench.needle.truth import load_truth
from needlepoint.bench.user import Manner, Scenes, SceneUser
from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.cascade import Cascade, CascadeShape
from needlepoint.methods.card import describer_of
from needlepoint.methods.interactive.fashion_ntm import hear
from needlepoint.methods.interactive.feedback import Feedback
from needlepoint.methods.interactive.feedback import Options as FeedbackOptions
from needlepoint.train.edits import attribute_edits
from needlepoint.train.loop import Plan
from needlepoint.train.memory import (
    Conversations,
    MemoryRecipe,
    last_turn_figures,
    train_memory,
    write_memory_card,
)


class Turns(nn.Module):
    """A perceptron on the last turn, or on the mean of the turns so far; no memory."""

    def __init__(self, shape: CascadeShape, *, mean: bool) -> None:
        super().__init__()
        self._mean = mean
        self.answer = nn.Sequential(
            nn.Linear(shape.stages * (shape.picture + shape.words), 2 * shape.hidden),
            nn.GELU(),
            nn.Linear(2 * shape.hidden, shape.picture),
        )
        self.scale = nn.Parameter(torch.tensor(20.0).log())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """As ``Cascade``."""
        flat = features.flatten(2)
        if self._mean:
            counts = torch.arange(1, flat.shape[1] + 1)[:, None]
            flat = flat.cumsum(1) / counts
        return nn.functional.normalize(self.answer(flat), dim=2)


class MeanVector(nn.Module):
    """Nothing learnt: the mean of all vectors shown and said, for encoders with one space."""

    def __init__(self, shape: CascadeShape) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """As ``Cascade``."""
        shown, said = features[:, :, 0].split([self._shape.picture, self._shape.words], dim=2)
        return nn.functional.normalize((shown + said).cumsum(1), dim=2)


def models(shape: CascadeShape) -> dict[str, Any]:
    """Makers of what is compared."""
    return {
        "fashion_ntm": lambda: Cascade(shape),
        "fashion_ntm, mean added": lambda: Cascade(CascadeShape(**{**_facts(shape), "skip": True})),
        "last turn": lambda: Turns(shape, mean=False),
        "mean of turns": lambda: Turns(shape, mean=True),
    }


def _facts(shape: CascadeShape) -> dict[str, Any]:
    return {name: getattr(shape, name) for name in shape.__dataclass_fields__}


def compare(
    name: str,
    train: Conversations,
    test: Conversations | None,
    shape: CascadeShape,
    plan: dict[str, Any],
    out: Path,
    seeds: range,
) -> list[dict[str, Any]]:
    """Train each model with each seed and score it after the last turn of unseen conversations."""
    rows = []
    for seed in seeds:
        for kind, make in models(shape).items():
            torch.manual_seed(seed)
            recipe = MemoryRecipe(
                shape, Plan(seed=seed, **plan), held_out=0.1 if test is None else 0
            )
            folder = out / f"{name}-{kind.replace(', ', '-').replace(' ', '-')}-{seed}"
            model = make()
            told = train_memory(train, recipe, folder, model=model, resume=True)
            figures = told["held_out"]
            if test is not None:
                figures = last_turn_figures(model, test, np.arange(len(test.targets)), shape.stages)
            row = {"data": name, "model": kind, "seed": seed, **figures}
            rows.append(row | {"parameters": told["parameters"], "steps": told["steps_done"]})
            click.echo(str(rows[-1]))
    return rows


def talks_of(folder: Path, address: str, cache: Path, count: int, seed: int) -> Conversations:
    """The simulated user's conversations on one set as features.

    Plain feedback answers on vectors of whole pictures; marks are those that the method will hear.
    """
    encoder = remembering(open_encoder(address, threads=1), cache)
    truth = load_truth(folder)
    pictures = truth.pictures[:count]
    files = [folder / one.file for one in pictures]
    album = Album(200)
    described = describe_gallery(encoder, describer_of("none"), files, album)
    view = ArrayView(encoder, described, files, album)
    scenes = Scenes(pictures, float(truth.options.get("min_visible", 0.5)))
    manner = Manner(marks="pictures")
    space = encoder.card.space_for("image")
    words = encoder.card.space_for("text")
    assert space is not None
    assert words is not None
    method = Feedback(FeedbackOptions())
    features, lengths, targets = [], [], []
    for target in scenes.targets():
        user = SceneUser(scenes, target, manner, seed)
        turns = [user.opening()]
        for _ in range(manner.rounds):
            probes = probes_of(method.understand(turns, view), view)
            turn = user.reply(view.search(probes, manner.shown)[0].tolist(), "")
            turns += [] if turn is None else [turn]
        heard = hear(turns, view, space.dim, words.dim).features[:, ::2]  # pictures and words
        features.append(np.pad(heard, ((0, manner.rounds + 1 - len(turns)), (0, 0), (0, 0))))
        lengths.append(len(turns))
        targets.append(target)
    gallery = described.spaces[space.name].whole
    return Conversations(
        np.stack(features), np.array(lengths), np.array(targets), gallery, folder.name
    )


@click.group(help=__doc__)
def main() -> None:
    """The two comparisons."""
    torch.set_num_threads(1)


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--steps", default=200, show_default=True)
@click.option("--seeds", default=3, show_default=True)
def edits(out: Path, steps: int, seeds: int) -> None:
    """Conversations made of attributes."""
    data = attribute_edits(2000, pictures=300, dim=32)
    shape = CascadeShape(32, 32, stages=2, slots=16, slot=32, hidden=64)
    plan = {"steps": steps, "rate": 3e-3, "warm_up": 20, "decay": 0.01, "save_every": 1000}
    rows = compare("attribute edits", data, None, shape, plan, out, range(seeds))
    click.echo(write_rows("fashion-ntm-edits", rows))


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--train", "learnt", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--test", "asked", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--model", "address", required=True)
@click.option("--cache", required=True, type=click.Path(path_type=Path))
@click.option("--count", default=1500, show_default=True, help="Pictures of each set, at most.")
@click.option("--steps", default=300, show_default=True)
@click.option("--seeds", default=2, show_default=True)
def scenes(
    out: Path,
    learnt: Path,
    asked: Path,
    address: str,
    cache: Path,
    count: int,
    steps: int,
    seeds: int,
) -> None:
    """What the simulated user says and marks on generated scenes."""
    kept = []
    for folder in (learnt, asked):
        path = out / f"{folder.name}.npz"
        if not path.is_file():
            out.mkdir(parents=True, exist_ok=True)
            talks_of(folder, address, cache, count, 0).save(path)
        kept.append(Conversations.load(path))
    train, test = kept
    words = train.features.shape[3] - train.gallery.shape[1]
    shape = CascadeShape(train.gallery.shape[1], words, stages=2, slots=32, slot=64, hidden=128)
    plan = {"steps": steps, "rate": 1e-3, "warm_up": 30, "decay": 0.05, "save_every": 1000}
    rows = compare(asked.name, train, test, shape, plan, out, range(seeds))
    plain = last_turn_figures(MeanVector(shape), test, np.arange(len(test.targets)), 2)
    rows.append({"data": asked.name, "model": "mean vector, nothing learnt", "seed": 0, **plain})
    click.echo(str(rows[-1]))
    click.echo(write_rows("fashion-ntm-scenes", rows))
    both = CascadeShape(**{**_facts(shape), "skip": True})
    told = train_memory(train, MemoryRecipe(both, Plan(**plan)), out / "model", resume=True)
    command = "python benchmarks/fashion_ntm.py scenes OUT"
    write_memory_card(out / "model", told, command=command, licence="Apache-2.0")


if __name__ == "__main__":
    main()
