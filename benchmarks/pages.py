"""Fill the tables of docs/results from the CSV files, and draw the curve.

    python benchmarks/pages.py

A page holds a table between ``<!-- table NAME -->`` and ``<!-- end -->``; what stands between is
replaced, all other text is left alone. The plot goes to docs/results/needle-curve.svg.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path

import click

import composed_tables as composed
import dqe_tables as dqe
import fine_grained_tables as fine
from common import RESULTS

PAGES = Path(__file__).parent.parent / "docs" / "results"
Row = dict[str, str]
SETS = ("2d-test", "3d-test")


def read(name: str) -> list[Row]:
    """Rows of the one CSV of this name, whatever the hardware in its file name."""
    files = sorted(RESULTS.glob(f"{name}-[0-9]*.csv"))
    if len(files) != 1:
        raise SystemExit(f"{RESULTS} holds {len(files)} files {name}-*.csv; keep one")
    with files[0].open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others stand to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ready(lines: list[list[str]]) -> str:
    """A Markdown table of lines, the first of which is its head."""
    return table(lines[0], lines[1:])


def short(value: str) -> str:
    """A share with three decimals."""
    return f"{float(value):.3f}" if value else ""


def size(value: str) -> str:
    """Bytes with a unit."""
    number = float(value)
    if number >= 1e6:
        return f"{number / 1e6:.2f} MB"
    return f"{number / 1e3:.1f} KB" if number >= 1e3 else f"{number:.0f} B"


def label(row: Row) -> str:
    """What is kept, in words."""
    codec = {"b4": "4 bits", "i8": "8 bits", "sign": "sign bits"}.get(row["codec"], row["codec"])
    count = f"{row['R']} × " if row["R"] and not row["kept"].startswith("windows") else ""
    return f"{row['kept']}: {count}{row['dim']} × {codec}"


def side_by_side(rows: list[Row], wanted: Callable[[Row], bool], lead: bool) -> str:
    """The two sets beside each other, one line for each way that is wanted."""
    pairs: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if wanted(row):
            pairs.setdefault((label(row), row["input_side"]), {})[row["set"]] = row
    lines = []
    for (name, side), found in pairs.items():
        if set(found) != set(SETS):
            continue
        line = [f"**{name}**" if lead and is_default(found[SETS[0]]) else name]
        if not lead:
            line.append(side)
        for one in SETS:
            row = found[one]
            line += [size(row["bytes"]), short(row["mAP"]), short(row["R@1"])]
            line.append(short(row["box_hits"]))
            if not lead:
                line.append(f"{float(row['ms_cpu']):.0f}")
        lines.append(line)
    per = ["bytes", "mAP", "R@1", "box hits"] + ([] if lead else ["ms"])
    head = ["kept of a picture"] + ([] if lead else ["input side"])
    head += [f"{kind} {one}" for kind in ("2-D", "3-D") for one in per]
    return table(head, lines)


def is_default(row: Row) -> bool:
    """Whether a row is what the library does unless told otherwise."""
    plain = row["kept"] == "representatives" and row["input_side"] == "1024"
    return plain and (row["R"], row["dim"], row["codec"]) == ("32", "384", "b4")


def needle_bytes(rows: list[Row]) -> str:
    """Storage at the default input size."""

    def wanted(row: Row) -> bool:
        if row["kept"] == "every window":
            return row["input_side"] == "1024"
        if row["kept"] != "representatives" or row["input_side"] != "1024":
            return False
        return (
            (row["dim"] == "384" and row["codec"] == "b4")
            or (row["dim"] == "384" and row["R"] == "32")
            or (row["R"] in ("16", "32", "64") and row["codec"] in ("b4", "sign"))
        )

    ordered = sorted((r for r in rows if wanted(r)), key=lambda r: -float(r["bytes"]))
    return side_by_side(ordered, wanted, lead=True)


def needle_sides(rows: list[Row]) -> str:
    """Input sizes with the two ends of the curve."""
    found = [r for r in rows if r["cells"]]
    return side_by_side(found, lambda row: True, lead=False)


def needle_controls(rows: list[Row]) -> str:
    """Controls and what was left out."""
    plain = ("every window", "representatives")
    found = [r for r in rows if r["kept"] not in plain]
    return side_by_side(found, lambda row: True, lead=False)


def needle_spread(rows: list[Row]) -> str:
    """Intervals of the reference, the default and the whole picture."""
    lines = []
    for row in rows:
        every = row["kept"] == "every window" and row["dim"] == "384" and row["cells"]
        if (every and row["input_side"] == "1024") or (is_default(row) and not row["cells"]):
            spreads = [
                f"{short(row[k])} ({short(row[f'{k}_low'])} to {short(row[f'{k}_high'])})"
                for k in ("mAP", "R@1", "box_hits")
            ]
            lines.append([label(row), row["set"], *spreads])
    return table(["kept of a picture", "set", "mAP", "R@1", "box hits"], lines)


def calibration_bins(rows: list[Row], section: str) -> str:
    """Predicted and observed, by bin."""
    lines = [
        [r["space"], r["asked"], r["set"], r["bin"], r["count"], r["predicted"], r["observed"]]
        for r in rows
        if r["section"] == section and r["bin"] != "all"
    ]
    head = ["space", "asked with", "set", "probability", "answers", "predicted", "observed"]
    return table(head, lines)


def calibration_errors(rows: list[Row]) -> str:
    """Expected calibration errors."""
    lines = [
        [r["space"], r["asked"], r["set"], r["section"], r["predicted"], r["observed"], r["error"]]
        for r in rows
        if r["bin"] == "all"
    ]
    head = ["space", "asked with", "set", "over", "predicted", "observed", "calibration error"]
    return table(head, lines)


def calibration_cutoff(rows: list[Row]) -> str:
    """Who is told that nothing matches."""
    lines = [
        [
            f"{r['space']}, {r['asked']}",
            r["set"],
            r["answer"],
            r["count"],
            f"{short(r['turned_away'])} ({short(r['low'])} to {short(r['high'])})",
            short(r["separation"]),
        ]
        for r in rows
        if r["section"] == "cut-off"
    ]
    head = ["question", "set", "its answer is", "questions", "told “nothing matches”", "separation"]
    return table(head, lines)


def words_shipped(rows: list[Row]) -> str:
    """The shipped bridge."""
    lines = [
        [r["set"], r["asked"], short(r["chance_mAP"])]
        + [f"{short(r['mAP'])} ({short(r['mAP_low'])} to {short(r['mAP_high'])})"]
        + [short(r[k]) for k in ("R@1", "R@5", "R@10")]
        + [r["pictures"], r["names"]]
        for r in rows
        if r["bridge"] == "shipped"
    ]
    head = ["set", "asked", "chance mAP", "mAP", "R@1", "R@5", "R@10", "pictures", "names"]
    return table(head, lines)


def words_variants(rows: list[Row]) -> str:
    """mAP of every bridge: regions of scenes and samples, whole stamps."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    lines = []
    for bridge in dict.fromkeys(row["bridge"] for row in rows):
        line = [bridge]
        for one in sets:
            kind = "whole" if one.startswith("stamps") else "regions"
            line += [
                short(r["mAP"])
                for r in rows
                if (r["bridge"], r["set"], r["asked"]) == (bridge, one, kind)
            ]
        lines.append(line)
    return table(["bridge", *sets], lines)


def draw(rows: list[Row]) -> str:
    """mAP over bytes (logarithmic), 384 numbers a vector, one line for each codec and set."""
    wide, high, left, low = 720, 420, 60, 370
    first, last, top = math.log10(300), math.log10(6e6), 0.8

    def x(value: str | float) -> float:
        return left + (math.log10(float(value)) - first) / (last - first) * (wide - left - 20)

    def y(value: str | float) -> float:
        return low - float(value) / top * (low - 20)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
    ]
    for tick, name in ((1e3, "1 KB"), (1e4, "10 KB"), (1e5, "100 KB"), (1e6, "1 MB")):
        out.append(
            f'<path d="M{x(tick):.1f} 20V{low}" stroke="#ddd"/>'
            f'<text x="{x(tick):.1f}" y="{low + 16}" text-anchor="middle">{name}</text>'
        )
    for tenth in range(0, 9, 2):
        out.append(
            f'<path d="M{left} {y(tenth / 10):.1f}H{wide - 20}" stroke="#ddd"/>'
            f'<text x="{left - 8}" y="{y(tenth / 10) + 4:.1f}" text-anchor="end">.{tenth}</text>'
        )
    out.append(f'<text x="{wide / 2}" y="{high - 8}" text-anchor="middle">bytes a picture</text>')
    out.append(f'<text x="{left}" y="14" text-anchor="middle">mAP</text>')
    colours = {"float32": "#888", "i8": "#2b6cb0", "b4": "#c53030", "sign": "#2f855a"}
    names = {"float32": "float32", "i8": "8 bits", "b4": "4 bits (default)", "sign": "sign bits"}
    for number, (codec, colour) in enumerate(colours.items()):
        for one, dash in ((SETS[0], ""), (SETS[1], ' stroke-dasharray="5 3"')):
            points = sorted(
                (float(r["bytes"]), float(r["mAP"]))
                for r in rows
                if r["kept"] == "representatives"
                and not r["cells"]
                and (r["set"], r["dim"], r["codec"]) == (one, "384", codec)
            )
            path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}"{dash}/>')
            out += [
                f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="2.5" fill="{colour}"/>'
                for a, b in points
            ]
        out.append(
            f'<text x="{wide - 140}" y="{210 + 16 * number}" fill="{colour}">{names[codec]}</text>'
        )
    for row in rows:
        every = row["kept"] == "every window" and row["cells"]
        if every and row["input_side"] == "1024":
            out.append(
                f'<rect x="{x(row["bytes"]) - 4:.1f}" y="{y(row["mAP"]) - 4:.1f}" width="8" '
                'height="8" fill="black"/>'
            )
    out.append(f'<text x="{wide - 140}" y="274">■ every window</text>')
    out.append(f'<text x="{wide - 140}" y="290">— 2-D   - - 3-D views</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def likely_rules(rows: list[Row]) -> str:
    """Three ways to say which of an answer match."""
    head = ["question", "set", "rule", "shown", "precision", "recall", "F1 (95 %)"]
    lines = [
        [
            *(r["question"], r["set"], r["rule"], r["shown"], r["precision"], r["recall"]),
            f"{r['f1']} ({r['f1_low']} to {r['f1_high']})",
        ]
        for r in rows
    ]
    return table(head, lines)


TABLES: dict[str, tuple[str, Callable[[list[Row]], str]]] = (
    {
        "needle bytes": ("needle-curve", needle_bytes),
        "needle sides": ("needle-curve", needle_sides),
        "needle controls": ("needle-curve", needle_controls),
        "needle spread": ("needle-curve", needle_spread),
        "calibration cut-off": ("calibration", calibration_cutoff),
        "calibration errors": ("calibration", calibration_errors),
        "calibration pairs": ("calibration", lambda rows: calibration_bins(rows, "pairs")),
        "calibration first": ("calibration", lambda rows: calibration_bins(rows, "first")),
        "likely rules": ("likely", likely_rules),
        "words shipped": ("words", words_shipped),
        "words variants": ("words", words_variants),
    }
    | {
        f"fine {encoder} {task} {split}": (
            "fine-grained",
            lambda rows, of=(encoder, task, split): ready(fine.methods(rows, *of)),
        )
        for encoder in ("compact", "builtin")
        for task in ("thing", "whole", "instance")
        for split in ("dev", "test")
    }
    | {
        f"fine {name} {split}": (
            "fine-grained",
            lambda rows, make=make, split=split: ready(make(rows, "compact", split)),
        )
        for name, make in (("gates", fine.gates), ("unseen", fine.unseen))
        for split in ("dev", "test")
    }
)
TABLES |= {
    name: (source, lambda rows, make=make: ready(make(rows)))
    for name, (source, make) in composed.LINES.items()
}
TABLES |= composed.TEXTS
TABLES |= {
    f"dqe {split}": ("dqe-ablation", lambda rows, split=split: ready(dqe.arms(rows, split)))
    for split in ("dev", "test")
}
TABLES |= {
    f"dqe {part}": ("dqe-ablation", lambda rows, part=part: ready(dqe.choices(rows, part)))
    for part in ("bounds", "K", "refresh")
}
TABLES["fine few"] = ("fine-grained", lambda rows: ready(fine.few(rows, "compact")))


@click.command(help=__doc__)
def main() -> None:
    """Rewrite the tables of every page."""

    def fill(match: re.Match[str]) -> str:
        source, make = TABLES[match[1]]
        return f"<!-- table {match[1]} -->\n{make(read(source))}\n<!-- end -->"

    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        new = re.sub(r"<!-- table ([\w -]+?) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)
        if new != text:
            page.write_text(new, encoding="utf-8")
            click.echo(str(page))
    (PAGES / "needle-curve.svg").write_text(draw(read("needle-curve")), encoding="utf-8")


if __name__ == "__main__":
    main()
