"""The commands train blip2 and train qformer: composed questions on BLIP-2's Q-Former."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.cli.training import command_line, of_a_run, packages
from needlepoint.errors import UsageError

_SHAPE = ("width", "layers", "look", "heads", "queries", "dim", "pool", "words")


@click.command("blip2")
@click.option("--vision", required=True, metavar="ADDR",
              help="The encoder whose vision tower is looked through (needlepoint models).",
              )  # fmt: skip
@click.option("--data", multiple=True, required=True, type=click.Path(), metavar="FOLDER",
              help="Needle edits, or a folder with captions.jsonl; may be given several times.",
              )  # fmt: skip
@click.option("--cache", type=click.Path(), metavar="FOLDER",
              help="Where vision tokens lie between runs.")  # fmt: skip
@click.option("--steps", default=1000, show_default=True, metavar="N")
@click.option("--batch", default=64, show_default=True, metavar="N", help="Pairs of a step.")
@click.option("--rate", default=1e-3, show_default=True, metavar="R", help="Peak learning rate.")
@click.option("--width", default=128, show_default=True, metavar="N", help="Of the Q-Former.")
@click.option("--layers", default=2, show_default=True, metavar="N")
@click.option("--look", default=1, show_default=True, metavar="N",
              help="Every N-th of them looks at the picture.")  # fmt: skip
@click.option("--heads", default=4, show_default=True, metavar="N")
@click.option("--queries", default=8, show_default=True, metavar="K", help="Vectors of a picture.")
@click.option("--dim", default=128, show_default=True, metavar="N", help="Numbers of a vector.")
@click.option("--pool", default=2, show_default=True, metavar="N",
              help="Vision tokens averaged in each direction.")  # fmt: skip
@click.option("--words", default=3000, show_default=True, metavar="N", help="Common words known.")
@of_a_run
@common
def blip2(door: Door, **given: Any) -> int:
    """Begin a small BLIP-2 on another encoder's vision tower, from pictures with texts.

    For data too small for the real one. It learns which text is of which picture; `train qformer`
    goes on from it. The result opens as hf:FOLDER and needs the encoder it looks through.

    \b
    Examples:
      needlepoint train blip2 --vision open_clip:local-dir:compact --data edits-train --out small
      needlepoint train qformer --method sprc --model hf:./small --data edits-train --out mine

    \b
    Exit codes: 0 done, 2 usage, 4 torch not installed, 130 interrupted.
    """
    with packages():
        import torch

        from needlepoint.encoders.address import open_encoder
        from needlepoint.encoders.qformer import QFormerEncoder
        from needlepoint.train.loop import CHECKPOINT, Plan
        from needlepoint.train.qformer_card import write_qformer_card
        from needlepoint.train.qformer_small import (
            SmallShape,
            captioned,
            train_matching,
            write_small,
        )
    threads, out = given.pop("threads"), Path(given.pop("out"))
    if threads:
        torch.set_num_threads(threads)
    pairs = captioned([Path(one) for one in given.pop("data")])
    seed, steps = given.pop("seed"), given.pop("steps")
    shape = SmallShape(**{k: given.pop(k) for k in _SHAPE})
    vision, resume = given.pop("vision"), given.pop("resume")
    if not (resume and (out / "run" / CHECKPOINT).is_file()):
        door.talk.note("words: what the encoder makes of each")
        write_small(open_encoder(vision), vision, shape, [p.text for p in pairs], out, seed)
    encoder = open_encoder(f"hf:{out.absolute()}", threads=threads)
    assert isinstance(encoder, QFormerEncoder)  # it was written so
    cache, licence = given.pop("cache"), given.pop("licence")
    told = train_matching(
        encoder,
        pairs,
        Plan(steps, given.pop("rate"), min(100, steps // 10), 0.05, seed=seed),
        given.pop("batch"),
        out,
        Path(cache) if cache else out / "run",
        resume=resume,
        stop_after=given.pop("stop_after"),
        say=door.talk.note,
    )
    write_qformer_card(out, told, method="blip2", command=command_line(), licence=licence)
    output.write_json(told)
    return 0


@click.command("qformer")
@click.option("--method", required=True, metavar="sprc|qure|dqe_cir")
@click.option("--model", "address", required=True, metavar="ADDR",
              help="A BLIP-2 to start from: hf:Salesforce/blip2-itm-vit-g, or hf:FOLDER.",
              )  # fmt: skip
@click.option("--data", multiple=True, required=True, metavar="DATA",
              help="FOLDER of needle edits, or DATASET[:SPLIT][,option=value...]=FOLDER; may be "
              "given several times.")  # fmt: skip
@click.option("--cache", type=click.Path(), metavar="FOLDER",
              help="Where vision tokens lie between runs.")  # fmt: skip
@click.option("--epochs", default=50, show_default=True, metavar="N",
              help="50 for CIRR, 30 for FashionIQ (authors' code).")  # fmt: skip
@click.option("--rate", default=1e-5, show_default=True, metavar="R",
              help="Peak learning rate; for FashionIQ 2e-5 (sprc), 5e-6 (qure).")  # fmt: skip
@click.option("--batch", type=int, metavar="N", help="Questions of a step: 128 for sprc, else 32.")
@click.option("--kin", default=1, show_default=True, metavar="N",
              help="Questions of one group that share a step, up to N.")  # fmt: skip
@click.option("--base", metavar="sprc|qure", help="The passes of dqe_cir; qure unless told.")
@click.option("--pad-ratio", default=0.0, metavar="R",
              help="Pad pictures to this shape at most and crop; 1.25 in the authors' code.",
              )  # fmt: skip
@click.option("--negatives", metavar="in-batch|trns|random|hardest|qure",
              help="In place of the method's own.")  # fmt: skip
@click.option("--low", default=0.05, show_default=True, metavar="R", help="Start of the mid-zone.")
@click.option("--high", default=0.30, show_default=True, metavar="R", help="Its end.")
@click.option("--bounds", "by", default="gap", show_default=True, metavar="gap|quantile",
              help="What --low and --high are.")  # fmt: skip
@click.option("--count", type=int, metavar="K",
              help="Negatives of a question and step: 1 for qure, 4 for dqe_cir.")  # fmt: skip
@click.option("--refresh", type=int, metavar="M",
              help="Epochs between refreshes, and of warm-up; a sixth of all unless told.",
              )  # fmt: skip
@click.option("--text-only", default=0.4, show_default=True, metavar="R",
              help="sprc: weight of the loss without a picture.")  # fmt: skip
@click.option("--align", default=0.4, show_default=True, metavar="R",
              help="sprc: weight of the loss between prompts.")  # fmt: skip
@click.option("--joining", default="as asked", show_default=True, metavar="as asked|four ways",
              help="Two captions: the wordings asked, or joined both ways and each alone.",
              )  # fmt: skip
@click.option("--held-out", default=0.1, show_default=True, metavar="R",
              help="Share of the groups of questions kept for checking.")  # fmt: skip
@click.option("--half/--full", default=False, help="Weights on disk in float16.")
@click.option("--device", default="cpu", show_default=True)
@of_a_run
@common
def qformer(door: Door, **given: Any) -> int:
    """Train SPRC, QuRe or DQE-CIR (our reading) on BLIP-2's Q-Former.

    The vision tower stays as it is: its tokens are computed once and kept in --cache. The result
    opens as hf:FOLDER and has vectors of its own. Interrupting is safe: --resume goes on.

    \b
    Examples:
      needlepoint train qformer --method sprc --model hf:Salesforce/blip2-itm-vit-g \\
        --data cirr:train=CIRR --pad-ratio 1.25 --out mine
      needlepoint index --method sprc --model hf:./mine Pictures
      needlepoint search ./bag.jpg --change "in green" --method sprc

    \b
    Exit codes: 0 done, 2 usage, 4 torch or weights missing, 130 interrupted.
    """
    with packages():
        import torch

        from needlepoint.encoders.address import open_encoder
        from needlepoint.encoders.qformer import OwnSight, QFormerEncoder
        from needlepoint.train.negatives import Bounds, Choice
        from needlepoint.train.qformer import recipe_of, train_qformer
        from needlepoint.train.qformer_card import write_qformer_card
        from needlepoint.train.qformer_data import read_questions
        from needlepoint.train.triplet_data import training_protocols
    method = given.pop("method").replace("-", "_")
    if method not in ("sprc", "qure", "dqe_cir"):
        raise UsageError(f"method: must be sprc, qure or dqe_cir, received {method!r}")
    threads, out = given.pop("threads"), Path(given.pop("out"))
    if threads:
        torch.set_num_threads(threads)
    address, pad_ratio = given.pop("address"), given.pop("pad_ratio")
    encoder = open_encoder(address, device=given.pop("device"), threads=threads)
    if not isinstance(encoder, QFormerEncoder):
        raise UsageError(f"model: {address} has no Q-Former; give a BLIP-2 (hf:)")
    if pad_ratio:
        if not isinstance(encoder.sight, OwnSight):
            raise UsageError(f"pad_ratio: {address} looks through another encoder's tower as it is")
        encoder.sight = encoder.sight.padded(pad_ratio)
    cache = given.pop("cache")
    data = read_questions(
        training_protocols(given.pop("data")),
        encoder,
        Path(cache) if cache else out / "run",
        joining=given.pop("joining"),
        say=door.talk.note,
    )
    run = {k: given.pop(k) for k in ("resume", "stop_after", "half")}
    licence = given.pop("licence")
    bounds = Bounds(*(given.pop(k) for k in ("low", "high", "by")))
    count = round(len(data.triplets) * (1 - given["held_out"]))
    told = train_qformer(
        encoder,
        data,
        recipe_of(
            method,
            count,
            choice=Choice(bounds=bounds),
            **{k: v for k, v in given.items() if v is not None},
        ),
        out,
        say=door.talk.note,
        **run,
    )
    write_qformer_card(out, told, method=method, command=command_line(), licence=licence)
    output.write_json(told)
    return 0
