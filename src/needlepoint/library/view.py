"""What a dialogue or a composer may ask of a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from needlepoint.intake.decode import decode
from needlepoint.library.asking import Asker, Options
from needlepoint.methods.dialogue import Mark
from needlepoint.parts import Encoder, Floats
from needlepoint.picture import Pixels
from needlepoint.query import Part, Query
from needlepoint.store.base import Ids, Probe
from needlepoint.store.sqlite import SqliteStore

BACKGROUND = 200
"""Pictures whose scores tell what is unrelated, where the encoder has no calibration."""

SPREAD = 500
"""Pictures that tell mean and spread of a score over the library; all where there are no more."""


class LibraryView:
    """A library as a method sees it; see ``methods.dialogue.View``, ``methods.composing.Sight``."""

    def __init__(self, store: SqliteStore, asker: Asker, options: Options) -> None:
        self._store, self._asker, self._options = store, asker, options

    def probes(self, query: Query) -> list[Probe]:
        """A question made ready."""
        return self._asker.probes(query, self._options)

    def marked(self, marks: Sequence[Mark]) -> list[Probe]:
        """One probe for each mark."""
        parts = [Part("item", str(mark.id), box=mark.box) for mark in marks]
        return [self._asker.probes(Query((part,)), self._options)[0] for part in parts]

    def standard(self, probes: Sequence[Probe]) -> list[Probe]:
        """The probes with the background their encoder knows, else with that of the library."""
        return [p if (p.mean, p.std) != (0.0, 1.0) else self._standard(p) for p in probes]

    def sample(self, count: int, space: int) -> Ids:
        """Ids of pictures that can be found, spread evenly."""
        ids = self._asker.pictures(space, self._options)
        if len(ids) <= count:
            return ids
        return ids[np.linspace(0, len(ids) - 1, count).round().astype(np.int64)]

    def search(self, probes: Sequence[Probe], k: int) -> tuple[Ids, Floats]:
        """The best pictures."""
        found = self._asker.best(probes, k, self._options)
        return found.ids, found.score

    def wholes(self, ids: Sequence[int], space: int) -> Floats:
        """Vectors of whole pictures."""
        rows = self._store.fetch_vectors(ids, space)
        return np.stack([rows[number].whole for number in ids])

    def captions(self, ids: Sequence[int]) -> list[str]:
        """The keywords of pictures."""
        facts = self._store.facts(ids)
        return [", ".join(facts[number][1].keywords) for number in ids]

    def names(self, ids: Sequence[int]) -> list[str]:
        """Paths of pictures below their folder of the library."""
        facts = self._store.facts(ids)
        return [facts[number][0].path for number in ids]

    def pixels(self, number: int, side: int) -> Pixels:
        """A picture of the library."""
        return decode(self._asker.preparer.path_of(number), at_least=side).pixels

    def seen(self, pixels: Pixels) -> Probe:
        """A picture that is not of the library as a probe."""
        return self._asker.probes(Query.coerce(pixels), self._options)[0]

    @property
    def encoder(self) -> Encoder:
        """The encoder that answers pictures."""
        return self._asker.encoder(self._options)

    def pixels_of(self, part: Part) -> Pixels:
        """What a picture, an item or a piece of one shows."""
        return self._asker.preparer.pixels_of(part)

    def spread(self, probe: Probe) -> tuple[float, float]:
        """Mean and deviation over the library; beyond ``SPREAD`` pictures, over so many."""
        scores = self._scores(probe, SPREAD)
        if len(scores) < 2:
            return float(scores.sum()), 0.0
        return float(scores.mean()), float(scores.std(ddof=1))

    def _standard(self, probe: Probe) -> Probe:
        known = self._asker.background(probe)
        if known is None:
            scores = self._scores(probe, BACKGROUND)
            known = float(scores.mean()), float(max(scores.std(), 1e-6))
        return replace(probe, mean=known[0], std=known[1])

    def _scores(self, probe: Probe, count: int) -> Floats:
        """The probe's scores of up to ``count`` pictures, spread evenly."""
        rows = self._store.fetch_vectors(self.sample(count, probe.space).tolist(), probe.space)
        whole = np.array([row.whole @ probe.vector for row in rows.values()], np.float32)
        region = np.array(
            [max(row.regions @ probe.vector, default=-np.inf) for row in rows.values()], np.float32
        )
        return probe.fusion.combine(whole, region)
