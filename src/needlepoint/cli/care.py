"""The verbs that look after a library: gc and snapshot."""

from __future__ import annotations

from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print what was removed as JSON.")
@common
def gc(door: Door, dry_run: bool, as_json: bool) -> int:
    """Remove what is gone: pictures no longer on disk, their vectors, unused space.

    Pictures on a disk that is not plugged in are kept. Your files are never touched.

    \b
    Examples:
      needlepoint gc --dry-run
      needlepoint gc
    """
    with door.open() as library:
        told: dict[str, Any] = library.gc(dry_run=dry_run)
    if as_json:
        output.write_json(told)
    else:
        word = "would remove" if dry_run else "removed"
        counts = ", ".join(f"{name.replace('_', ' ')} {_count(told[name])}" for name in told)
        door.talk.note(f"{word}: {counts or 'nothing'}")
    return EXIT_HITS


@click.command("snapshot")
@click.argument("destination", type=click.Path())
@common
def snapshot(door: Door, destination: str) -> int:
    """Copy the library to the folder DESTINATION, consistent even while it is written to.

    The copy is a library: needlepoint --library DESTINATION search … works.

    \b
    Example:
      needlepoint snapshot /backup/pictures.library
    """
    with door.open() as library:
        written = library.snapshot(destination)
    output.write(output.raw(f"{written}\n"))
    return EXIT_HITS


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
