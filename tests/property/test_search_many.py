"""Questions asked together are answered as if each had been asked alone, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.search.fusion import BEST, WHOLE, Fusion
from needlepoint.store import asked, view
from needlepoint.store.base import Probe, Question, StoreHits
from needlepoint.store.sqlite import SqliteStore
from store_kit import entry, filled, space, unit, vectors

FUSIONS = (BEST, WHOLE, Fusion("gated", tau=0.1, gain=3.0))


def same(one: StoreHits, other: StoreHits) -> None:
    for name in ("ids", "score", "part_scores", "boxes"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    for name in ("exact", "mode", "scanned", "candidates"):
        assert getattr(one, name) == getattr(other, name), name


@st.composite
def batches(draw: st.DrawFn) -> list[Question]:
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    pool = {1: unit(rng, 3, 32), 2: unit(rng, 3, 24)}  # few, so that questions share probes
    probes = st.builds(
        lambda number, which, weight, fusion: Probe(
            number, pool[number][which], weight, fusion=fusion
        ),
        st.sampled_from([1, 2]),
        st.integers(0, 2),
        st.sampled_from([1.0, 2.0, -0.5]),
        st.sampled_from(FUSIONS),
    )
    within = st.one_of(
        st.none(), st.integers(0, 400).map(lambda n: rng.integers(1, 500, n).astype(np.int64))
    )
    modes = st.sampled_from(["auto", "auto", "exact", "compressed"])
    lists = st.lists(probes, min_size=1, max_size=3)
    question = st.builds(Question, lists, st.sampled_from([1, 5, 30, 900]), within, modes)
    return draw(st.lists(question, min_size=2, max_size=6))


@pytest.mark.parametrize("codes", [10**9, 100, -1])
def test_together_or_alone_is_the_same(
    codes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all codes held, with bits in the larger space alone, and with bits in both."""
    monkeypatch.setattr(view, "CODES_UP_TO", codes)
    monkeypatch.setattr(asked, "FEW", 60)
    with SqliteStore.open(tmp_path, create=True) as store:
        filled(store, 400)
        second = store.ensure_space(space("i8", 24, "words"))
        rng = np.random.default_rng(9)
        root = next(iter(store.roots()))
        store.upsert(
            [entry(root, f"{i:05}.jpg", (vectors(rng, second.id, 24, 1),)) for i in range(400)]
        )
        store.delete([3, 4])

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
        @given(batches())
        def check(questions: list[Question]) -> None:
            together = store.search_many(questions)
            for question, hits in zip(questions, together, strict=True):
                alone = store.search(
                    question.probes, question.k, within=question.within, mode=question.mode
                )
                same(hits, alone)

        check()
        assert {hits.exact for hits in store.search_many([Question([probe_of(store)], 3)])} == {
            codes > 1000
        }


def probe_of(store: SqliteStore) -> Probe:
    return Probe(1, unit(np.random.default_rng(1), store.spaces()[0].dim))


def test_one_look_serves_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = view.View.look

    def counted(self, probes, fusions):
        looks.append(len(probes))
        return look(self, probes, fusions)

    monkeypatch.setattr(view.View, "look", counted)
    with SqliteStore.open(tmp_path, create=True) as store:
        made, _ = filled(store, 50)
        rng = np.random.default_rng(2)
        probes = [Probe(made.id, vector) for vector in unit(rng, 5, 32)]
        store.search_many([Question([probe], 4) for probe in [*probes, probes[0]]])
    assert looks == [5]


def test_no_question_no_answer_and_a_bad_one_is_told(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        filled(store, 5)
        assert store.search_many([]) == []
        good = Question([probe_of(store)], 2)
        with pytest.raises(UsageError, match="k must be"):
            store.search_many([good, Question(good.probes, 0)])
