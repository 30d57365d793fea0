"""The commands train combiner, dqe-cir and towers: composers learnt from triplets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.cli.training import command_line, of_a_run, packages

F = TypeVar("F", bound=Callable[..., Any])

_SHAPE = ("base", "projection", "hidden", "dropout", "attributes", "gate", "lengths")
_PLAN = ("rate", "decay", "seed", "fall")
_LOSSES = ("goal", "goal_temperature", "rank", "margin", "attribute", "held", "floor")


def _shared(batch: int, rate: float, steps: int, fall: str) -> Callable[[F], F]:
    """Options of both commands, with defaults of their own."""
    options = [
        click.option("--data", multiple=True, required=True, metavar="DATA",
                     help="FOLDER of needle edits, or DATASET[:SPLIT][,option=value...]=FOLDER; "
                     "may be given several times."),
        click.option("--model", "address", required=True, metavar="ADDR",
                     help="The encoder, which stays as it is (needlepoint models)."),
        click.option("--cache", type=click.Path(), metavar="FOLDER",
                     help="Where vectors lie between runs."),
        click.option("--steps", default=steps, show_default=True, metavar="N"),
        click.option("--batch", default=batch, show_default=True, metavar="N",
                     help="Questions of a step, as many as there are at most."),
        click.option("--rate", default=rate, show_default=True, metavar="R",
                     help="Learning rate."),
        click.option("--fall", default=fall, show_default=True, metavar="none|cosine",
                     help="Whether the rate falls to nothing."),
        click.option("--warm-up", default=0, show_default=True, metavar="N",
                     help="Steps in which it rises."),
        click.option("--decay", default=0.0, show_default=True, metavar="R", help="Of weights."),
        click.option("--projection", default=0, metavar="N",
                     help="Width of each half of a Combiner; 4 times the vectors unless told."),
        click.option("--hidden", default=0, metavar="N",
                     help="Width of the layers behind; 8 times the vectors unless told."),
        click.option("--dropout", default=0.5, show_default=True, metavar="R"),
        click.option("--lengths", default="unit", show_default=True, metavar="unit|raw",
                     help="Vectors as a library keeps them, or with the encoder's lengths."),
        click.option("--joining", default="as asked", show_default=True,
                     metavar="as asked|four ways",
                     help="Two captions: the wordings asked, or joined both ways and each alone."),
        click.option("--held-out", default=0.1, show_default=True, metavar="R",
                     help="Share of the groups of questions kept for checking."),
    ]  # fmt: skip

    def wrapped(command: F) -> F:
        command = of_a_run(command)
        for option in reversed(options):
            command = option(command)
        return command

    return wrapped


@click.command("combiner")
@_shared(batch=4096, rate=2e-5, steps=2000, fall="none")
@common
def combiner(door: Door, **given: Any) -> int:
    """Train CLIP4Cir's Combiner (its second stage): picture and words to one query vector.

    Towers stay as they are, so libraries keep their vectors; `needlepoint train towers` tunes
    them first, where that is wanted. Interrupting is safe: --resume goes on.

    \b
    Examples:
      needlepoint train combiner --data edits-train --model ADDR --out mine
      needlepoint train combiner --data cirr:train=CIRR --model ADDR --out mine --resume
      needlepoint train combiner --data fashioniq:train,captions=apart=FIQ --joining 'four ways' \\
        --model ADDR --out mine
      needlepoint search ./bag.jpg --change "in green" --method combiner:weights=mine

    \b
    Exit codes: 0 done, 2 usage, 4 torch not installed, 130 interrupted.
    """
    return _train(door, "combiner", given)


@click.command("dqe-cir")
@_shared(batch=128, rate=1e-3, steps=600, fall="cosine")
@click.option("--start", type=click.Path(), metavar="FOLDER",
              help="A model of train combiner whose base is gone on from.")  # fmt: skip
@click.option("--base", default="combiner", show_default=True, metavar="combiner|mlp")
@click.option("--attributes", default="colour,shape", show_default=True, metavar="NAMES",
              help="With commas between; none for the base alone.")  # fmt: skip
@click.option("--gate", default="sigmoid", show_default=True, metavar="sigmoid|softmax")
@click.option("--negatives", default="trns", show_default=True,
              metavar="trns|random|hardest|qure|in-batch|all")  # fmt: skip
@click.option("--low", default=0.05, show_default=True, metavar="R", help="Start of the mid-zone.")
@click.option("--high", default=0.30, show_default=True, metavar="R", help="Its end.")
@click.option("--bounds", "by", default="gap", show_default=True, metavar="gap|quantile",
              help="What --low and --high are.")  # fmt: skip
@click.option("--hardest", default=16, show_default=True, metavar="N",
              help="How many the rule of that name keeps.")  # fmt: skip
@click.option("--cap", default=256, show_default=True, metavar="N",
              help="Most candidates kept of a question.")  # fmt: skip
@click.option("--count", default=16, show_default=True, metavar="K",
              help="Negatives of a question and step.")  # fmt: skip
@click.option("--refresh", default=5, show_default=True, metavar="M",
              help="Epochs between refreshes, and of warm-up.")  # fmt: skip
@click.option("--warm", default="in-batch", show_default=True, metavar="in-batch|random",
              help="Negatives of the warm-up.")  # fmt: skip
@click.option("--candidates", default="gallery", show_default=True, metavar="gallery|targets")
@click.option("--goal", default="one-hot", show_default=True, metavar="one-hot|soft")
@click.option("--goal-temperature", default=0.1, show_default=True, metavar="R")
@click.option("--rank", default=0.5, show_default=True, metavar="R",
              help="Weight of the ranking loss.")  # fmt: skip
@click.option("--margin", default=0.2, show_default=True, metavar="R")
@click.option("--attribute", default=0.1, show_default=True, metavar="R",
              help="Weight of the attribute loss.")  # fmt: skip
@click.option("--held/--free", default=True,
              help="Whether that loss leaves the attribute weights alone.")  # fmt: skip
@click.option("--floor", default=0.0, show_default=True, metavar="R",
              help="Least share of an attribute weight in it.")  # fmt: skip
@click.option("--temperature", default=0.07, show_default=True, metavar="R")
@click.option("--learnt/--fixed", default=True, help="Whether the temperature is learnt.")
@common
def dqe_cir(door: Door, **given: Any) -> int:
    """Train DQE-CIR (our reading): weighted attributes, and negatives of the mid-zone.

    On the vectors of any encoder, which stays as it is. `needlepoint train qformer` trains it on
    BLIP-2's Q-Former. Interrupting is safe: --resume goes on.

    \b
    Examples:
      needlepoint train dqe-cir --data edits-train --model ADDR --out mine
      needlepoint train dqe-cir --data edits-train --model ADDR --out plain --attributes "" \\
        --negatives in-batch --rank 0
      needlepoint search ./bag.jpg --change "in green" --method dqe_cir:weights=mine

    \b
    Exit codes: 0 done, 2 usage, 4 torch not installed, 130 interrupted.
    """
    return _train(door, "dqe_cir", given)


@click.command("towers")
@click.option("--data", multiple=True, required=True, metavar="DATA",
              help="FOLDER of needle edits, or DATASET[:SPLIT][,option=value...]=FOLDER; may be "
              "given several times.")  # fmt: skip
@click.option("--model", "address", required=True, metavar="ADDR",
              help="An open_clip: model to start from.")  # fmt: skip
@click.option("--cache", type=click.Path(), metavar="FOLDER",
              help="Where cells of a frozen stem lie between runs.")  # fmt: skip
@click.option("--steps", default=1000, show_default=True, metavar="N")
@click.option("--batch", default=128, show_default=True, metavar="N", help="Questions of a step.")
@click.option("--rate", default=2e-6, show_default=True, metavar="R", help="Learning rate.")
@click.option("--fall", default="none", show_default=True, metavar="none|cosine",
              help="Whether the rate falls to nothing.")  # fmt: skip
@click.option("--warm-up", default=0, show_default=True, metavar="N",
              help="Steps in which it rises.")  # fmt: skip
@click.option("--decay", default=0.01, show_default=True, metavar="R", help="Of weights.")
@click.option("--pad-ratio", default=1.25, show_default=True, metavar="R",
              help="Longer pictures are padded with black to this shape; 0: none are.",
              )  # fmt: skip
@click.option("--joining", default="as asked", show_default=True, metavar="as asked|four ways",
              help="Two captions: the wordings asked, or joined both ways and each alone.",
              )  # fmt: skip
@click.option("--temperature", default=0.01, show_default=True, metavar="R")
@click.option("--held-out", default=0.1, show_default=True, metavar="R",
              help="Share of the groups of questions kept for checking.")  # fmt: skip
@click.option("--precision", default="fp32", show_default=True, metavar="fp32|bf16")
@of_a_run
@common
def towers(
    door: Door,
    data: tuple[str, ...],
    address: str,
    out: str,
    cache: str | None,
    resume: bool,
    stop_after: int | None,
    threads: int | None,
    licence: str,
    **given: Any,
) -> int:
    """Tune both towers of a model for composed questions (CLIP4Cir's first stage).

    Picture plus words is to be the target. The result opens as open_clip:local-dir:FOLDER, and
    libraries are indexed with it; `needlepoint train combiner` goes on from there. Interrupting is
    safe: --resume goes on.

    \b
    Examples:
      needlepoint train towers --data edits-train --model ADDR --out tuned --steps 500
      needlepoint train combiner --data edits-train --model open_clip:local-dir:tuned --out mine

    \b
    Exit codes: 0 done, 2 usage, 4 torch not installed, 130 interrupted.
    """
    with packages():
        import torch

        from needlepoint.encoders.address import parse
        from needlepoint.train.composed_card import write_towers_card
        from needlepoint.train.loop import Plan
        from needlepoint.train.triplet_data import training_protocols
        from needlepoint.train.tune_towers import TowersRecipe, tune_towers
    if threads:
        torch.set_num_threads(threads)
    taken = ("steps", "warm_up", "rate", "decay", "fall", "precision", "seed")
    plan = Plan(betas=(0.9, 0.999), **{k: given.pop(k) for k in taken})
    told = tune_towers(
        parse(address),
        training_protocols(data),
        TowersRecipe(plan, **given),
        Path(out),
        cache=None if cache is None else Path(cache),
        resume=resume,
        stop_after=stop_after,
        say=door.talk.note,
    )
    write_towers_card(Path(out), told, command=command_line(), licence=licence)
    output.write_json(told)
    return 0


def _train(door: Door, method: str, given: dict[str, Any]) -> int:
    with packages():
        import torch

        from needlepoint.encoders.address import open_encoder
        from needlepoint.encoders.combiner import CombinerShape, load_combiner
        from needlepoint.train.composed import ComposedRecipe, train_composed
        from needlepoint.train.composed_card import write_composed_card
        from needlepoint.train.composed_losses import LossPlan
        from needlepoint.train.loop import Plan
        from needlepoint.train.negatives import Bounds, Choice
        from needlepoint.train.triplet_data import training_protocols
        from needlepoint.train.triplet_features import read_triplets
    out, start, licence = Path(given.pop("out")), given.pop("start", None), given.pop("licence")
    resume, stop_after, cache = (given.pop(k) for k in ("resume", "stop_after", "cache"))
    threads = given.pop("threads")
    if threads:
        torch.set_num_threads(threads)
    data = read_triplets(
        training_protocols(given.pop("data")),
        open_encoder(given.pop("address"), threads=threads),
        cache=Path(cache) if cache else out / "run",
        joining=given.pop("joining"),
        say=door.talk.note,
    )
    if "attributes" in given:
        given["attributes"] = tuple(filter(None, given["attributes"].split(",")))
    taken = {k: given.pop(k) for k in _SHAPE if k in given}
    plan = Plan(
        steps=given.pop("steps"),
        warm_up=given.pop("warm_up"),
        betas=(0.9, 0.999),
        **{k: given.pop(k) for k in _PLAN},
    )
    if method == "dqe_cir":
        given["losses"] = LossPlan(**{k: given.pop(k) for k in _LOSSES})
        bounds = Bounds(*(given.pop(k) for k in ("low", "high", "by")))
        given["choice"] = Choice(bounds=bounds, **{k: given.pop(k) for k in ("hardest", "cap")})
    recipe = ComposedRecipe(CombinerShape(data.dim, **taken), plan, **given)
    begun = load_combiner(Path(start))[0] if start else None
    _, told = train_composed(
        data,
        recipe,
        out,
        start=begun,
        resume=resume,
        stop_after=stop_after,
        say=door.talk.note,
    )
    write_composed_card(out, told, method=method, command=command_line(), licence=licence)
    output.write_json(told)
    return 0
