"""Recorded dialogues that were asked round by round, told as conversations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.bench.metrics import best_rank_integral, round_hits, round_recall
from needlepoint.bench.results import Run
from needlepoint.errors import UsageError

_ROUND = re.compile(r"(?P<data>.+)/round-(?P<turn>\d+)")


@dataclass(frozen=True, slots=True)
class Rounds:
    """The ranks int64 ``[Q, R]`` that one method line gave the targets of Q dialogues."""

    data: str
    split: str
    encoder: str
    method: str
    ranks: npt.NDArray[np.int64]

    def row(self, k: int = 10) -> dict[str, Any]:
        """BRI, and hits and recall at ``k`` for every round."""
        told: dict[str, Any] = {
            "encoder": self.encoder,
            "protocol": self.data,
            "split": self.split,
            "method": self.method,
            "dialogues": len(self.ranks),
            "BRI": round(float(best_rank_integral(self.ranks).mean()), 4),
        }
        measures = ("Hits", round_hits(self.ranks, k)), ("Recall", round_recall(self.ranks, k))
        for name, flags in measures:
            for turn, share in enumerate(flags.mean(axis=0)):
                told[f"{name}@{k}_{turn}"] = round(float(share), 4)
        return told


def rounds_of(runs: Iterable[Run]) -> list[Rounds]:
    """The runs on protocols ``DATASET/round-NN``, one for each line that was asked several.

    Raises:
        UsageError: a round is missing between others, or the rounds asked other dialogues.
    """
    groups: dict[tuple[str, str, str, str], dict[int, Run]] = {}
    for run in runs:
        match = _ROUND.fullmatch(run.key["protocol"])
        if match is not None:
            name = (match["data"], run.key["split"], run.encoder["address"], run.method)
            groups.setdefault(name, {})[int(match["turn"])] = run
    found = []
    for name, asked in groups.items():
        if len(asked) < 2:
            continue
        order = sorted(asked)
        if order != list(range(len(order))):
            raise UsageError(
                f"{name[0]} with {name[3]}: of the rounds only {order} were asked; ask all of them "
                "from 0 on (--task '*')"
            )
        ids = {tuple(one.id for one in asked[turn].answers) for turn in order}
        if len(ids) != 1:
            raise UsageError(f"{name[0]} with {name[3]}: the rounds asked different dialogues")
        columns = [[one.ranks[0] for one in asked[turn].answers] for turn in order]
        found.append(Rounds(*name, np.array(columns, np.int64).T))
    return found
