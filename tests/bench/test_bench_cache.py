"""Features kept on disk are those of the encoder, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from toy_encoder import ToyEncoder

from needlepoint.bench import cache
from needlepoint.bench.cache import FeatureStore, remembering
from needlepoint.bench.counting import counted
from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.parts import DenseEncoder, QueryEncoder, TextEncoder


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (30 + i, 40, 3), dtype=np.uint8) for i in range(5)]


def test_what_is_kept_is_what_was_made_and_is_not_made_again(tmp_path, pictures):
    plain, encoder = ToyEncoder(), ToyEncoder()
    kept = remembering(encoder, tmp_path)
    first = kept.image_features(pictures[:3])
    assert encoder.calls == [("image", 3)]
    again = kept.image_features([pictures[4], pictures[1], pictures[1], pictures[0]])
    assert encoder.calls == [("image", 3), ("image", 1)]
    np.testing.assert_array_equal(first.vector, plain.image_features(pictures[:3]).vector)
    order = [pictures[i] for i in (4, 1, 1, 0)]
    np.testing.assert_array_equal(again.vector, plain.image_features(order).vector)
    assert again.vector.dtype == np.float32
    later = remembering(ToyEncoder(), tmp_path)
    np.testing.assert_array_equal(later.image_features(pictures[:3]).vector, first.vector)
    assert later.calls == []


def test_a_wish_a_block_a_pixel_and_a_card_are_rows_of_their_own(tmp_path, pictures):
    encoder = ToyEncoder()
    kept = remembering(encoder, tmp_path)
    want = frozenset({"tokens"})
    plain = kept.image_features(pictures)
    tokens = kept.image_features(pictures, want=want, block=1)
    other = kept.image_features(pictures, want=want, block=2)
    assert len(encoder.calls) == 3
    assert plain.tokens is None
    assert tokens.grid == (4, 4)
    np.testing.assert_array_equal(tokens.tokens + 1, other.tokens)
    assert kept.image_features(pictures, want=want, block=2).grid == (4, 4)
    changed = pictures[0].copy()
    changed[3, 3, 1] ^= 1
    kept.image_features([changed])
    kept.image_features([pictures[0].reshape(40, 30, 3)])
    assert len(encoder.calls) == 5
    newer = ToyEncoder(weights_hash="newer")
    remembering(newer, tmp_path).image_features(pictures)
    assert newer.calls == [("image", 5)]
    talk = ToyEncoder(title="only talk")
    remembering(talk, tmp_path).image_features(pictures)
    assert talk.calls == []


def test_texts_are_kept_too(tmp_path):
    encoder = ToyEncoder()
    kept = remembering(encoder, tmp_path)
    first = kept.text_features(["a dog", "a cat"]).vector
    np.testing.assert_array_equal(kept.text_features(["a cat"]).vector, first[1:])
    assert encoder.calls == [("text", 2)]


def test_the_built_in_encoder_answers_the_same(tmp_path, pictures):
    plain = BuiltinEncoder(threads=1)
    kept = remembering(BuiltinEncoder(threads=1), tmp_path)
    for _ in range(2):
        ours, theirs = plain.image_features(pictures[:2]), kept.image_features(pictures[:2])
        np.testing.assert_array_equal(ours.vector, theirs.vector)
        np.testing.assert_array_equal(ours.others["words"], theirs.others["words"])
        ours, theirs = (e.dense_features(pictures[0], long_side=128) for e in (plain, kept))
        np.testing.assert_array_equal(ours.lead, theirs.lead)
        assert (ours.step_x, ours.width) == (theirs.step_x, theirs.width)
        np.testing.assert_array_equal(
            plain.query_features(pictures[:1], alone=False),
            kept.query_features(pictures[:1], alone=False),
        )


def test_a_remembering_encoder_can_what_the_encoder_can_and_no_more(tmp_path):
    toy = remembering(ToyEncoder(), tmp_path)
    assert isinstance(toy, ToyEncoder)
    assert isinstance(toy, TextEncoder)
    assert not isinstance(toy, DenseEncoder)
    assert not isinstance(toy, QueryEncoder)
    built_in = counted(remembering(BuiltinEncoder(threads=1), tmp_path))[0]
    assert isinstance(built_in, DenseEncoder)
    assert isinstance(built_in, QueryEncoder)


def test_the_store_is_bounded_and_lets_the_oldest_go(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_LARGEST", 300_000)
    store = FeatureStore(tmp_path / "a.sqlite", limit_mb=1)
    for number in range(20):
        store.put([(f"k{number}", bytes([number]) * 100_000)])
    held = store.get([f"k{number}" for number in range(20)])
    assert held[0] is None
    assert held[19] == bytes([19]) * 100_000
    assert sum(len(data) for data in held if data) <= 1_000_000
    store.put([("large", b"x" * 300_001)])
    assert store.get(["large"]) == [None]
    store.close()


def test_a_damaged_store_is_begun_anew(tmp_path, pictures):
    encoder = ToyEncoder()
    file = tmp_path / f"{encoder.card.fingerprint()}.sqlite"
    file.write_bytes(b"no database at all" * 100)
    kept = remembering(encoder, tmp_path)
    kept.image_features(pictures)
    kept.image_features(pictures)
    assert encoder.calls == [("image", 5)]


def test_passes_are_counted_by_picture_and_weighed_by_size(pictures):
    encoder, passes = counted(BuiltinEncoder(threads=1))
    encoder.image_features(pictures[:3])
    assert (passes.pictures, passes.maps, passes.work) == (3, 0, 3.0)
    encoder.dense_features(pictures[0], long_side=448)
    assert (passes.pictures, passes.maps) == (4, 1)
    assert passes.work == pytest.approx(3 + 4 * 30 / 40)
    encoder.query_features(pictures[:1])
    assert (passes.pictures, passes.work) == (5, pytest.approx(4 + 4 * 30 / 40))
