"""Rankings read page by page: nothing twice, nothing lost, whatever happens meanwhile."""

from __future__ import annotations

import random

import pytest

from needlepoint.library.ranking import DEPTH, RELEVANT, Order, Ranking
from needlepoint.query import Part, Query
from needlepoint.results import Hit, Results

QUERY = Query((Part("text", "cat"),))


class World:
    """Pictures with scores, answering as a library does; ``asked`` notes how deep."""

    def __init__(self, scores: dict[int, float], cutoff: float | None = None) -> None:
        self.scores, self.cutoff = scores, cutoff
        self.asked: list[int] = []

    def search(self, k: int) -> Results:
        self.asked.append(k)
        best = sorted(self.scores.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
        hits = [
            Hit(
                rank=rank,
                id=number,
                path=f"/p/{number}.jpg",
                score=score,
                score_kind="cosine",
                box=None,
                match=None if self.cutoff is None else score >= self.cutoff,
                probability=None,
                width=10,
                height=10,
                source={},
                taken=None if number % 5 == 0 else f"20{number % 100:02d}-01-01T00:00:00",
            )
            for rank, (number, score) in enumerate(best, 1)
        ]
        return Results(QUERY, hits, cutoff=self.cutoff, candidates=len(self.scores))


def fill(ranking: Ranking, world: World, upto: int) -> None:
    while (k := ranking.wants(upto)) is not None:
        ranking.take(world.search(k), k)


def read(ranking: Ranking, world: World, size: int) -> list[int]:
    """All ids, a page at a time."""
    found: list[int] = []
    while True:
        fill(ranking, world, len(found) + size + 1)
        page = ranking.page(len(found), size)
        if not page:
            return found
        found += [hit.id for hit in page]


def scores(count: int, seed: int = 1) -> dict[int, float]:
    shuffled = random.Random(seed)
    return {number: round(shuffled.random(), 3) for number in range(1, count + 1)}


@pytest.mark.parametrize("size", [1, 37, 200, 1000])
def test_pages_together_are_the_ranking(size: int) -> None:
    world = World(scores(700))
    asked = [hit.id for hit in world.search(700)]
    assert read(Ranking(), world, size) == asked


def test_a_first_page_takes_one_shallow_search() -> None:
    world = World(scores(5000), cutoff=0.0)
    ranking = Ranking()
    fill(ranking, world, 51)
    assert len(world.asked) == 1
    assert world.asked[0] < 500
    assert ranking.total == 5000
    assert (ranking.matching, ranking.settled) == (world.asked[0], False)


def test_depth_is_bounded() -> None:
    world = World(scores(DEPTH + 500))
    ranking = Ranking()
    assert len(read(ranking, world, 5000)) == DEPTH
    assert ranking.total == DEPTH
    assert max(world.asked) == DEPTH


def test_pages_stay_true_while_pictures_come_and_go() -> None:
    world = World(scores(900))
    ranking = Ranking()
    fill(ranking, world, 100)
    first = [hit.id for hit in ranking.hits]
    before = dict(world.scores)
    for number in list(before)[::7]:
        del world.scores[number]
    world.scores.update(dict.fromkeys(range(2000, 2050), 2.0))
    found = read(ranking, world, 50)
    assert found[: len(first)] == first
    assert len(set(found)) == len(found)
    assert not set(found) & set(range(2000, 2050)), "newcomers would stand on pages already read"
    assert set(world.scores) - set(range(2000, 2050)) <= set(found), "nothing that stayed is lost"


def test_matching_counts_those_above_the_cut_off() -> None:
    world = World(scores(400), cutoff=0.9)
    ranking = Ranking()
    fill(ranking, world, 10)
    assert ranking.settled
    assert ranking.matching == sum(score >= 0.9 for score in world.scores.values())
    assert ranking.total == 400


@pytest.mark.parametrize(
    ("cutoff", "least", "kept"),
    [(0.5, "auto", 0.5), (None, "auto", -1), (None, 0.7, 0.7), (0.9, 0.4, 0.4), (0.2, 0.6, 0.6)],
)
def test_a_least_score_ends_the_ranking(
    cutoff: float | None, least: float | str, kept: float
) -> None:
    world = World(scores(1200), cutoff)
    ranking = Ranking(min_score=least)  # type: ignore[arg-type]
    fill(ranking, world, 10)
    wanted = {number for number, score in world.scores.items() if score >= kept}
    assert ranking.total == len(wanted)
    assert set(read(ranking, world, 500)) == wanted


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("cutoff", [None, 0.4])
def test_dates_order_what_is_relevant(order: Order, cutoff: float | None) -> None:
    world = World(scores(1500), cutoff)
    ranking = Ranking(order)
    found = read(ranking, world, 300)
    best = sorted(world.scores, key=lambda n: (-world.scores[n], n))
    relevant = best[:RELEVANT]
    if cutoff is not None:
        relevant = [number for number in best if world.scores[number] >= cutoff]
    assert set(found) == set(relevant)
    assert ranking.total == len(relevant)
    dates = [number % 100 for number in found if number % 5]
    assert dates == sorted(dates, reverse=order == "newest")
    undated = [number for number in found if number % 5 == 0]
    assert found[-len(undated) :] == undated, "without a date last"


def test_near_duplicates_stand_behind_the_best() -> None:
    def fold(ids: list[int]) -> dict[int, list[int]]:
        behind: dict[int, list[int]] = {}
        for number in ids:
            behind.setdefault(number % 10, []).append(number)
        return {group[0]: group[1:] for group in behind.values() if len(group) > 1}

    world = World(scores(600))
    ranking = Ranking(fold=fold)  # type: ignore[arg-type]
    found = read(ranking, world, 4)
    best = sorted(world.scores, key=lambda n: (-world.scores[n], n))
    assert found == list(dict.fromkeys(next(n for n in best if n % 10 == m % 10) for m in best))
    assert ranking.total == 600
    assert sum(map(len, ranking.folded.values())) == 590


def test_an_empty_library_has_an_empty_page() -> None:
    ranking, world = Ranking(), World({})
    fill(ranking, world, 51)
    assert (ranking.page(0, 50), ranking.total, ranking.settled) == ([], 0, True)
