"""Questions made ready for searching: checked, grouped by space, and looked at together.

Shapes: N pictures, V probes, D dim. Pairs are ``[N, 2, V]``: whole picture and best region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.search.exact import slack
from needlepoint.search.fusion import Fusion
from needlepoint.search.topk import check_k, fuse
from needlepoint.store.base import Ids, Probe, Question, Space
from needlepoint.store.view import View

MODES = ("auto", "exact", "compressed")
FEW = 1_000
"""Pictures left by a filter up to which they are read from the database and compared exactly."""

_ROUNDING = 1e-6  # of a weighted sum
_DOUBT = 3.0  # standard deviations by which a guess may be too low and still be looked at
_DOUBT_GATED = 4.0  # the errors of two guesses are mixed, and spread less evenly


class Asked:
    """One question, checked, its probes grouped by space."""

    def __init__(self, question: Question, spaces: Callable[[int], Space]) -> None:
        probes = question.probes
        if not probes:
            raise UsageError("probes must hold at least one, got none")
        if question.mode not in MODES:
            raise UsageError(f"mode must be one of {', '.join(MODES)}, got {question.mode!r}")
        self.k = check_k(question.k)
        self.probes = probes
        self.within = (
            None if question.within is None else np.unique(np.asarray(question.within, np.int64))
        )
        self.few = self.within is not None and len(self.within) <= FEW
        self._mode = question.mode
        self.spaces = {probe.space: spaces(probe.space) for probe in probes}
        self.columns: dict[int, list[int]] = {}
        for column, probe in enumerate(probes):
            dim = self.spaces[probe.space].dim
            length = float(np.linalg.norm(probe.vector.astype(np.float64)))
            if probe.vector.shape != (dim,) or not abs(length - 1) < 1e-2:
                raise UsageError(
                    f"vector of probe {column} must have shape [{dim}] and unit length, got "
                    f"shape {list(probe.vector.shape)} and length {length:.4g}"
                )
            self.columns.setdefault(probe.space, []).append(column)
        gated = any(probe.fusion.kind == "gated" for probe in probes)
        self.doubt = _DOUBT_GATED if gated else _DOUBT
        self._error = slack(max(space.dim for space in self.spaces.values()))
        self._weights = np.array([probe.weight for probe in probes], np.float64)
        self._means = np.array([probe.mean for probe in probes], np.float64)
        self._stds = np.array([probe.std for probe in probes], np.float64)
        self._curves = [probe.curve for probe in probes]
        # the heaviest probe tells where in the picture the answer is
        self.pointer = int(np.argmax(self._weights))
        self.weigh(np.empty((0, len(probes)), np.float32))

    def exact(self, views: dict[int, View]) -> bool:
        """Whether every vector is compared, and not only those that bits point to."""
        held = all(views[number].exact for number in self.spaces)
        return self._mode == "exact" or held or (self._mode == "auto" and self.few)

    def vectors(self, columns: Sequence[int]) -> Floats:
        """The probes of some columns, float32 ``[V, D]``."""
        return np.stack([self.probes[c].vector for c in columns]).astype(np.float32, copy=False)

    def fusions(self, columns: Sequence[int]) -> list[Fusion]:
        """How the probes of some columns fuse."""
        return [self.probes[c].fusion for c in columns]

    def combine(self, pairs: Floats) -> Floats:
        """Scores ``[N, V]`` of pairs."""
        found = [p.fusion.combine(pairs[:, 0, v], pairs[:, 1, v]) for v, p in self._columns()]
        return np.stack(found, axis=1)

    def weigh(self, parts: Floats) -> Floats:
        """One score ``[N]`` for each picture, of its scores ``[N, V]``."""
        return fuse(parts, self._weights, self._means, self._stds, self._curves)

    def span(self, pairs: Floats) -> tuple[Floats, Floats]:
        """Bounds ``[N]`` of the canonical score of pairs from a scan."""
        spans = [
            p.fusion.span(pairs[:, 0, v], pairs[:, 1, v], self._error) for v, p in self._columns()
        ]
        # what pushes away lowers a score by as much as it raises its own
        low, high = (
            np.stack(
                [s[i if p.weight >= 0 else 1 - i] for s, p in zip(spans, self.probes, strict=True)],
                axis=1,
            )
            for i in (0, 1)
        )
        return self.weigh(low) - _ROUNDING, self.weigh(high) + _ROUNDING

    def promise(self, pairs: Floats) -> Floats:
        """What a picture ``[N]`` with such pairs scores at most, whichever gates are open."""
        most = []
        for v, probe in self._columns():
            whole, region = pairs[:, 0, v], pairs[:, 1, v]
            if probe.fusion.kind != "gated":
                most.append(probe.fusion.combine(whole, region))
            elif probe.weight > 0:
                most.append(replace(probe.fusion, tau=np.inf).at_most(whole, region))
            else:
                most.append(whole)
        return self.weigh(np.stack(most, axis=1))

    def _columns(self) -> Iterable[tuple[int, Probe]]:
        return enumerate(self.probes)


class Looks:
    """One look at each view for all the questions that need it, and what each has of it."""

    def __init__(self, views: dict[int, View], every: Sequence[Asked]) -> None:
        self._views = views
        self._places: dict[tuple[int, bytes, Fusion], int] = {}
        wanted: dict[int, list[tuple[Floats, Fusion]]] = {}
        for asked in every:
            for number in asked.columns:
                probes = wanted.setdefault(number, [])
                for key, vector in self._shared(asked, number):
                    if key not in self._places:
                        self._places[key] = len(probes)
                        probes.append((vector, key[2]))
        self._pairs = {
            number: views[number].look(np.stack([v for v, _ in probes]), [f for _, f in probes])
            for number, probes in wanted.items()
            if probes
        }

    def of(self, asked: Asked, number: int) -> tuple[Ids, Floats]:
        """Ids ``[N]`` and pairs ``[N, 2, V]`` of what a question may find in a space."""
        view, columns = self._views[number], asked.columns[number]
        places = [self._places[key] for key, _ in self._shared(asked, number)]
        if places:
            pairs = [one[:, :, places] for one in self._pairs[number]]
        else:
            pairs = view.look(asked.vectors(columns), asked.fusions(columns))
        return view.gather(asked.within, pairs)

    def _shared(
        self, asked: Asked, number: int
    ) -> Iterator[tuple[tuple[int, bytes, Fusion], Floats]]:
        """What a question shares of the look at a space: its probes, and how they are known."""
        view, exact = self._views[number], asked.exact(self._views)
        # Rounding in a look at codes depends on how many look. Canonical scores make up for that
        # where codes decide alone; beside guesses a question looks by itself.
        if view.exact != exact or (exact and asked.few):
            return
        columns = asked.columns[number]
        for vector, fusion in zip(asked.vectors(columns), asked.fusions(columns), strict=True):
            yield (number, vector.tobytes(), fusion), vector
