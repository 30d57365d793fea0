"""The verb train: models of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.cli.train_phi import phi
from needlepoint.cli.train_qformer import blip2, qformer
from needlepoint.cli.train_triplets import combiner, dqe_cir, towers
from needlepoint.cli.training import command_line, of_a_run, packages


@click.group("train")
def train() -> None:
    """Train a model on pictures with captions."""


@train.command("dual")
@click.option("--data", "data", multiple=True, required=True, type=click.Path(), metavar="FOLDER",
              help="Folder with captions.jsonl; may be given several times.")  # fmt: skip
@click.option("--cache", type=click.Path(), metavar="FOLDER", help="Where stem cells are kept.")
@click.option(
    "--start",
    default="",
    type=click.Path(),
    metavar="FOLDER",
    help="A model of this kind to go on from.",
)
@click.option("--image-tower", default="builtin-stem", metavar="builtin-stem|vit",
              show_default=True, help="A ViT on the frozen built-in network, or a plain one.",
              )  # fmt: skip
@click.option("--steps", default=1500, show_default=True, metavar="N")
@click.option("--batch", default=128, show_default=True, metavar="N", help="Pairs of a step.")
@click.option("--rate", default=1e-3, show_default=True, metavar="R", help="Peak learning rate.")
@click.option("--warm-up", type=int, metavar="N", help="Steps; a tenth of all unless told.")
@click.option("--decay", default=0.05, show_default=True, metavar="R", help="Weight decay.")
@click.option("--loss", default="info-nce", show_default=True,
              metavar="info-nce|sigmoid|smooth-recall")  # fmt: skip
@click.option("--anchors", default=1.0, show_default=True, metavar="R",
              help="Weight of bags of words as first goal of both towers; 0: none.")  # fmt: skip
@click.option("--keep", default=0.15, show_default=True, metavar="R",
              help="Share of patches a step sees.")  # fmt: skip
@click.option("--keep-last", default=0.5, show_default=True, metavar="R",
              help="The same in the last part of the run.")  # fmt: skip
@click.option("--last", default=0.15, show_default=True, metavar="R", help="That last part.")
@click.option("--run-length", default=4, show_default=True, metavar="N",
              help="Things of one name that follow each other in a batch.")  # fmt: skip
@click.option("--limit", "limits", type=int, multiple=True, metavar="N",
              help="Pieces used at most; one for all folders, or one for each.")  # fmt: skip
@click.option("--size", default=384, show_default=True, metavar="PX", help="Side of the input.")
@click.option("--patch", default=32, show_default=True, metavar="PX")
@click.option("--width", default=256, show_default=True, metavar="N")
@click.option("--layers", default=4, show_default=True, metavar="N")
@click.option("--heads", default=4, show_default=True, metavar="N")
@click.option("--mlp-ratio", default=2.0, show_default=True, metavar="R")
@click.option("--text-layers", default=3, show_default=True, metavar="N")
@click.option("--context", default=32, show_default=True, metavar="N", help="Tokens of a text.")
@click.option("--dim", default=256, show_default=True, metavar="N", help="Width of the vectors.")
@click.option("--words", default=5000, show_default=True, metavar="N", help="Common words known.")
@click.option("--precision", default="fp32", show_default=True, metavar="fp32|bf16")
@click.option("--device", default="cpu", show_default=True)
@of_a_run
@common
def dual(
    door: Door,
    data: tuple[str, ...],
    out: str,
    cache: str | None,
    resume: bool,
    stop_after: int | None,
    device: str,
    threads: int | None,
    licence: str,
    **given: Any,
) -> int:
    """Train a compact model of pictures and words, in open_clip's format.

    Each FOLDER holds pictures and captions.jsonl, one row a line:
    {"file": "0001.jpg", "box": [x, y, w, h] or null, "text": "a red sofa", "kind": "thing"}.
    The result opens as open_clip:local-dir:FOLDER. Interrupting is safe: --resume goes on.

    \b
    Examples:
      needlepoint bench build needle crowd-2d scenes --split train
      needlepoint train dual --data scenes --out mine --steps 1500
      needlepoint train dual --data scenes --out mine --steps 1500 --resume
      needlepoint search --model open_clip:local-dir:mine "a red umbrella"

    \b
    Exit codes: 0 done, 2 usage, 4 torch or open_clip not installed, 130 interrupted.
    """
    with packages():
        import torch

        from needlepoint.train.card import write_card
        from needlepoint.train.compact import train_dual
        from needlepoint.train.dual import Shape
        from needlepoint.train.lesson import Recipe
        from needlepoint.train.loop import Plan
    if threads:
        torch.set_num_threads(threads)
    steps, warm = given.pop("steps"), given.pop("warm_up")
    shape = Shape(**{k: given.pop(k) for k in (
        "image_tower", "size", "patch", "width", "layers", "heads", "mlp_ratio", "text_layers",
        "context", "dim",
    )})  # fmt: skip
    plan = Plan(
        steps=steps,
        warm_up=min(steps // 10, 200) if warm is None else warm,
        **{k: given.pop(k) for k in ("rate", "decay", "precision", "seed")},
    )
    recipe = Recipe(data=data, shape=shape, plan=plan, run=given.pop("run_length"), **given)
    told = train_dual(
        recipe,
        Path(out),
        cache=None if cache is None else Path(cache),
        resume=resume,
        device=device,
        stop_after=stop_after,
        say=door.talk.note,
    )
    write_card(Path(out), told, command=command_line(), licence=licence)
    output.write_json(told)
    return 0


@train.command("memory")
@click.option("--data", required=True, type=click.Path(), metavar="FILE",
              help="Conversations as features (.npz).")  # fmt: skip
@click.option("--steps", default=1000, show_default=True, metavar="N")
@click.option("--batch", default=64, show_default=True, metavar="N", help="Conversations a step.")
@click.option("--rate", default=1e-4, show_default=True, metavar="R", help="Peak learning rate.")
@click.option("--warm-up", type=int, metavar="N", help="Steps; a tenth of all unless told.")
@click.option("--decay", default=0.01, show_default=True, metavar="R", help="Weight decay.")
@click.option("--last", default=2.0, show_default=True, metavar="R",
              help="Weight of the last turn; the others have 1.")  # fmt: skip
@click.option("--stages", default=3, show_default=True, metavar="N", help="Memories.")
@click.option("--slots", default=64, show_default=True, metavar="N", help="Rows of a memory.")
@click.option("--slot", default=128, show_default=True, metavar="N", help="Numbers of a row.")
@click.option("--hidden", default=256, show_default=True, metavar="N", help="Of a controller.")
@click.option("--skip", is_flag=True, help="Add the mean of the turns (ours, not the paper's).")
@click.option("--held-out", default=0.1, show_default=True, metavar="R", help="Share of targets.")
@of_a_run
@common
def memory(
    door: Door,
    data: str,
    out: str,
    resume: bool,
    stop_after: int | None,
    threads: int | None,
    licence: str,
    **given: Any,
) -> int:
    """Train a FashionNTM: memories that turn a conversation into one question.

    FILE holds features [Q, T, M, P + W], lengths and targets [Q] and gallery [G, P]: of Q
    conversations of up to T turns what was shown (P numbers) and said (W numbers) at M levels.
    benchmarks/fashion_ntm.py makes one of generated scenes.

    \b
    Examples:
      needlepoint train memory --data talks.npz --out mine --steps 1000
      needlepoint chat --method fashion_ntm:weights=mine

    \b
    Exit codes: 0 done, 2 usage, 4 torch not installed, 130 interrupted.
    """
    with packages():
        import torch

        from needlepoint.encoders.cascade import CascadeShape
        from needlepoint.train.loop import Plan
        from needlepoint.train.memory import (
            Conversations,
            MemoryRecipe,
            train_memory,
            write_memory_card,
        )
    if threads:
        torch.set_num_threads(threads)
    held = Conversations.load(Path(data))
    steps, warm = given.pop("steps"), given.pop("warm_up")
    picture = held.gallery.shape[1]
    shape = CascadeShape(
        picture=picture,
        words=held.features.shape[3] - picture,
        **{k: given.pop(k) for k in ("stages", "slots", "slot", "hidden", "skip")},
    )
    plan = Plan(
        steps=steps,
        warm_up=min(steps // 10, 200) if warm is None else warm,
        **{k: given.pop(k) for k in ("rate", "decay", "seed")},
    )
    told = train_memory(
        held,
        MemoryRecipe(shape, plan, **given),
        Path(out),
        resume=resume,
        stop_after=stop_after,
        say=door.talk.note,
    )
    write_memory_card(Path(out), told, command=command_line(), licence=licence)
    output.write_json(told)
    return 0


train.add_command(phi)
train.add_command(combiner)
train.add_command(dqe_cir)
train.add_command(towers)
train.add_command(blip2)
train.add_command(qformer)
