"""The command train phi: networks that turn pictures into words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.cli.training import command_line, of_a_run, packages

_WORDS = ("oti_steps", "ema", "text_noise_std", "oti_pictures", "concepts", "phrases", "names",
          "first", "near", "phrase_weight", "temperature", "hard_negative_batches",
          "oti_seed")  # fmt: skip
_NAMED = {"oti_steps": "steps", "oti_pictures": "pictures", "hard_negative_batches": "group",
          "oti_seed": "seed"}  # fmt: skip


@click.command("phi")
@click.option("--method", required=True, metavar="pic2word|searle|lincir",
              help="Learns from pictures, from pseudo-words, or from captions.")  # fmt: skip
@click.option("--model", "address", required=True, metavar="ADDR",
              help="The encoder, which stays as it is (needlepoint models).")  # fmt: skip
@click.option("--data", multiple=True, required=True, type=click.Path(), metavar="PATH",
              help="Folder with captions.jsonl or of pictures, or a .txt file with a caption a "
              "line; may be given several times.")  # fmt: skip
@click.option("--cache", type=click.Path(), metavar="FOLDER",
              help="Where vectors and words are kept from run to run.")  # fmt: skip
@click.option("--steps", default=1000, show_default=True, metavar="N")
@click.option("--batch", default=128, show_default=True, metavar="N", help="Items of a step.")
@click.option("--rate", default=1e-4, show_default=True, metavar="R", help="Peak learning rate.")
@click.option("--warm-up", type=int, metavar="N", help="Steps; a tenth of all unless told.")
@click.option("--decay", default=0.01, show_default=True, metavar="R", help="Weight decay.")
@click.option("--hidden", default=0, metavar="N",
              help="Numbers of the layers between; as many as published unless told.")  # fmt: skip
@click.option("--held-out", default=0.05, show_default=True, metavar="R", help="Share of items.")
@click.option("--limit", "limits", type=int, multiple=True, metavar="N",
              help="Pieces used at most; one for all folders, or one for each.")  # fmt: skip
@click.option("--noise", default=1.0, show_default=True, metavar="R",
              help="lincir: spread of the noise on a caption's vector.")  # fmt: skip
@click.option("--sharpness", default=0.0, metavar="R",
              help="pic2word: inverse temperature; the encoder's own unless told.")  # fmt: skip
@click.option("--oti-steps", default=350, show_default=True, metavar="N",
              help="searle: steps in which the word of a picture is found.")  # fmt: skip
@click.option("--oti-pictures", default=0, metavar="N",
              help="searle: pictures whose words are found; all unless told.")  # fmt: skip
@click.option("--oti-seed", default=0, show_default=True, metavar="N",
              help="searle: of those words, whatever the seed of the run.")  # fmt: skip
@click.option("--ema", default=0.99, show_default=True, metavar="R",
              help="searle: of the running mean of a word.")  # fmt: skip
@click.option("--text-noise-std", default=0.0, show_default=True, metavar="R",
              help="iSEARLE: noise on the sentence while a word is found.")  # fmt: skip
@click.option("--hard-negative-batches", default=1, show_default=True, metavar="N",
              help="iSEARLE: pictures that look alike and share a batch; 1: none.")  # fmt: skip
@click.option("--concepts", default="", type=click.Path(), metavar="FILE",
              help="searle: names of things, one a line; those of the captions unless told.",
              )  # fmt: skip
@click.option("--phrases", default="", type=click.Path(), metavar="FILE",
              help="searle: NAME, tab, sentence a line; in place of --concepts.")  # fmt: skip
@click.option("--names", default=500, show_default=True, metavar="N",
              help="searle: names taken from the captions.")  # fmt: skip
@click.option("--first", default=15, show_default=True, metavar="N",
              help="searle: names nearest to a picture that its word is found with.")  # fmt: skip
@click.option("--near", default=150, show_default=True, metavar="N",
              help="searle: names nearest to a picture that the network learns with.")  # fmt: skip
@click.option("--phrase-weight", default=0.75, show_default=True, metavar="R",
              help="searle: of the loss on phrases.")  # fmt: skip
@click.option("--temperature", default=0.25, show_default=True, metavar="R",
              help="searle: of the loss on words.")  # fmt: skip
@click.option("--precision", default="fp32", show_default=True, metavar="fp32|bf16")
@click.option("--device", default="cpu", show_default=True)
@of_a_run
@common
def phi(
    door: Door,
    address: str,
    data: tuple[str, ...],
    out: str,
    cache: str | None,
    resume: bool,
    stop_after: int | None,
    limits: tuple[int, ...],
    device: str,
    threads: int | None,
    licence: str,
    **given: Any,
) -> int:
    """Train a network that turns a picture's vector into a word of its own.

    Three published ways to learn it: lincir needs captions alone, pic2word pictures alone, searle
    pictures and names of things. Only the network is learnt: libraries keep their vectors.
    Interrupting is safe: --resume goes on.

    \b
    Examples:
      needlepoint train phi --method lincir --model ADDR --data captions.txt --out mine
      needlepoint train phi --method pic2word --model ADDR --data Pictures --out mine --resume
      needlepoint search ./bag.jpg --change "in green" --method lincir:weights=mine

    \b
    Exit codes: 0 done, 2 usage, 4 torch not installed, 130 interrupted.
    """
    with packages():
        from needlepoint.encoders.address import open_encoder
        from needlepoint.train.loop import Plan
        from needlepoint.train.phi import PhiRecipe, train_phi
        from needlepoint.train.phi_card import write_phi_card
        from needlepoint.train.phi_data import read_source
        from needlepoint.train.phi_words import Words
    encoder = open_encoder(address, device=device, threads=threads)
    words = Words(**{_NAMED.get(name, name): given.pop(name) for name in _WORDS})
    steps, warm = given.pop("steps"), given.pop("warm_up")
    plan = Plan(
        steps=steps,
        warm_up=min(steps // 10, 200) if warm is None else warm,
        **{k: given.pop(k) for k in ("rate", "decay", "precision", "seed")},
    )
    told = train_phi(
        encoder,
        read_source([Path(one) for one in data], limits=limits),
        PhiRecipe(plan=plan, words=words, **given),
        Path(out),
        cache=None if cache is None else Path(cache),
        resume=resume,
        stop_after=stop_after,
        say=door.talk.note,
    )
    write_phi_card(Path(out), told, command=command_line(), licence=licence)
    output.write_json(told)
    return 0
