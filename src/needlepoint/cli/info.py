"""The verbs that tell how things stand: info and doctor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.checks import run_checks
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS
from needlepoint.results import printable

_as_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.command("info")
@click.option("--skipped", is_flag=True, help="List pictures that could not be read, and why.")
@_as_json
@common
def info(door: Door, skipped: bool, as_json: bool) -> int:
    """Show what the library holds: pictures, folders, models, bytes.

    \b
    Examples:
      needlepoint info
      needlepoint info --skipped
      needlepoint info --json
    """
    with door.open(read_only=True) as library:
        told = library.skipped() if skipped else library.info()
    if as_json:
        output.write_json(told)
    elif skipped:
        lines = (f"{printable(one['path'])}: {printable(one['reason'])}\n" for one in told)
        output.write(output.raw("".join(lines)))
        door.talk.note(f"{len(told)} picture{'' if len(told) == 1 else 's'} could not be read")
    else:
        output.write(output.raw("".join(f"{line}\n" for line in _lines(told))))
    return EXIT_HITS


def _lines(told: Mapping[str, Any], indent: str = "", unit: str = "") -> Iterator[str]:
    """A mapping as indented lines: name, value; lists of mappings one item a line."""
    width = max((len(str(name)) for name in told), default=0) + 2
    for name, value in told.items():
        label = f"{indent}{str(name).replace('_', ' ').ljust(width)}"
        if isinstance(value, Mapping) and value:
            yield label.rstrip()
            yield from _lines(value, indent + "  ", str(name))
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield label.rstrip()
            yield from (f"{indent}  {_row(item)}" for item in value)
        else:
            yield f"{label}{_cell(f'{unit} {name}', value)}"


def _row(item: Mapping[str, Any]) -> str:
    """The first value, and the others with their names in brackets."""
    first, *rest = item.items()
    more = ", ".join(f"{name.replace('_', ' ')} {_cell(name, value)}" for name, value in rest)
    return f"{_cell(*first)}" + (f" ({more})" if more else "")


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return human(value) if "bytes" in name else f"{value:,}"
    if isinstance(value, Mapping):
        return _row(value) if value else "-"
    if isinstance(value, list):
        return " and ".join(_cell(name, one) for one in value) or "-"
    return printable(str(value))


def human(count: int) -> str:
    """Bytes in a unit that people read."""
    if count < 1000:
        return f"{count} B"
    size, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while size >= 1000 and unit != "TB":
        size, unit = size / 1000, next(units)
    return f"{size:.1f} {unit}"


@click.command("doctor")
@_as_json
@common
def doctor(door: Door, as_json: bool) -> int:
    """Check what is installed, what is missing and whether the library is sound.

    Every problem comes with the command that fixes it.

    \b
    Exit codes: 0 all that is needed is there, 3 the library is damaged,
    4 the built-in model or a needed package is missing.
    """
    checks = run_checks(door)
    if as_json:
        output.write_json([check.to_dict() for check in checks])
    else:
        signs = {"ok": "ok      ", "optional": "optional", "problem": "PROBLEM "}
        lines = []
        for check in checks:
            lines.append(f"{signs[check.state]}  {check.name}: {printable(check.told)}\n")
            if check.fix:
                lines.append(f"          -> {printable(check.fix)}\n")
        output.write(output.raw("".join(lines)))
    return max((check.exit_code for check in checks), default=EXIT_HITS)
