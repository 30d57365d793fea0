"""Answers: a ranked list of pictures and the place in each that answers."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from needlepoint.errors import UsageError
from needlepoint.picture import Box, Picture
from needlepoint.query import Query

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

ScoreKind = Literal["cosine", "fused", "reordered"]

Decode = Callable[..., Picture]
"""``decode(source, *, at_least) -> Picture``, as ``needlepoint.intake.decode`` is."""

COLUMNS = (
    *("rank", "id", "score", "score_kind", "match", "probability"),
    *("box_x", "box_y", "box_w", "box_h", "width", "height"),
    *("library", "model", "space", "method", "exact", "mode", "path"),
)
"""Columns of csv and of a data frame; an absent box leaves four empty cells."""

_LONE = re.compile("[\ud800-\udfff]")
_SLACK = 1.0  # pixels: boxes are kept as float32 and may touch the border


@dataclass(frozen=True, slots=True)
class Reason:
    """What one part of a question says of a picture.

    ``score`` is its score as it is added up, ``weight`` its signed share of all parts: the sum of
    ``score * weight`` over the parts is the score of the hit.
    """

    part: str
    score: float
    weight: float

    def to_dict(self) -> dict[str, Any]:
        """Fields ready for JSON."""
        return {"part": self.part, "score": round(self.score, 6), "weight": round(self.weight, 6)}


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture of an answer.

    ``rank`` counts from 1; ``path`` is absolute; ``box`` is (x, y, w, h) in pixels of the upright
    picture, or None when the whole picture matched best; ``match`` tells whether the score is
    above the calibrated cut-off (None without calibration) and ``probability`` is the calibrated
    chance that it is right. ``source`` names ``library, model, space, method, exact, mode``.
    ``why`` tells what each part of the question says, in their order (of a hit put in order again:
    said before that); ``taken``, ``lat`` and ``lon`` are those of ``Facts``.
    """

    rank: int
    id: int
    path: str
    score: float
    score_kind: ScoreKind
    box: Box | None
    match: bool | None
    probability: float | None
    width: int
    height: int
    source: dict[str, Any]
    why: tuple[Reason, ...] = ()
    taken: str | None = None
    lat: float | None = None
    lon: float | None = None

    @property
    def place(self) -> tuple[int, int, int, int] | None:
        """The box in whole pixels, never empty and never outside the picture."""
        if self.box is None:
            return None
        x, y, w, h = self.box
        left = min(max(round(x), 0), self.width - 1)
        top = min(max(round(y), 0), self.height - 1)
        right = min(max(round(x + w), left + 1), self.width)
        bottom = min(max(round(y + h), top + 1), self.height)
        return left, top, right - left, bottom - top

    def to_dict(self) -> dict[str, Any]:
        """The row of json and jsonl: ``box`` is ``[x, y, w, h]`` in whole pixels or None."""
        return {
            "rank": self.rank,
            "id": self.id,
            "path": self.path,
            "score": round(self.score, 6),
            "score_kind": self.score_kind,
            "box": None if self.place is None else list(self.place),
            "match": self.match,
            "probability": None if self.probability is None else round(self.probability, 4),
            "width": self.width,
            "height": self.height,
            "source": self.source,
        }

    def problem(self) -> str:
        """What is wrong with this hit, or an empty string."""
        if not math.isfinite(self.score):
            return f"score must be finite. Received: {self.score}"
        if self.width <= 0 or self.height <= 0:
            return f"width and height must be above 0. Received: {self.width} x {self.height}"
        if self.probability is not None and not 0 <= self.probability <= 1:
            return f"probability must be 0 to 1. Received: {self.probability}"
        if self.box is None:
            return ""
        x, y, w, h = self.box
        inside = x >= -_SLACK and y >= -_SLACK and w > 0 and h > 0
        inside = inside and x + w <= self.width + _SLACK and y + h <= self.height + _SLACK
        size = f"{self.width} x {self.height}"
        return "" if inside else f"box must lie inside {size}. Received: {self.box}"


@dataclass(frozen=True)
class Results(Sequence[Hit]):
    """The answer to a question: a list of hits, best first, that checks itself.

    ``cutoff`` is the calibrated score above which hits match (None without calibration);
    ``notes`` are sentences for the user; ``timings`` are milliseconds by stage; ``exact`` tells
    whether the ranking equals brute force; ``candidates`` counts the pictures that could have been
    found. ``decode`` opens pictures for the contact sheet. ``told`` are pairs of a label and a
    text: what a composer made of the question.

    Raises ValueError unless ranks count from 1, scores of one kind never rise, ties are in order
    of id, ids are unique and boxes lie inside their pictures. Only the first hits may be
    ``reordered``: their scores are not comparable with those of the kind that follows.
    """

    query: Query
    hits: Sequence[Hit]
    cutoff: float | None = None
    notes: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    exact: bool = True
    candidates: int | None = None
    decode: Decode | None = field(default=None, repr=False, compare=False)
    told: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        previous: Hit | None = None
        for rank, hit in enumerate(self.hits, start=1):
            problem = hit.problem()
            if hit.rank != rank:
                problem = f"ranks must count from 1. Received: {hit.rank} at place {rank}"
            elif previous is not None and hit.score_kind != previous.score_kind:
                if previous.score_kind != "reordered":
                    problem = f"kinds of scores must not mix. Received: {hit.score_kind}"
            elif previous is not None and hit.score > previous.score:
                problem = f"scores must not rise. Received: {previous.score} before {hit.score}"
            elif previous is not None and hit.score == previous.score and hit.id <= previous.id:
                problem = f"ties must be in order of id. Received: {previous.id} before {hit.id}"
            if problem:
                raise ValueError(f"hit {rank} (id {hit.id}): {problem}")
            previous = hit
        if len({hit.id for hit in self.hits}) != len(self.hits):
            raise ValueError("ids of hits must be unique")

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @property
    def found(self) -> bool:
        """Whether at least one hit is not known to lie below the cut-off."""
        return any(hit.match is not False for hit in self.hits)

    @property
    def likely(self) -> int | None:
        """How many of the first hits probably match; None without calibration.

        The length of the beginning whose expected F1, ``2 sum(p of it) / (its length + sum(p))``
        over the calibrated probabilities, is greatest; hits below the cut-off are never in it. The
        cut-off only tells whether there is an answer at all. Hits beyond the ones held here do not
        count, so that a longer answer may have more.
        """
        chances = [hit.probability for hit in self.hits if hit.probability is not None]
        if self.cutoff is None or len(chances) != len(self.hits):
            return None
        every = sum(chances)
        best, most, so_far = 0, 0.0, 0.0
        for n, (chance, hit) in enumerate(zip(chances, self.hits, strict=True), start=1):
            so_far += chance
            if hit.match and so_far / (n + every) > most:
                best, most = n, so_far / (n + every)
        return best

    def to_dict(self) -> dict[str, Any]:
        """The whole answer: query, hits, cutoff, exact, notes, timings."""
        return {
            "query": self.query.text or str(self.query),
            "hits": self.to_dicts(),
            "cutoff": None if self.cutoff is None else round(self.cutoff, 6),
            "exact": self.exact,
            "notes": list(self.notes),
            "told": [list(pair) for pair in self.told],
            "timings": {stage: round(ms, 3) for stage, ms in self.timings.items()},
        }

    def to_dicts(self) -> list[dict[str, Any]]:
        """One mapping a hit (see ``Hit.to_dict``)."""
        return [hit.to_dict() for hit in self.hits]

    def to_json(self) -> str:
        """``to_dict`` as JSON; undecodable bytes of a path stay ``\\udcXX`` escapes."""
        return dumps(self.to_dict(), indent=2)

    def to_jsonl(self) -> str:
        """One JSON object a line, one line a hit; empty without hits."""
        return "".join(dumps(row) + "\n" for row in self.to_dicts())

    def to_csv(self) -> str:
        """Comma-separated rows under a header of ``COLUMNS`` (RFC 4180, lines end with LF)."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self._flat():
            cells = (
                {True: "true", False: "false"}.get(c, c) if isinstance(c, bool) else c for c in row
            )
            writer.writerow(cells)
        return out.getvalue()

    def to_pandas(self) -> pd.DataFrame:
        """A data frame with ``COLUMNS``. Raises UsageError when pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise UsageError("to_pandas needs pandas: pip install 'needlepoint[pandas]'") from None
        return pandas.DataFrame(list(self._flat()), columns=list(COLUMNS))

    def _flat(self) -> Iterator[list[Any]]:
        for row in self.to_dicts():
            box = row["box"] or (None, None, None, None)
            named = {**row, **row["source"], **dict(zip(COLUMNS[6:10], box, strict=True))}
            yield [named.get(column) for column in COLUMNS]

    def to_table(self) -> Table:
        """The answer as a rich table; control characters in paths are shown, never sent."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("", justify="right", style="dim", no_wrap=True)
        for title, side in (("score", "right"), ("where", "left"), ("id", "right")):
            table.add_column(title, justify="right" if side == "right" else "left", no_wrap=True)
        table.add_column("picture", overflow="fold")
        for hit in self.hits:
            style = "dim" if hit.match is False else "bold" if hit.match else ""
            name = Text(printable(shorten(hit.path)), style=style)
            if os.path.isabs(hit.path) and hit.path.isprintable():
                name.stylize(f"link file://{_percent(hit.path)}")
            where = "whole" if hit.place is None else "{},{} {}×{}".format(*hit.place)
            table.add_row(str(hit.rank), f"{hit.score:.3f}", where, f"@{hit.id}", name, style=style)
        return table

    def show(self) -> None:
        """Print the table and the notes."""
        from rich.console import Console

        console = Console()
        console.print(self.to_table())
        for note in self.notes:
            console.print(note, style="dim", markup=False)

    def to_html(self, *, decode: Decode | None = None) -> str:
        """A self-contained contact sheet: thumbnails with boxes drawn, close-ups and scores.

        ``decode`` opens a picture; without it the one the library gave is used. Pictures that
        cannot be opened are shown as empty frames with the reason.
        """
        from needlepoint.sheet import render

        decode = decode or self.decode
        if decode is None:
            raise UsageError(
                "`decode` is needed to show pictures: pass needlepoint.intake's decode"
            )
        return render(self, decode)

    def save_html(self, path: str | os.PathLike[str], *, decode: Decode | None = None) -> None:
        """Write ``to_html`` to a file (replaced if it exists)."""
        page = self.to_html(decode=decode)
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(page)


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON that is valid UTF-8 whatever bytes a path has: lone surrogates become escapes."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return _LONE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def printable(text: str) -> str:
    """Text safe for a terminal or a page: control and undecodable characters become escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # an undecodable byte of a name
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape", "surrogatepass").decode()


def shorten(path: str) -> str:
    """The path relative to the current folder when it lies below it."""
    try:
        here = os.getcwd()
    except OSError:
        return path
    return os.path.relpath(path, here) if path.startswith(here.rstrip(os.sep) + os.sep) else path


def _percent(path: str) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(path))
