"""Build needle scenes, and the material reserved for fitting, from installed packages.

    python tools/build_scenes.py scenes 2d OUT/2d-dev --split dev
    python tools/build_scenes.py scenes 3d OUT/3d-test --split test --views OUT/views
    python tools/build_scenes.py fit OUT/3d-fit --views OUT/views

The materials come from the Debian packages tuxpaint-stamps-default, tuxpaint-data,
sweethome3d-furniture, mate-backgrounds, plasma-workspace-wallpapers, lomiri-wallpapers-16.04 and
lomiri-wallpapers-20.04: installed, or unpacked with ``dpkg -x`` below a folder given by --root.
What is built from them carries their licences, which truth.json names.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from needlepoint.bench.needle import build, find_assets
from needlepoint.bench.needle.families import SPLITS
from needlepoint.bench.needle.fit import build_fit
from needlepoint.bench.needle.recipes import RECIPES

ROOTS = click.option("--root", "roots", multiple=True, default=("/",), show_default=True)
FOLDER = click.argument("folder", type=click.Path(path_type=Path))


@click.group(help=__doc__)
def main() -> None:
    """The two things this program builds are its two verbs."""


@main.command()
@click.argument("recipe", type=click.Choice(sorted(RECIPES)))
@FOLDER
@click.option("--split", type=click.Choice(SPLITS), default="dev", show_default=True)
@click.option("--seed", type=int, default=20261121, show_default=True)
@click.option("--count", type=int, help="scenes, instead of the recipe's number")
@click.option("--views", type=click.Path(path_type=Path), help="cache of renderings")
@click.option("--option", "options", multiple=True, metavar="NAME=JSON", help="occlusion=0.4 …")
@ROOTS
def scenes(
    recipe: str,
    folder: Path,
    split: str,
    seed: int,
    count: int | None,
    views: Path | None,
    options: tuple[str, ...],
    roots: tuple[str, ...],
) -> None:
    """Scenes, questions and truth.json of one recipe and split."""
    changes: dict[str, Any] = {}
    for option in options:
        name, _, value = option.partition("=")
        parsed = json.loads(value)
        changes[name] = tuple(parsed) if isinstance(parsed, list) else parsed
    need = ("stamps" if recipe == "2d" else "models", "backgrounds")
    start = time.perf_counter()
    truth = build(
        recipe,
        folder,
        split=split,
        seed=seed,
        count=count,
        views=views,
        assets=find_assets(roots, need=need),
        **changes,
    )
    _report(folder, start)
    objects = sum(len(picture.objects) for picture in truth.pictures)
    asked = len({query.object_id for query in truth.queries})
    click.echo(
        f"{len(truth.pictures)} pictures with {objects} objects ({len(truth.objects)} different), "
        f"{len(truth.queries)} questions about {asked} objects, "
        f"{truth.mean_positives:.2f} positives each"
    )


@main.command()
@FOLDER
@click.option("--views", type=click.Path(path_type=Path), required=True)
@click.option("--per-model", type=int, default=12, show_default=True)
@ROOTS
def fit(folder: Path, views: Path, per_model: int, roots: tuple[str, ...]) -> None:
    """Renderings of the models, and lists of stamps and photographs, of the split for fitting."""
    start = time.perf_counter()
    truth = build_fit(folder, assets=find_assets(roots), views=views, per_model=per_model)
    _report(folder, start)
    click.echo(f"{len(truth.pictures)} renderings of {len(truth.objects)} models")


def _report(folder: Path, start: float) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    click.echo(f"{folder}: {size / 1e6:.1f} MB in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
