"""A collection on a plane: the same each time, copies together, better than flat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from needlepoint.errors import UsageError
from needlepoint.search import projection
from needlepoint.search.projection import project


def groups(count: int, each: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    """Unit vectors in some groups, one group after the other."""
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((count, dim))
    rows = np.repeat(middles, each, axis=0) + 0.35 * rng.standard_normal((count * each, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def neighbours(points: np.ndarray, k: int) -> np.ndarray:
    square = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(square, np.inf)
    return np.argsort(square, axis=1, kind="stable")[:, :k]


def kept(vectors: np.ndarray, places: np.ndarray, k: int = 8) -> float:
    """Share of each picture's nearest that are nearest on the plane too."""
    pairs = zip(neighbours(vectors, k), neighbours(places, k), strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in pairs]))


@given(
    rows=st.integers(0, 12),
    dim=st.integers(1, 6),
    seed=st.integers(0, 99),
    copies=st.integers(0, 4),
)
@settings(max_examples=40, deadline=None)
def test_places_are_within_the_same_each_time_and_copies_lie_together(
    rows: int, dim: int, seed: int, copies: int
) -> None:
    vectors = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    if rows:
        vectors = np.concatenate([vectors, vectors[np.arange(copies) % rows]])
    places = project(vectors)
    assert places.shape == (len(vectors), 2)
    assert places.dtype == np.float32
    assert ((places >= 0) & (places <= 1)).all()
    np.testing.assert_array_equal(project(vectors), places)
    for copy in range(copies if rows else 0):
        np.testing.assert_array_equal(places[rows + copy], places[copy % rows])


def test_one_and_two_have_their_places() -> None:
    np.testing.assert_array_equal(project(np.eye(1, 4, dtype=np.float32)), [[0.5, 0.5]])
    two = project(np.eye(2, 4, dtype=np.float32))
    assert np.abs(two[0] - two[1]).max() > 0.9
    assert project(np.empty((0, 4), np.float32)).shape == (0, 2)


def test_it_tells_more_of_what_is_alike_than_the_widest_components_do() -> None:
    vectors = groups(12, 15)
    flat = projection._components(vectors, np.arange(len(vectors)))[:, :2]
    assert kept(vectors, project(vectors)) > kept(vectors, flat) + 0.2


def test_with_more_pictures_than_landmarks_groups_stay_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projection, "LANDMARKS", 60)
    monkeypatch.setattr(projection, "_BLOCK", 50)
    vectors = groups(6, 50)
    places = project(vectors)
    np.testing.assert_array_equal(project(vectors), places)
    which = np.repeat(np.arange(6), 50)
    assert (which[neighbours(places, 5)] == which[:, None]).mean() > 0.95


def test_progress_grows_to_the_end_and_may_stop_the_work() -> None:
    told: list[float] = []
    project(groups(3, 10), progress=told.append)
    assert told == sorted(told)
    assert 0 <= told[0] < told[-1] <= 1

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project(groups(3, 10), progress=stop)


def test_what_is_no_table_of_numbers_is_refused() -> None:
    with pytest.raises(UsageError, match="shape"):
        project(np.zeros(4, np.float32))
    for bad in (np.nan, np.inf):
        with pytest.raises(UsageError, match="row 1"):
            project(np.array([[0, 1], [bad, 0]], np.float32))


def test_places_do_not_depend_on_the_number_of_cores() -> None:
    rows = np.random.default_rng(0).standard_normal((400, 96)).astype(np.float32)
    maps = []
    for number in (1, 2, 4):
        with threadpool_limits(number, user_api="blas"):
            maps.append(project(rows))
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])
