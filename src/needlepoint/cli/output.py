"""Writing data: bytes to stdout or to a file, quietly when the reader has gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from needlepoint.errors import UsageError
from needlepoint.query import PICTURE_ENDINGS
from needlepoint.results import Results, dumps, printable


class ReaderGone(Exception):
    """The pipe on stdout was closed by its reader."""


def raw(text: str) -> bytes:
    """UTF-8, with the bytes of names that are not UTF-8 as they are on disk."""
    return text.encode("utf-8", "surrogateescape")


def write(data: bytes) -> None:
    """Bytes to stdout at once. Raises ReaderGone when nobody reads them."""
    try:
        stream = sys.stdout.buffer
        stream.write(data)
        stream.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def write_json(value: Any) -> None:
    """A value as indented JSON and a newline."""
    write(raw(dumps(value, indent=2) + "\n"))


def columns(rows: Sequence[tuple[str, ...]]) -> bytes:
    """Rows as aligned columns; the last is as long as it is."""
    widths = [max(len(cell) for cell in column) for column in list(zip(*rows, strict=True))[:-1]]
    lines = []
    for *cells, last in rows:
        head = "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True))
        lines.append(printable(f"{head}  {last}").rstrip() + "\n")
    return raw("".join(lines))


def plain(value: Any) -> str:
    """A value of a card as people read it."""
    if isinstance(value, dict):
        return "; ".join(f"{k}: {plain(v)}" for k, v in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain, value)) or "-"
    return str(value)


def save(path: str, data: bytes) -> None:
    """Write a file whole or not at all; a picture is never overwritten."""
    target = Path(path)
    if target.exists() and target.suffix.lower().lstrip(".") in PICTURE_ENDINGS:
        raise UsageError(f"--output would overwrite a picture: {path}; choose another name")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"--output {path} cannot be written: {error.strerror}") from None


def render(results: Results, form: str, *, print0: bool = False) -> bytes:
    """An answer in one of the formats."""
    if form == "paths":
        end = b"\0" if print0 else b"\n"
        return b"".join(os.fsencode(hit.path) + end for hit in results.hits)
    if form == "json":
        return raw(results.to_json() + "\n")
    if form == "jsonl":
        return raw(results.to_jsonl())
    if form == "csv":
        return raw(results.to_csv())
    if form == "html":
        from needlepoint.intake.decode import decode

        return results.to_html(decode=decode).encode("utf-8", "replace")
    return _table(results)


def _table(results: Results) -> bytes:
    """The table; coloured on a terminal, plain and uncut elsewhere."""
    from io import StringIO

    from rich.console import Console

    if not results.hits:
        return b""
    terminal = sys.stdout.isatty()
    out = StringIO()
    width = None if terminal else 4096
    console = Console(file=out, width=width, force_terminal=terminal, soft_wrap=not terminal)
    console.print(results.to_table())
    text = out.getvalue()
    if not terminal:
        text = "".join(line.rstrip() + "\n" for line in text.splitlines())
    return raw(text)
