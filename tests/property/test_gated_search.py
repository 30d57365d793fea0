"""Gated search: as brute force, right at the gate's edge too, and longer lists begin as shorter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.search.fusion import BEST, WHOLE, Fusion
from needlepoint.store import asked, view
from needlepoint.store.base import Probe, VectorRow
from needlepoint.store.sqlite import SqliteStore
from reference_store import ReferenceStore
from store_kit import entry, space, unit

DIM = 16
cosine = st.floats(-1, 1, width=32)


@given(
    cosine,
    cosine,
    st.tuples(*[st.floats(-1, 1)] * 2),
    st.sampled_from([0.0, 1e-6, 1e-3, 0.1]),
    st.builds(
        Fusion,
        st.sampled_from(["whole", "best", "regions", "gated"]),
        cosine,
        st.floats(0, 9, width=32),
        st.floats(0, 1, width=32),
    ),
)
def test_the_true_score_lies_in_the_span(whole, region, off, error, fusion):
    low, high = (
        bound[0] for bound in fusion.span(np.float32([whole]), np.float32([region]), error)
    )
    true = fusion.combine(
        np.float32([whole + off[0] * error]), np.float32([region + off[1] * error])
    )
    assert low - 4e-7 <= true[0] <= high + 4e-7


@given(cosine, cosine, cosine)
def test_regions_never_lower_a_score_and_the_bounds_are_in_order(whole, region, tau):
    whole, region = np.float32([whole]), np.float32([region])
    gated = Fusion("gated", tau)
    scores = [f.combine(whole, region)[0] for f in (WHOLE, gated, Fusion("gated", np.inf), BEST)]
    assert scores[0] <= scores[1] <= scores[2] <= scores[3] + 1e-6
    assert scores[1] <= gated.at_most(whole, region)[0]


@st.composite
def galleries(draw):
    """Pictures by few directions, so that scores repeat; some empty; a gate at a real score."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    few = unit(rng, 6, DIM)
    picks = st.integers(0, 5)
    pictures = draw(st.lists(st.tuples(picks, st.lists(picks, max_size=4)), max_size=25))
    rows = [
        VectorRow(1, few[whole], few[regions], np.full((len(regions), 4), 1 + i, np.float32))
        for i, (whole, regions) in enumerate(pictures)
    ]
    probes = []
    for _ in range(draw(st.integers(1, 3))):
        vector = few[draw(picks)] + draw(st.sampled_from([0, 1, 3])) * unit(rng, DIM)
        kind = draw(st.sampled_from(["gated", "gated", "best", "regions", "whole"]))
        fusion = Fusion(kind, draw(st.sampled_from([-0.3, 0.0, 0.3])), cap=draw(cosine.map(abs)))
        weight = draw(st.sampled_from([1.0, 2.0, -1.0]))
        probes.append(Probe(1, vector / np.linalg.norm(vector), weight, 0.0, 1.0, fusion))
    return rows, probes, draw(picks), draw(st.integers(-2, 2))


@pytest.mark.parametrize("bits", [False, True])
def test_any_gallery_is_answered_as_by_brute_force(tmp_path: Path, bits: bool) -> None:
    count = 0

    @settings(max_examples=60, deadline=None)
    @given(galleries(), st.sampled_from(["auto", "exact", "compressed"]))
    def check(gallery, mode) -> None:
        nonlocal count
        count += 1
        rows, probes, edge, steps = gallery
        reference = ReferenceStore()
        with SqliteStore.open(tmp_path / str(count), create=True) as store:
            for kept in (store, reference):
                kept.ensure_space(space("i8", DIM))
            root = store.add_root("/pictures")
            every = [entry(root, f"{i}.jpg", (row,)) for i, row in enumerate(rows)]
            assert store.upsert(every) == reference.upsert(every)
            if rows:
                # a gate at the very score of a picture, or a few roundings beside it
                first = reference.search([Probe(1, probes[0].vector, fusion=WHOLE)], 100)
                tau = first.score[edge % len(rows)]
                for _ in range(abs(steps)):
                    tau = np.nextafter(tau, np.float32(np.copysign(9, steps)))
                fusion = Fusion(probes[0].fusion.kind, float(tau), cap=probes[0].fusion.cap)
                probes[0] = Probe(1, probes[0].vector, probes[0].weight, 0.0, 1.0, fusion)
            whole = store.search(probes, 1000, mode=mode)
            expected = reference.search(probes, 1000)
            for k in (1, 4, 1000):
                found = store.search(probes, k, mode=mode)
                assert found.ids.tolist() == expected.ids[:k].tolist()
                assert found.score.tobytes() == expected.score[:k].tobytes()
                assert found.part_scores.tobytes() == expected.part_scores[:k].tobytes()
                np.testing.assert_array_equal(found.boxes, expected.boxes[:k])
            assert whole.exact is (mode == "exact" or not bits)

    with pytest.MonkeyPatch.context() as patch:
        if bits:
            patch.setattr(view, "CODES_UP_TO", -1)
            patch.setattr(asked, "FEW", -1)
        check()
    assert count >= 60


def test_the_compressed_search_finds_what_a_gate_lets_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3000 pictures judged by their bits, the best by gated score are found, and in order."""
    monkeypatch.setattr(view, "CODES_UP_TO", 0)
    rng = np.random.default_rng(5)
    dim = 64
    with SqliteStore.open(tmp_path, create=True) as store:
        made = store.ensure_space(space("b4", dim))
        root = store.add_root("/pictures")
        every = []
        for i in range(3000):
            regions = unit(rng, int(i % 4), dim).reshape(-1, dim)
            row = VectorRow(
                made.id, unit(rng, dim), regions, np.ones((len(regions), 4), np.float32)
            )
            every.append(entry(root, f"{i}.jpg", (row,)))
        store.upsert(every)
        hits = total = 0
        for tau in (-0.1, 0.05, 0.3):
            for question in unit(rng, 5, dim):
                asked = [Probe(made.id, question, fusion=Fusion("gated", tau))]
                true = store.search(asked, 10, mode="exact")
                quick = store.search(asked, 10, mode="compressed")
                assert (true.exact, quick.exact, quick.mode) == (True, False, "compressed")
                hits += len(np.intersect1d(true.ids, quick.ids))
                total += 10
                longer = store.search(asked, 200, mode="compressed")
                assert longer.ids[:10].tolist() == quick.ids.tolist()
        assert hits >= 0.99 * total
