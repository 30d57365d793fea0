"""The same script against the real store and a dictionary searched by brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from needlepoint.search.fusion import Fusion
from needlepoint.store import view
from needlepoint.store.base import FileRecord, Question, StoreHits
from needlepoint.store.sqlite import SqliteStore
from reference_store import ReferenceStore
from store_kit import entry, probe, space, unit, vectors

CODECS = ("f16", "i8", "b4")


def same(mine: StoreHits, theirs: StoreHits) -> None:
    assert mine.ids.tolist() == theirs.ids.tolist()
    assert mine.score.tobytes() == theirs.score.tobytes()
    assert mine.part_scores.tobytes() == theirs.part_scores.tobytes()
    np.testing.assert_array_equal(mine.boxes, theirs.boxes)


def fusion(rng: np.random.Generator) -> Fusion:
    kind = ("whole", "best", "best", "gated", "gated")[rng.integers(0, 5)]
    return Fusion(kind, tau=float(rng.normal() / 5), gain=float(rng.choice([0.5, 2, 9])))


def script(store: SqliteStore, reference: ReferenceStore, seed: int, codec: str) -> int:
    """Random writes, each followed by random questions; returns how many answers were equal."""
    rng = np.random.default_rng(seed)
    root = store.add_root("/pictures")
    dims = (24, 33)
    for kept in (store, reference):
        for i, dim in enumerate(dims):
            kept.ensure_space(space(codec, dim, f"space{i}"))
    known: list[int] = []
    asked = 0
    for step in range(24):
        action = rng.integers(0, 8)
        if action <= 3 or not known:
            batch = []
            for number in rng.choice(90, 5, replace=False):
                rows = [vectors(rng, 1, dims[0], int(rng.integers(0, 5)))]
                if rng.random() < 0.7:
                    rows.append(vectors(rng, 2, dims[1], int(rng.integers(0, 3))))
                content = bytes([int(rng.integers(0, 3))]) * 16
                batch.append(entry(root, f"{number}.jpg", tuple(rows), digest=content))
            known = sorted({*known, *store.upsert(batch)})
            reference.upsert(batch)
        elif action == 4:
            some = rng.choice(known, 2).tolist()
            assert store.delete(some) == reference.delete(sorted(set(some)))
            known = [number for number in known if number not in some]
        elif action == 5:
            some = rng.choice(known, 3).tolist()
            store.mark_missing(some)
            reference.mark_missing(some)
        elif action == 6:
            some = rng.choice(known, 3).tolist()
            store.mark_present(some)
            reference.mark_present(some)
        else:
            number = int(rng.choice(known))
            moved = FileRecord(root, f"moved-{step}.jpg", 1, 2, bytes(16))
            store.move(number, moved)
            reference.move(number, moved)
        if rng.random() < 0.2:
            store.optimize()
        questions = []
        for _ in range(3):
            probes = []
            for i in rng.integers(0, 2, int(rng.integers(1, 4))):
                vector = unit(rng, dims[i])
                if rng.random() < 0.5:
                    probes.append(probe(i + 1, vector, fusion=fusion(rng)))
                else:
                    weight, mean = float(rng.normal()), float(rng.normal() / 10)
                    more = {"weight": weight, "mean": mean, "std": 0.2, "fusion": fusion(rng)}
                    probes.append(probe(i + 1, vector, **more))
            within = None
            if rng.random() < 0.3:
                within = np.sort(rng.choice(100, 20, replace=False)).astype(np.int64)
            k = int(rng.choice([1, 3, 10, 1000]))
            same(store.search(probes, k, within=within), reference.search(probes, k, within=within))
            questions.append(Question(probes, k, within))
            asked += 1
        together = zip(store.search_many(questions), reference.search_many(questions), strict=True)
        for mine, theirs in together:
            same(mine, theirs)
    return asked


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("seed", [0, 1])
def test_any_history_answers_as_brute_force(tmp_path: Path, seed: int, codec: str) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        assert script(store, ReferenceStore(), seed, codec) == 72


def test_a_cache_on_disk_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_FILE_FROM", 1)
    monkeypatch.setattr(view, "_DELTA_LEAST", 20)
    monkeypatch.setattr(view, "_MOST_SEGMENTS", 2)
    with SqliteStore.open(tmp_path, create=True) as store:
        script(store, ReferenceStore(), 2, "b4")
    assert list((tmp_path / "cache").glob("space-*.bin"))


def test_exact_mode_answers_as_brute_force_where_only_bits_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "CODES_UP_TO", 0)
    search = SqliteStore.search
    monkeypatch.setattr(
        SqliteStore,
        "search",
        lambda self, probes, k, within=None: search(self, probes, k, within=within, mode="exact"),
    )
    with SqliteStore.open(tmp_path, create=True) as store:
        script(store, ReferenceStore(), 3, "b4")
