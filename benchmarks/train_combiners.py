"""Train the six combiners of weights/composed: the Combiner and DQE-CIR, three seeds each.

    needlepoint bench build edits SETS/train --split train
    python benchmarks/train_combiners.py OUT --set SETS/train

A model that stands in OUT is not trained again, one that was interrupted goes on. Vectors of the
set are kept in OUT/cache: all runs share them. Copies what is asked with to weights/composed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from needlepoint.cli.main import run as needlepoint_command
from needlepoint.encoders.combiner import CONFIG, WEIGHTS
from needlepoint.train.card import FACTS, PAGE

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "weights" / "composed"
SEEDS = (0, 1, 2)
SHARED = ("--batch=128", "--rate=1e-3", "--steps=600", "--threads=1", "--licence=Apache-2.0")
OWN = {
    "combiner": ("combiner", "--projection=256", "--hidden=512", "--dropout=0.1"),
    "dqe_cir": (
        *("dqe-cir", "--projection=128", "--hidden=256", "--dropout=0.2", "--fall=cosine"),
        *("--low=-0.05", "--high=0.1", "--count=4"),
    ),
}
"""The command of a method and what it is trained with beside the defaults, chosen on dev edits."""


@click.command(help=__doc__)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--set", "data", required=True, type=click.Path(exists=True, path_type=Path))
def main(out: Path, data: Path) -> None:
    """Train what is missing, then copy the models."""
    for method, (command, *own) in OWN.items():
        for seed in SEEDS:
            folder = out / f"{method}-s{seed}"
            if not (folder / FACTS).is_file():
                code = needlepoint_command(
                    [
                        *("train", command, f"--data=edits={data}", f"--out={folder}"),
                        f"--model=open_clip:local-dir:{ROOT / 'weights' / 'compact'}",
                        *(*SHARED, *own, f"--seed={seed}", f"--cache={out / 'cache'}", "--resume"),
                    ]
                )
                if code:
                    raise click.ClickException(f"train {command} ended with {code}")
            kept = KEPT / folder.name
            kept.mkdir(parents=True, exist_ok=True)
            for name in (WEIGHTS, CONFIG, FACTS, PAGE):
                shutil.copyfile(folder / name, kept / name)


if __name__ == "__main__":
    main()
