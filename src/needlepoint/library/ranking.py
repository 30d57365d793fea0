"""A ranking that is read page by page, and stays itself while the library changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from needlepoint.results import Hit, Results

DEPTH = 10_000
"""Pictures of one ranking that can be paged through."""
RELEVANT = 200
"""Pictures that are put in order of date where no cut-off tells which are relevant."""

_FIRST = 201  # a page of 200, and whether there is more
_GROWTH = 5

Order = Literal["score", "newest", "oldest"]
Fold = Callable[[Sequence[int]], Mapping[int, Sequence[int]]]
"""Near-duplicates among some ids, best first: ids that stand for others, and which those are."""


@dataclass(slots=True)
class Ranking:
    """What has been ranked of one question so far; asks for more only when more is read.

    It does not ask itself: :meth:`wants` tells how deep a search is needed, :meth:`take` takes its
    answer, until nothing is wanted. What a later, deeper search finds goes behind what there is;
    pictures that came into the library meanwhile and would stand before it are left out, so that
    no page changes once it was read.

    Example:
        >>> ranking = Ranking()  # doctest: +SKIP
        >>> while (k := ranking.wants(50)) is not None:  # doctest: +SKIP
        ...     ranking.take(library.search("a red bicycle", k=k), k)
        >>> [hit.id for hit in ranking.page(0, 50)]  # doctest: +SKIP
    """

    order: Order = "score"
    min_score: float | Literal["auto"] | None = None
    fold: Fold | None = None
    hits: list[Hit] = field(default_factory=list)
    """Best first, of the least score wanted and above, near-duplicates among them."""
    shown: list[Hit] = field(default_factory=list)
    """What pages are made of: in the order wanted, near-duplicates folded away."""
    folded: dict[int, list[int]] = field(default_factory=dict)
    matching: int = 0
    """How many of those looked at are above the cut-off; all that are, once ``settled``."""
    first: Results | None = None
    """The first answer: its cut-off, notes and times are those of the ranking."""
    _asked: int = 0
    _seen: set[int] = field(default_factory=set)
    _last: Hit | None = None
    _ended: bool = False
    _low: bool = False

    def wants(self, upto: int) -> int | None:
        """How many to search for before the first ``upto`` can be read; None when they can."""
        if self.first is None:
            return max(_FIRST, min(upto, DEPTH))
        if self._ended or self._asked >= DEPTH or (self.settled and self._bounded):
            return None
        if not self._bounded and len(self.shown) >= upto:
            return None
        return min(DEPTH, max(_GROWTH * self._asked, upto))

    def take(self, results: Results, k: int) -> None:
        """Take the answer to a search for the best ``k``, without a least score."""
        if self.first is None:
            self.first = results
        last = self._last
        for hit in results:
            if hit.id in self._seen or (last is not None and _before(hit, last)):
                continue
            self._seen.add(hit.id)
            self._last = hit
            self.matching += hit.match is True
            if self._too_low(hit):
                self._low = True
            else:
                self.hits.append(hit)
        self._asked = k
        self._ended = len(results) < k
        self._arrange()

    def page(self, start: int, limit: int) -> list[Hit]:
        """Some of what is shown; see :meth:`wants`."""
        return self.shown[start : start + limit]

    @property
    def settled(self) -> bool:
        """Whether no deeper search would find more that match or reach the least score."""
        if self.first is None:
            return False
        blind = self.first.cutoff is None
        enough = blind and self.order != "score" and self._asked >= RELEVANT
        past = self._last is not None and self._last.match is False and not self._bounded
        return self._ended or self._asked >= DEPTH or enough or past or self._low

    @property
    def total(self) -> int:
        """Pictures that can be paged through, near-duplicates counted."""
        assert self.first is not None
        if self._bounded or self._ended or self.first.candidates is None:
            return len(self._wanted())
        return min(DEPTH, max(len(self.hits), self.first.candidates))

    @property
    def _bounded(self) -> bool:
        """Whether only a part is wanted, whose end must be known."""
        if self.min_score == "auto" and self.first is not None and self.first.cutoff is None:
            return self.order != "score"
        return self.order != "score" or self.min_score is not None

    def _too_low(self, hit: Hit) -> bool:
        if self.order != "score" and hit.match is False:
            return True
        if self.min_score == "auto":
            return hit.match is False
        return self.min_score is not None and hit.score < self.min_score

    def _wanted(self) -> list[Hit]:
        """What has been ranked, in the order wanted."""
        if self.order == "score":
            return self.hits
        blind = self.first is None or self.first.cutoff is None
        return _by_date(self.hits[:RELEVANT] if blind else self.hits, self.order == "newest")

    def _arrange(self) -> None:
        """Make what is shown of what has been ranked."""
        wanted = self._wanted()
        groups = self.fold([hit.id for hit in wanted]) if self.fold is not None else {}
        self.folded = {head: list(others) for head, others in groups.items()}
        under = {number for others in self.folded.values() for number in others}
        self.shown = [hit for hit in wanted if hit.id not in under]


def _before(hit: Hit, last: Hit) -> bool:
    """Whether a hit ranks before another, where their scores can be compared."""
    return hit.score_kind == last.score_kind and (-hit.score, hit.id) < (-last.score, last.id)


def _by_date(hits: Sequence[Hit], newest: bool) -> list[Hit]:
    """By date taken, ties by rank, without a date last."""
    dated = [hit for hit in hits if hit.taken is not None]
    dated.sort(key=lambda hit: hit.taken or "", reverse=newest)
    return [*dated, *(hit for hit in hits if hit.taken is None)]
