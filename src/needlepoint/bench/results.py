"""What a run of the bench found, as JSON for later and as rows for a table."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from needlepoint.bench.metrics import Interval, bootstrap_interval
from needlepoint.bench.protocol import Item
from needlepoint.bench.scoring import Answer
from needlepoint.errors import UsageError

FORM = 1
"""Changes when older files can no longer be read."""

MEASURES = ("R@1", "R@5", "R@10", "mAP", "box_hits", "region_hits")


@dataclass(frozen=True, slots=True)
class Run:
    """One method on one protocol with one encoder.

    ``key`` is everything the figures hang on; ``cost`` holds ``passes``, ``maps``, ``work``,
    ``bytes``, ``regions`` a picture, ``describe_ms``, ``describe_cpu_ms`` a picture, ``ask_ms`` and
    ``score_ms`` a question; ``gate`` is empty where the fusion is not gated.
    """

    key: dict[str, Any]
    encoder: dict[str, Any]
    protocol: dict[str, Any]
    machine: dict[str, Any]
    cost: dict[str, float]
    gate: dict[str, float]
    gallery: tuple[Item, ...]
    answers: tuple[Answer, ...]
    notes: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """The method line."""
        return str(self.key["method"])

    @property
    def name(self) -> str:
        """Protocol and split."""
        return f"{self.key['protocol']} {self.key['split']}".strip()

    def values(self, measure: str) -> tuple[list[float], list[str]]:
        """One value a question (a positive, for the two box measures), and its group.

        Questions without a defined value are left out.
        """
        values: list[float] = []
        groups: list[str] = []
        for one in self.answers:
            if measure == "mAP":
                found = [one.average_precision()]
            elif measure.startswith("R@"):
                found = [one.hit_at(int(measure[2:]))]
            elif measure in ("box_hits", "region_hits"):
                found = [float(v) for v in (one.hits if measure == "box_hits" else one.region_hits)]
            else:
                raise UsageError(f"measure is {measure!r}. Allowed: {', '.join(MEASURES)}.")
            found = [value for value in found if not math.isnan(value)]
            values += found
            groups += [one.group] * len(found)
        return values, groups

    def interval(self, measure: str) -> Interval | None:
        """Mean and 95 % interval by bootstrap over groups of questions; None without values.

        The box measures of a gallery without any region are None, too: there is nothing to hit.
        """
        if measure in ("box_hits", "region_hits") and not self.cost["regions"]:
            return None
        values, groups = self.values(measure)
        return bootstrap_interval(values, groups=groups) if values else None

    def _held_out(self) -> dict[str, float]:
        """Mean average precision of questions that training never showed, and of the others."""
        found = {
            name: [
                one.average_precision()
                for one in self.answers
                if one.id.endswith("-new") == new and one.ranks
            ]
            for name, new in (("mAP_new", True), ("mAP_known", False))
        }
        if not found["mAP_new"]:
            return {}
        return {name: round(sum(v) / len(v), 4) for name, v in found.items() if v}

    def row(self) -> dict[str, Any]:
        """One line of the table: measures with their intervals, costs, and what they hang on."""
        told: dict[str, Any] = {
            "encoder": self.encoder["address"],
            "protocol": self.key["protocol"],
            "split": self.key["split"],
            "method": self.method,
            "fusion": self.key["fusion"],
            "questions": len(self.answers),
            "pictures": len(self.gallery),
        }
        for measure in MEASURES:
            found = self.interval(measure)
            values = [None] * 3 if found is None else [found.estimate, found.low, found.high]
            for ending, value in zip(("", "_low", "_high"), values, strict=True):
                told[measure + ending] = None if value is None else round(value, 4)
        told |= self._held_out()
        told |= {name: round(value, 3) for name, value in self.cost.items()}
        told |= {f"gate_{name}": round(value, 5) for name, value in self.gate.items()}
        told |= {k: self.key[k] for k in ("recipe", "revision", "data", "seed")}
        told |= self.machine
        return told


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be run, and why; ``failed`` when the reason is no known one."""

    encoder: str
    protocol: str
    split: str
    method: str
    reason: str
    failed: bool = False

    def row(self) -> dict[str, Any]:
        """One line of the table."""
        told = asdict(self)
        told["skipped"] = told.pop("reason")
        return told


def run_path(folder: Path, key: dict[str, Any]) -> Path:
    """Where the run of a key is kept: a readable name and a hash of the whole key."""
    whole = json.dumps(key, sort_keys=True).encode()
    words = [str(key[name]) for name in ("encoder", "protocol", "split", "method")]
    slug = "--".join(map(_slug, words))
    return folder / f"{slug}--{hashlib.sha256(whole).hexdigest()[:10]}.json"


def save_run(run: Run, folder: Path) -> Path:
    """Write a run whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {field.name: getattr(run, field.name) for field in fields(run)}
    told = {"form": FORM, "row": run.row()} | plain
    told["gallery"] = [asdict(item) for item in run.gallery]
    # asdict would copy a hundred places of every question
    told["answers"] = [{f.name: getattr(one, f.name) for f in fields(one)} for one in run.answers]
    path = run_path(folder, run.key)
    write_text(path, json.dumps(told, ensure_ascii=False, separators=(",", ":")))
    return path


def load_run(path: Path) -> Run:
    """Read a run.

    Raises:
        UsageError: no such file, or none that this version wrote.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["form"] != FORM:
            raise UsageError(f"{path} has form {told['form']!r}. Allowed: {FORM}. Run it again.")
        answers = tuple(_answer(row) for row in told["answers"])
        plain = {k: told[k] for k in ("key", "encoder", "protocol", "machine", "cost", "gate")}
        return Run(
            **plain,
            gallery=tuple(Item(**one) for one in told["gallery"]),
            answers=answers,
            notes=tuple(told["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"{path} is no run of the bench ({error}). Give a JSON of `bench run`."
        ) from error


def load_row(path: Path) -> dict[str, Any]:
    """The row of a run, without the rest of it."""
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["row"]
    return row


def load_key(path: Path) -> dict[str, Any]:
    """The key of a run, without the rest of it."""
    key: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["key"]
    return key


def run_files(folder: Path) -> list[Path]:
    """The files of all runs in a folder, by name."""
    return sorted(folder.glob("*--*--*.json"))


def find_run(text: str, folder: Path) -> Path:
    """The file of a run: a path, or words that only one name in ``folder`` holds all of.

    Where several do, the one with most words as whole parts of its name (encoder, dataset, task,
    split, method) is meant.

    Raises:
        UsageError: none or several.
    """
    if Path(text).is_file():
        return Path(text)
    words = [_slug(word) for word in text.split()]
    found = [path for path in run_files(folder) if all(word in path.name for word in words)]
    if len(found) > 1:
        fits = [sum(f"-{word}--" in path.name for word in words) for path in found]
        found = [path for path, fit in zip(found, fits, strict=True) if fit == max(fits)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:5]) or "none"
        raise UsageError(
            f"run {text!r} is no file and fits {len(found)} names in {folder} ({names}). "
            "Give a file, or words that fit one name."
        )
    return found[0]


def _slug(text: str) -> str:
    """Text as part of a file name."""
    return re.sub(r"[^\w.@=+-]+", "-", text).strip("-")[-60:]


def write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Rows as CSV; the columns are those of all rows, in the order they first appear."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _answer(row: dict[str, Any]) -> Answer:
    return Answer(
        row["id"],
        row["group"],
        tuple(row["ranks"]),
        tuple(row["found"]),
        tuple((int(i), float(score)) for i, score in row["top"]),
        {int(i): None if box is None else tuple(box) for i, box in row["places"].items()},
        tuple(row["hits"]),
        tuple(row["region_hits"]),
    )
