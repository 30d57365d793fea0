"""The tables of docs/results/fine-grained.md."""

from __future__ import annotations

from collections.abc import Sequence

from needlepoint.bench.suite import SUITES

Row = dict[str, str]
FULL = 300  # scenes of a whole set
SETS = ("crowd-2d", "crowd-3d")
ORDER = [line.method for line in SUITES["fine-grained-full"].lines]


def _of(rows: Sequence[Row], encoder: str, task: str, split: str = "test") -> dict[str, list[Row]]:
    """Rows of a task by method line, in the order of the suite; one row for each set."""
    found: dict[str, list[Row]] = {}
    lines = {row["method"] for row in rows}
    known = [line for line in dict.fromkeys(ORDER) if line in lines]
    for line in [*known, *sorted(lines.difference(known))]:
        some = [
            row
            for one in SETS
            for row in rows
            if (row["encoder"], row["protocol"], row["split"], row["method"])
            == (encoder, f"needle-{one}/{task}", split, line)
            and row.get("mAP")
            and int(row["pictures"]) == FULL
        ]
        if some:
            found[line] = some
    return found


def _share(value: str) -> str:
    return f"{float(value):.3f}" if value else ""


def _spread(row: Row, measure: str) -> str:
    if not row.get(measure):
        return ""
    low, high = (_share(row[f"{measure}_{end}"]) for end in ("low", "high"))
    return f"{_share(row[measure])} ({low}–{high})"


def _lines(rows: Sequence[Row], encoder: str, task: str, split: str) -> list[list[str]]:
    lines = []
    for line, some in _of(rows, encoder, task, split).items():
        cells = [f"`{line}`"]
        for one in SETS:
            row = next((r for r in some if r["protocol"] == f"needle-{one}/{task}"), {})
            cells += [
                _spread(row, "mAP") if row else "",
                *(_share(row.get(k, "")) for k in ("R@1", "R@5", "R@10", "box_hits")),
            ]
        last = some[0]
        cells += [
            f"{float(last['passes']):.1f}",
            f"{float(last['work']):.1f}",
            f"{float(last['bytes']):.0f}",
            f"{float(last['describe_cpu_ms']):.0f}",
        ]
        lines.append(cells)
    return lines


def methods(rows: Sequence[Row], encoder: str, task: str, split: str) -> list[list[str]]:
    """Head and lines: every method line of one encoder and task, the two sets side by side."""
    head = ["method line"]
    for kind in ("2-D", "3-D"):
        head += [f"{kind} mAP (95 %)", "R@1", "R@5", "R@10", "box"]
    return [[*head, "passes", "work", "bytes", "cpu ms"], *_lines(rows, encoder, task, split)]


def few(rows: Sequence[Row], encoder: str) -> list[list[str]]:
    """Head and lines: pictures of things asked of a part of the 2-D scenes, for what is dear."""
    head = ["method line", "pictures", "mAP (95 %)", "R@1", "R@5", "R@10", "vectors", "cpu ms"]
    lines = []
    for row in rows:
        small = int(row["pictures"] or 0) < FULL
        if small and row["encoder"] == encoder and row["protocol"].endswith("/instance"):
            cells = [f"`{row['method']}`", row["pictures"], _spread(row, "mAP")]
            cells += [_share(row[k]) for k in ("R@1", "R@5", "R@10")]
            kept = max(1.0, float(row["regions"]) + (not row["method"].startswith("mao")))
            lines.append([*cells, f"{kept:.1f}", f"{float(row['describe_cpu_ms']):.0f}"])
    return [head, *lines]


def gates(rows: Sequence[Row], encoder: str, split: str) -> list[list[str]]:
    """Head and lines: how often a gate was open, and by how much it raised scores."""
    head = ["set and task", "method line", "open, right", "open, any", "raised, right"]
    head += ["raised, any", "boost, right", "boost, any"]
    lines = []
    for task in ("thing", "whole"):
        for line, some in _of(rows, encoder, task, split).items():
            if not line.startswith("lare") or not some[0].get("gate_open_any"):
                continue
            for row in some:
                kinds = ("open", "raised", "boost")
                shown = [
                    f"{float(row[f'gate_{kind}_{pairs}']):.3f}"
                    for kind in kinds
                    for pairs in ("positive", "any")
                ]
                lines.append([row["protocol"].removeprefix("needle-"), f"`{line}`", *shown])
    return [head, *lines]


def unseen(rows: Sequence[Row], encoder: str, split: str) -> list[list[str]]:
    """Head and lines: word and colour pairs that training never showed, beside the others."""
    head = ["method line", "2-D known", "2-D new", "3-D known", "3-D new"]
    lines = []
    for line, some in _of(rows, encoder, "thing", split).items():
        cells = [f"`{line}`"]
        for one in SETS:
            row = next((r for r in some if r["protocol"] == f"needle-{one}/thing"), {})
            cells += [_share(row.get(k, "")) for k in ("mAP_known", "mAP_new")]
        lines.append(cells)
    return [head, *lines]
