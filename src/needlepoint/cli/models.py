"""The verbs about encoders: models and export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, LibraryMissing, UsageError

_as_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.group("models", invoke_without_command=True)
@_as_json
@common
def models(door: Door, as_json: bool) -> int:
    """List, choose and fetch encoders.

    \b
    Examples:
      needlepoint models
      needlepoint models show open_clip:ViT-B-32/datacomp_xl_s13b_b90k
      needlepoint models fetch open_clip:ViT-B-32/datacomp_xl_s13b_b90k
      needlepoint models use builtin --for image
    """
    context = click.get_current_context()
    return EXIT_HITS if context.invoked_subcommand else _list(door, as_json)


@models.command("list")
@_as_json
@common
def list_models(door: Door, as_json: bool) -> int:
    """Models of the library and models worth trying."""
    return _list(door, as_json)


def _list(door: Door, as_json: bool) -> int:
    """Known models first, then others the library has; ``library`` lists what it has by each."""
    from needlepoint.encoders.known import known_models

    indexed: dict[str, list[dict[str, Any]]] = {}
    for model in _indexed(door):
        indexed.setdefault(model.pop("address"), []).append(model)
    told = [{**model, "library": indexed.pop(model["address"], None)} for model in known_models()]
    told += [{"address": address, "library": models} for address, models in indexed.items()]
    if as_json:
        output.write_json(told)
        return EXIT_HITS
    rows = []
    for model in told:
        size = f"{model['size_mb']} MB" if "size_mb" in model else ""
        good_for = ", ".join(model.get("good_for", ()))
        used = _used(model["library"])
        rows.append((model["address"], size, model.get("licence", ""), good_for, used))
    lines = output.columns(rows).decode().splitlines()
    for line, model in zip(lines, told, strict=True):
        note = f"    {model['note']}\n" if "note" in model else ""
        output.write(output.raw(f"{line}\n{note}"))
    return EXIT_HITS


def _indexed(door: Door) -> list[dict[str, Any]]:
    """Models the library was indexed with; none without a library."""
    try:
        with door.open(read_only=True) as library:
            found: list[dict[str, Any]] = library.models()
            return found
    except LibraryMissing:
        return []


def _used(models: list[dict[str, Any]] | None) -> str:
    if models is None:
        return ""
    told = []
    for model in models:
        answers = " and ".join(model["used_for"]) or "nothing unless told to"
        told.append(f"{model['recipe']}: {model['pictures']:,} pictures, answers {answers}")
    return f"in the library: {'; '.join(told)}"


@models.command("show")
@click.argument("address")
@_as_json
@common
def show_model(door: Door, address: str, as_json: bool) -> int:
    """The card of a model on this machine: sizes, preprocessing, licence, limits."""
    from dataclasses import asdict

    from needlepoint.encoders.address import open_encoder

    card = asdict(open_encoder(address).card)
    if as_json:
        output.write_json(card)
        return EXIT_HITS
    output.write(output.columns([(key, output.plain(value)) for key, value in card.items()]))
    return EXIT_HITS


@models.command("use")
@click.argument("address")
@click.option(
    "--for",
    "asks",
    type=click.Choice(["text", "image", "both"]),
    default="both",
    help="Kind of question.  [both]",
)
@common
def use_model(door: Door, address: str, asks: str) -> int:
    """Make a model the library's default for questions in words, with pictures, or both."""
    with door.open() as library:
        library.use(address, asks)
    door.talk.note(f"{address} now answers {'all' if asks == 'both' else asks} questions")
    return EXIT_HITS


@models.command("fetch")
@click.argument("address")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; download after showing the size.")
@common
def fetch_model(door: Door, address: str, yes: bool) -> int:
    """Download a model, after showing its size and licence."""
    from needlepoint.encoders.fetch import fetch, plan_fetch

    plan = plan_fetch(address)
    click.echo(str(plan), err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("add --yes to download without being asked")
        click.confirm("Download?", err=True, abort=True)
    paths = fetch(plan, progress=lambda done, total: door.talk.note(f"{done / total:.0%} fetched"))
    output.write(b"".join(output.raw(f"{path}\n") for path in paths))
    door.talk.note(f"next: needlepoint index --model {address} YOUR_PICTURES")
    return EXIT_HITS


@click.command("export")
@click.argument("address")
@click.argument("folder", type=click.Path())
@common
def export(door: Door, address: str, folder: str) -> int:
    """Write the encoder ADDRESS as ONNX files into the new FOLDER, checked against torch.

    The folder is then an address itself and needs no torch.

    \b
    Example:
      needlepoint export hf:google/siglip2-base-patch16-224 ./siglip2
      needlepoint index --model onnx:./siglip2 ~/Pictures
    """
    from needlepoint.encoders.address import open_encoder

    open_encoder(address)  # says what is missing, torch included, before anything is written
    from needlepoint.encoders.export import export as write

    output.write_json(write(address, Path(folder)))
    door.talk.note(f"written; use it as --model onnx:{folder}")
    return EXIT_HITS
