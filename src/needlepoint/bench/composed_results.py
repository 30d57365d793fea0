"""What a composed line found, as JSON for later and as rows: seeds pooled, kinds apart."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.bench.metrics import bootstrap_interval
from needlepoint.bench.results import run_path, write_text
from needlepoint.errors import UsageError

FORM = 1
"""Changes when older files can no longer be read."""

_SEED = re.compile(r"-s\d+$")


@dataclass(frozen=True, slots=True)
class Answered:
    """What one composed question was answered.

    ``ranks`` (from 1, ascending) are those of all answers, junk and what is as good taken out, and
    ``found`` their places in the gallery; ``top`` holds places and scores, best first; ``kinds``
    tell what sort of question it is by heading (``change``, ``tier``); ``half`` says what came
    first where that is no answer but something known, such as a half-truth.
    """

    id: str
    group: str
    ranks: tuple[int, ...]
    found: tuple[int, ...]
    top: tuple[tuple[int, float], ...]
    alone: bool
    kinds: Mapping[str, str] = field(default_factory=dict)
    half: str = ""


@dataclass(frozen=True, slots=True)
class ComposedRun:
    """One line on one protocol with one encoder.

    ``official`` holds the measures of the protocol, a value a question, None where undefined;
    ``cost`` passes of the encoder and milliseconds a question, and ``train_minutes`` where parts
    were trained; ``gallery`` the file of each place; ``protocol`` its folder, licence, notes and
    what each question asks.
    """

    key: dict[str, Any]
    machine: dict[str, Any]
    cost: dict[str, float]
    answers: tuple[Answered, ...]
    official: dict[str, list[float | None]] = field(default_factory=dict)
    gallery: tuple[str, ...] = ()
    protocol: dict[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The line."""
        return str(self.key["method"])

    @property
    def name(self) -> str:
        """Protocol and split."""
        return f"{self.key['protocol']} {self.key['split']}".strip()

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures of the protocol."""
        return tuple(self.official)

    def values(self, measure: str) -> list[float]:
        """One value a question, nan where it is not defined."""
        return [math.nan if one is None else one for one in self.official[measure]]

    def pool(self) -> tuple[str, ...]:
        """What runs share that differ in nothing but the seed of their training."""
        told = ("protocol", "split", "revision", "data", "limit", "pool", "fusion")
        return seedless(self.key["encoder"]), *(str(self.key[name]) for name in told)


@dataclass(frozen=True, slots=True)
class Pool:
    """The runs of one method under one or several seeds."""

    runs: tuple[ComposedRun, ...]

    def row(self) -> dict[str, Any]:
        """One line of the table.

        Each measure is a mean over questions and seeds with a 95 % interval by bootstrap over
        groups of questions; ``_seeds`` is the standard deviation between seeds.
        """
        first = self.runs[0]
        told = self.head() | self.spread(first.measures)
        for name, alone in (("both", False), ("alone", True)):
            chosen = [one.alone == alone for one in first.answers]
            told[f"questions_{name}"] = sum(chosen)
            told |= self.spread(first.measures[:1], chosen, f"_{name}")
        told |= self._halves()
        names = dict.fromkeys(name for run in self.runs for name in run.cost)
        for name in names:
            spent = [run.cost[name] for run in self.runs if name in run.cost]
            told[name] = round(float(np.mean(spent)), 3)
        told |= {k: first.key[k] for k in ("recipe", "fusion", "data", "revision")}
        return told | first.machine

    def by_kind(self) -> Iterator[dict[str, Any]]:
        """One line for each kind of question under each heading."""
        answers = self.runs[0].answers
        for heading in dict.fromkeys(name for one in answers for name in one.kinds):
            for kind in sorted({one.kinds.get(heading, "") for one in answers} - {""}):
                chosen = [one.kinds.get(heading) == kind for one in answers]
                told = self.head() | {"by": heading, "kind": kind, "questions": sum(chosen)}
                yield told | self.spread(self.runs[0].measures, chosen)

    def head(self) -> dict[str, Any]:
        """What is measured."""
        key = self.runs[0].key
        return {
            "encoder": seedless(key["encoder"]),
            "protocol": key["protocol"],
            "split": key["split"],
            "method": key["pool"],
            "seeds": len(self.runs),
            "questions": len(self.runs[0].answers),
            "pictures": len(self.runs[0].gallery),
        }

    def values(self, measure: str) -> list[float]:
        """One value a question: the mean over the seeds."""
        found: list[float] = np.mean([run.values(measure) for run in self.runs], axis=0).tolist()
        return found

    def spread(
        self, measures: Sequence[str], chosen: Sequence[bool] | None = None, ending: str = ""
    ) -> dict[str, float | None]:
        """Means of the chosen questions, their intervals and the deviation between seeds."""
        groups = [one.group for one in self.runs[0].answers]
        told: dict[str, float | None] = {}
        for measure in measures:
            values = self.values(measure)
            kept = [
                i
                for i, value in enumerate(values)
                if not math.isnan(value) and (chosen is None or chosen[i])
            ]
            name = f"{measure}{ending}"
            if not kept:
                told |= dict.fromkeys((name, f"{name}_low", f"{name}_high"))
                continue
            found = bootstrap_interval([values[i] for i in kept], groups=[groups[i] for i in kept])
            told[name] = round(found.estimate, 4)
            told[f"{name}_low"], told[f"{name}_high"] = round(found.low, 4), round(found.high, 4)
            if len(self.runs) > 1:
                seeds = [np.mean([run.values(measure)[i] for i in kept]) for run in self.runs]
                told[f"{name}_seeds"] = round(float(np.std(seeds, ddof=1)), 4)
        return told

    def _halves(self) -> dict[str, float]:
        """Share of the questions whose first picture is a half-truth, by its sort."""
        told = [one.half for run in self.runs for one in run.answers]
        sorts = sorted(set(told) - {""})
        return {f"first_{sort}": round(told.count(sort) / len(told), 4) for sort in sorts}


def seedless(encoder: str) -> str:
    """The address of an encoder that was trained with one of several seeds, without it.

    Example:
        >>> seedless("hf:weights/sprc-s2")
        'hf:weights/sprc'
    """
    return _SEED.sub("", encoder)


def pooled(runs: Sequence[ComposedRun]) -> list[Pool]:
    """Runs that differ in the seed of their training alone, together; in the order given."""
    groups: dict[tuple[str, ...], list[ComposedRun]] = {}
    for run in runs:
        groups.setdefault(run.pool(), []).append(run)
    return [
        Pool(tuple(sorted(some, key=lambda run: (run.key["encoder"], run.key["train_seed"] or 0))))
        for some in groups.values()
    ]


def save_composed(run: ComposedRun, folder: Path) -> Path:
    """Write a run whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = run_path(folder, run.key)
    told = {"composed": FORM} | asdict(run)
    write_text(path, json.dumps(told, ensure_ascii=False, separators=(",", ":")))
    return path


def load_composed(path: Path) -> ComposedRun:
    """Read a run.

    Raises:
        UsageError: no file of composed questions that this version wrote.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.get("composed") != FORM:
            raise UsageError(f"{path} holds no composed run of this version. Run it again.")
        return ComposedRun(
            told["key"],
            told["machine"],
            told["cost"],
            tuple(_answered(row) for row in told["answers"]),
            told["official"],
            tuple(told["gallery"]),
            told["protocol"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} holds no composed run ({error}).") from error


def _answered(row: dict[str, Any]) -> Answered:
    return Answered(
        row["id"],
        row["group"],
        tuple(row["ranks"]),
        tuple(row["found"]),
        tuple((int(i), float(score)) for i, score in row["top"]),
        row["alone"],
        row["kinds"],
        row["half"],
    )
