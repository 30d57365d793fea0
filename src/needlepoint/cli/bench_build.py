"""The verbs that make benchmark data: bench build needle, edits, fit, edges."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.results import printable

RECIPES = ("2d", "3d", "crowd-2d", "crowd-3d")
SPLITS = ("train", "dev", "test", "fit")
_FOLDER = click.argument("folder", type=click.Path(path_type=Path))
_ROOTS = click.option(
    "--root",
    "roots",
    multiple=True,
    default=("/",),
    show_default=True,
    help="Folder that holds usr/share with the packages' files (again for more).",
)


@click.group("build")
def build() -> None:
    """Make benchmark sets from installed packages or your own pictures.

    Needle scenes are made of the Debian packages tuxpaint-stamps-default, tuxpaint-data,
    sweethome3d-furniture, openclipart-png, fonts-noto-color-emoji, mate-backgrounds,
    plasma-workspace-wallpapers, lomiri-wallpapers-16.04 and lomiri-wallpapers-20.04: installed, or
    unpacked with dpkg -x below a folder given by --root. What is made of them carries their
    licences, which truth.json names. Needle edits need none of them: the repository holds a pack.
    """


@build.command("needle")
@click.argument("recipe", type=click.Choice(RECIPES))
@_FOLDER
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="dev",
    show_default=True,
    help="train only for crowds, fit only for 2d and 3d",
)
@click.option("--seed", type=int, default=20261121, show_default=True)
@click.option("--count", type=int, help="Scenes, instead of the recipe's number.")
@click.option("--views", type=click.Path(path_type=Path), help="Cache of renderings (3-D).")
@click.option(
    "--workers", type=int, default=1, show_default=True, help="Processes (crowds); same bytes."
)
@click.option("--option", "options", multiple=True, metavar="NAME=JSON", help="occlusion=0.4 …")
@_ROOTS
@common
def needle(
    door: Door,
    recipe: str,
    folder: Path,
    split: str,
    seed: int,
    count: int | None,
    views: Path | None,
    workers: int,
    options: tuple[str, ...],
    roots: tuple[str, ...],
) -> int:
    """Scenes, questions and truth.json of one recipe and split; captions.jsonl for train.

    \b
    Examples:
      needlepoint bench build needle crowd-2d OUT/crowd-2d-train --split train --count 3000
      needlepoint bench build needle crowd-3d OUT/crowd-3d-test --split test --views OUT/views
      needlepoint bench build needle 2d OUT/2d-dev --option occlusion=0.4
    """
    from needlepoint.bench.needle import build as build_scenes
    from needlepoint.bench.needle import build_crowd, find_assets

    changes = dict(_parsed(option) for option in options)
    start = time.perf_counter()
    if recipe.startswith("crowd-"):
        truth = build_crowd(
            recipe,
            folder,
            split=split,
            seed=seed,
            count=count,
            roots=roots,
            views=views,
            workers=workers,
            progress=_progress(door),
            **changes,
        )
    else:
        need = ("stamps" if recipe == "2d" else "models", "backgrounds")
        truth = build_scenes(
            recipe,
            folder,
            split=split,
            seed=seed,
            count=count,
            views=views,
            assets=find_assets(roots, need=need),
            progress=_progress(door),
            **changes,
        )
    _told(
        folder,
        start,
        f"{len(truth.pictures)} pictures with "
        f"{sum(len(picture.objects) for picture in truth.pictures)} things "
        f"({len(truth.objects)} different), {len(truth.queries)} questions by picture with "
        f"{truth.mean_positives:.2f} positives each, {len(truth.questions)} by words",
    )
    return EXIT_HITS


@build.command("edits")
@_FOLDER
@click.option(
    "--split", type=click.Choice(("train", "dev", "test")), default="dev", show_default=True
)
@click.option("--seed", type=int, default=20261121, show_default=True)
@click.option("--families", type=int, help="Families of scenes, ten questions each.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes; same bytes.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    help="Folder that holds usr/share with the packages' files; none takes the repository's pack.",
)
@common
def edits(
    door: Door,
    folder: Path,
    split: str,
    seed: int,
    families: int | None,
    workers: int,
    roots: tuple[str, ...],
) -> int:
    """References, changes in words and their answers, and edits.json; captions for train.

    \b
    Examples:
      needlepoint bench build edits OUT/edits-train --split train --workers 2
      needlepoint bench build edits OUT/edits-dev --families 4
    """
    from needlepoint.bench.needle.edits import build_edits

    start = time.perf_counter()
    truth = build_edits(
        folder,
        split=split,
        seed=seed,
        families=families,
        roots=roots,
        workers=workers,
        progress=_progress(door),
    )
    number = len(truth.questions)
    _told(
        folder,
        start,
        f"{len(truth.pictures)} pictures, {number} questions with "
        f"{sum(len(row.relevant) for row in truth.questions) / number:.2f} answers each and "
        f"{sum(len(row.near) for row in truth.questions) / number:.2f} that nobody labelled",
    )
    return EXIT_HITS


@build.command("fit")
@_FOLDER
@click.option("--views", type=click.Path(path_type=Path), required=True)
@click.option("--per-model", type=int, default=12, show_default=True)
@_ROOTS
@common
def fit(door: Door, folder: Path, views: Path, per_model: int, roots: tuple[str, ...]) -> int:
    """Renderings of the models, and lists of stamps and photographs, of the split for fitting."""
    from needlepoint.bench.needle import find_assets
    from needlepoint.bench.needle.fit import build_fit

    start = time.perf_counter()
    truth = build_fit(folder, assets=find_assets(roots), views=views, per_model=per_model)
    _told(folder, start, f"{len(truth.pictures)} renderings of {len(truth.objects)} models")
    return EXIT_HITS


@build.command("edges")
@_FOLDER
@click.option("--kind", help="Only outlines of things of this kind: photo, drawn, clipart, …")
@click.option("--inside", is_flag=True, help="Edges within things instead: the control.")
@click.option("--most", type=int, default=200, show_default=True, help="Pictures to look at.")
@common
def edges(door: Door, folder: Path, kind: str | None, inside: bool, most: int) -> int:
    """How well detectors tell the pasted outlines of a crowd from edges of its photographs.

    Prints areas under the ROC curve; 0.5 is chance.
    """
    from needlepoint.bench.needle import load_truth
    from needlepoint.bench.needle.edges import check_edges

    truth = load_truth(folder)
    kinds = {row.object_id: row.kind for row in truth.objects}
    check = check_edges(
        folder,
        truth,
        keep=lambda row: kind is None or kinds[row.object_id] == kind,
        inside=inside,
        most=most,
    )
    rows = [(name, f"{area:.3f}") for name, area in check.alone.items()]
    rows += [("together", f"{check.together:.3f}")]
    rows += [("outlines", str(check.outlines)), ("natural", str(check.natural))]
    output.write(output.columns(rows))
    return EXIT_HITS


def _parsed(option: str) -> tuple[str, Any]:
    name, equals, value = option.partition("=")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"--option {option!r} is not NAME=JSON{'' if equals else ' (= is missing)'}; "
            'write for example occlusion=0.4 or materials=["photo"]'
        ) from error
    return name, tuple(parsed) if isinstance(parsed, list) else parsed


def _progress(door: Door) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            door.talk.note(f"{done} of {total} scenes")

    return report


def _told(folder: Path, start: float, what: str) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    seconds = time.perf_counter() - start
    output.write(
        output.raw(f"{printable(str(folder))}: {size / 1e6:.1f} MB in {seconds:.0f} s\n{what}\n")
    )
