"""The tables of docs/results/composed.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

Row = dict[str, str]
PICTURES = Path(__file__).parent.parent / "docs" / "pictures" / "composed"
SEED = re.compile(r"(?<=[\w.])-s\d+(?![\w.-])")
HALVES = ("reference-only", "text-only")
EDITS = "edits/"
CLEAR = 0.05
"""Largest p, raised by Holm, of a difference that is called one."""

_WEIGHTS = re.compile(r"weights=\{weights\}/(?P<name>[\w.-]+)")


def label(line: str) -> str:
    """A line without the folder of its trained parts, unless that says more than the method.

    >>> label("pdv:over=lincir:weights={weights}/lincir,beta=0.9")
    'pdv:over=lincir,beta=0.9'
    >>> label("combiner:weights={weights}/combiner-stage1,batch=8")
    'combiner:weights=combiner-stage1,batch=8'
    """

    def told(match: re.Match[str]) -> str:
        plain = match["name"].replace("-", "_") == _method(line, match.start())
        return "" if plain else f"weights={match['name']}"

    short = _WEIGHTS.sub(told, line)
    if re.search(r"over=\w+:(,|$)", short):
        return re.sub(r"(over=\w+):(?=,|$)", r"\1", short)
    return re.sub(r":(,|$)", lambda found: ":" if found[1] else "", short)


def _method(line: str, place: int) -> str:
    """The method whose options stand at a place of a line."""
    return re.split(r"[=:,]", line[:place].rstrip(":"))[-1].replace("-", "_")


def _of(rows: Iterable[Row], encoder: str, split: str) -> list[Row]:
    """The rows of an encoder on the needle edits of a split that were measured, in order."""
    return [
        row
        for row in rows
        if (row["encoder"], row["split"]) == (encoder, split)
        and row["protocol"].startswith(EDITS)
        and not row.get("skipped")
    ]


def share(row: Row, measure: str, *, spread: bool = False) -> str:
    """Per cent with one decimal, and the interval."""
    if not row.get(measure):
        return "–"
    value = f"{100 * float(row[measure]):.1f}"
    if not spread:
        return value
    low, high = (f"{100 * float(row[f'{measure}_{end}']):.1f}" for end in ("low", "high"))
    return f"{value} ({low}–{high})"


def routes(rows: Sequence[Row], encoder: str, split: str) -> list[list[str]]:
    """Head and lines: what every route finds; the deviation is that between seeds."""
    head = ["route", "seeds", "R@1 (95 %)", "± seeds", "R@1, needs both (95 %)", "R@1, alone"]
    lines = [[*head, "R@5", "R@10", "mAP (95 %)"]]
    for row in _of(rows, encoder, split):
        lines.append(
            [
                f"`{label(row['method'])}`",
                row["seeds"],
                share(row, "R@1", spread=True),
                share(row, "R@1_seeds"),
                share(row, "R@1_both", spread=True),
                share(row, "R@1_alone"),
                share(row, "R@5"),
                share(row, "R@10"),
                share(row, "mAP", spread=True),
            ]
        )
    return lines


def costs(rows: Sequence[Row], encoder: str, split: str) -> list[list[str]]:
    """Head and lines: what a question costs, and what was spent before the first one."""
    head = ["route", "texts read", "pictures seen", "ms to compose", "ms to score"]
    lines = [[*head, "first question, texts", "first question, ms", "training, min"]]
    for row in _of(rows, encoder, split):
        minutes = row.get("train_minutes")
        lines.append(
            [
                f"`{label(row['method'])}`",
                f"{float(row['text_passes']):.1f}",
                f"{float(row['image_passes']):.1f}",
                f"{float(row['compose_ms']):.1f}",
                f"{float(row['score_ms']):.2f}",
                f"{float(row['first_text_passes']):.0f}",
                f"{float(row['first_compose_ms']):.0f}",
                f"{float(minutes):.1f}" if minutes else "–",
            ]
        )
    return lines


def kinds(rows: Sequence[Row], heading: str, encoder: str, split: str) -> list[list[str]]:
    """Head and lines: R@1 of every route by kind of question under a heading."""
    some = [row for row in _of(rows, encoder, split) if row["by"] == heading]
    counts = {row["kind"]: row["questions"] for row in some}
    found: dict[str, dict[str, Row]] = {}
    for row in some:
        found.setdefault(row["method"], {})[row["kind"]] = row
    head = ["route", *(f"{kind} ({count})" for kind, count in counts.items())]
    return [
        head,
        *(
            [f"`{label(line)}`", *(share(by[kind], "R@1") if kind in by else "" for kind in counts)]
            for line, by in found.items()
        ),
    ]


def halves(rows: Sequence[Row], encoder: str, split: str) -> list[list[str]]:
    """Head and lines: how often a picture comes first that does half of what was asked."""
    some = _of(rows, encoder, split)
    sorts = [name for name in dict.fromkeys(n for row in some for n in row) if _is_half(name)]
    lines = [["route", "an answer first", *(name.removeprefix("first_") for name in sorts)]]
    for row in some:
        shares = [f"{100 * float(row.get(name) or 0):.1f}" for name in sorts]
        lines.append([f"`{label(row['method'])}`", share(row, "R@1"), *shares])
    return lines


def _is_half(name: str) -> bool:
    return name.startswith("first_") and not name.endswith(("_ms", "_passes"))


def pairs(rows: Sequence[Row], measure: str, encoder: str, split: str) -> list[list[str]]:
    """Head and lines: points of a measure above each half alone and above the plain sum."""
    some = [row for row in _of(rows, encoder, split) if row["measure"] == measure]
    against = list(dict.fromkeys(row["against"] for row in some))
    found: dict[str, dict[str, Row]] = {}
    for row in some:
        found.setdefault(row["method"], {})[row["against"]] = row
    lines = [["route", *(f"above `{label(one)}` (p)" for one in against)]]
    for line, by in found.items():
        lines.append(
            [f"`{label(line)}`", *(_gain(by[one]) if one in by else "" for one in against)]
        )
    return lines


def _gain(row: Row) -> str:
    p = float(row["p_holm"])
    told = "p < .001" if p < 0.001 else f"p {p:.3f}".replace("0.", ".", 1)
    return f"{100 * float(row['difference']):+.1f} ({told})"


def conclusions(rows: Sequence[Row], measure: str, encoder: str, split: str) -> str:
    """What the comparisons say, as a list of sentences; a difference is one at p < .05 (Holm)."""
    some = [row for row in _of(rows, encoder, split) if row["measure"] == measure]
    said = []
    both: dict[str, list[str]] = {}
    for row in some:
        if row["against"] in HALVES:
            both.setdefault(row["method"], []).append(_verdict(row))
    words = {
        "better than both halves": lambda v: v == ["better", "better"],
        "better than one half, and not shown to differ from the other": lambda v: (
            sorted(v) == ["better", "level"]
        ),
        "worse than one of the halves": lambda v: "worse" in v,
        "not shown to differ from either half": lambda v: v == ["level", "level"],
    }
    for told, holds in words.items():
        if names := [line for line, verdicts in both.items() if holds(verdicts)]:
            said.append(f"- **{told.capitalize()}**: {_list(names)}.")
    base = [row for row in some if row["against"] not in HALVES]
    for told, verdict in (("Better than", "better"), ("Worse than", "worse")):
        if names := [row["method"] for row in base if _verdict(row) == verdict]:
            said.append(f"- **{told} `{label(base[0]['against'])}`**: {_list(names)}.")
    if names := [row["method"] for row in base if _verdict(row) == "level"]:
        said.append(f"- Not shown to differ from `{label(base[0]['against'])}`: {_list(names)}.")
    return "\n".join(said)


def _verdict(row: Row) -> str:
    if float(row["p_holm"]) >= CLEAR:
        return "level"
    return "better" if float(row["difference"]) > 0 else "worse"


def _list(lines: Sequence[str]) -> str:
    return ", ".join(f"`{label(line)}`" for line in lines)


def pictures(rows: Sequence[Row], folder: Path = PICTURES) -> str:
    """The pictures that were drawn of routes, in the order of the table; each route once."""
    names = (re.split(r"[: ]", row["method"])[0] for row in rows)
    drawn = [name for name in dict.fromkeys(names) if (folder / f"{name}.jpg").is_file()]
    return "\n\n".join(
        f"`{name}`\n\n![{name}: a question it answers and one it does not]"
        f"(../pictures/{folder.name}/{name}.jpg)"
        for name in drawn
    )


def latency(rows: Sequence[Row]) -> list[list[str]]:
    """Head and lines: milliseconds a question in a library, by what the reference is."""
    asked = list(dict.fromkeys(row["reference"] for row in rows))
    lines = [["route", *(f"{one}, {when}" for one in asked for when in ("first", "later"))]]
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["method"], {})[row["reference"]] = row
    for line, by in found.items():
        cells = [
            f"{float(by[one][name]):.0f}" if one in by else ""
            for one in asked
            for name in ("first_ms", "later_ms")
        ]
        lines.append([f"`{label(line)}`", *cells])
    return lines


_ASKED = {"split": "test"}
LINES: dict[str, tuple[str, Callable[[Sequence[Row]], list[list[str]]]]] = {
    f"composed {name} {encoder}": (source, partial(make, encoder=encoder, **_ASKED))
    for encoder in ("compact", "builtin")
    for name, source, make in (
        ("routes", "composed", routes),
        ("costs", "composed", costs),
        ("halves", "composed", halves),
        ("firsts", "composed-pairs", partial(pairs, measure="R@1")),
        ("pairs", "composed-pairs", partial(pairs, measure="mAP")),
        ("change", "composed-kinds", partial(kinds, heading="change")),
        ("tier", "composed-kinds", partial(kinds, heading="tier")),
    )
} | {"composed latency": ("composed-latency", latency)}
"""Head and lines of every table of the page, and the CSV they come from."""

TEXTS: dict[str, tuple[str, Callable[[Sequence[Row]], str]]] = {
    "composed first answers": (
        "composed-pairs",
        partial(conclusions, measure="R@1", encoder="compact", **_ASKED),
    ),
    "composed whole order": (
        "composed-pairs",
        partial(conclusions, measure="mAP", encoder="compact", **_ASKED),
    ),
    "composed pictures": ("composed", pictures),
}
"""The same of what is no table."""
