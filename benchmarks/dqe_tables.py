"""The tables of docs/results/dqe-cir.md, from the rows of ``dqe_ablation.py``."""

from __future__ import annotations

from collections.abc import Sequence

Row = dict[str, str]
HEAD = ["arm", "mAP", "R@10", "over the base", "p", "fallback", "unlabelled answers", "s"]
ORDER = ("controls", "main", "negatives", "twice the steps")
NAMES = {
    "picture alone": "picture alone",
    "words alone": "words alone",
    "sum": "plain sum",
    "random": "both, but random negatives",
    "hardest": "both, but the hardest 16",
    "qure": "both, but QuRe's drops",
    "in-batch": "both, but negatives of the batch",
    "all": "both, but the whole gallery",
}


def arms(rows: Sequence[Row], split: str) -> list[list[str]]:
    """Head and a line an arm: all seeds pooled, what was learnt and what was not."""
    pooled = [row for row in rows if row["split"] == split and row["seed"] == "all"]
    lines = [HEAD]
    for part in ORDER:
        for row in (one for one in pooled if one["part"] == part):
            name = NAMES.get(row["arm"], row["arm"])
            lines.append([f"{name}, twice the steps" if part == ORDER[-1] else name, *_cells(row)])
    return lines


def choices(rows: Sequence[Row], part: str) -> list[list[str]]:
    """Head and a line for each setting that dev chose among."""
    found = [row for row in rows if (row["part"], row["seed"]) == (part, "all")]
    return [HEAD, *([row["arm"], *_cells(row)] for row in found)]


def _cells(row: Row) -> list[str]:
    over = ""
    if row["over_base"]:
        low, high = float(row["over_base_low"]), float(row["over_base_high"])
        over = f"{float(row['over_base']):+.3f} [{low:+.3f}, {high:+.3f}]"
    return [
        f"{float(row['mAP']):.3f}",
        f"{float(row['R@10']):.3f}",
        over,
        f"{float(row['over_base_p']):.3f}" if row["over_base_p"] else "",
        f"{100 * float(row['fallback']):.1f} %" if row["fallback"] else "",
        f"{100 * float(row['near']):.2f} %" if row["near"] else "",
        f"{float(row['seconds']):.0f}" if row["seconds"] else "",
    ]
