"""The encoder inside the wheel: its card, its conventions, its spaces and its calibration."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tools.builtin import card as card_tool

from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.builtin.encoder import BuiltinEncoder, builtin_card
from needlepoint.encoders.builtin.sight import STRIDE, input_shape, resize
from needlepoint.encoders.builtin.words import LONGEST
from needlepoint.errors import UsageError
from needlepoint.parts import Calibrated, DenseEncoder, QueryEncoder, TextEncoder
from needlepoint.picture import Picture

DATA = Path(str(files("needlepoint.encoders.builtin"))) / "data"
SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "pictures"


@pytest.fixture(scope="module")
def encoder() -> BuiltinEncoder:
    return BuiltinEncoder(threads=1)


@pytest.fixture(scope="module")
def cat() -> np.ndarray:
    with Image.open(SAMPLES / "photo-cat.jpg") as image:
        return np.asarray(image.convert("RGB").resize((301, 200)))


@pytest.fixture(scope="module")
def desk() -> np.ndarray:
    with Image.open(SAMPLES / "desk-00.jpg") as image:
        return np.asarray(image.convert("RGB").resize((320, 240)))


def unit_length(vectors: np.ndarray) -> None:
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)


# -- card


def test_the_card_states_what_the_files_are():
    card = builtin_card()
    digest = hashlib.sha256(b"".join((DATA / name).read_bytes() for name in card_tool.NUMBERS))
    assert card.weights_hash == digest.hexdigest()[:16]
    with np.load(DATA / "whitening.npz") as look, np.load(DATA / "concepts.npz") as words:
        assert card.spaces[0].dim == card.dim == look["matrix"].shape[1]
        assert card.spaces[1].dim == words["basis"].shape[1]
    assert card.size_mb == pytest.approx(
        sum(file.stat().st_size for file in DATA.iterdir()) / 1e6, abs=0.2
    )
    assert card.size_mb <= 60


def test_the_card_is_what_the_tool_writes(tmp_path):
    for file in DATA.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "card.json").unlink()
    card_tool.build(tmp_path)
    built, shipped = (json.loads((f / "card.json").read_text()) for f in (tmp_path, DATA))
    built.pop("size_mb"), shipped.pop("size_mb")  # it may or may not have counted itself
    assert built == shipped


def test_another_byte_of_the_weights_is_another_hash(tmp_path):
    for file in DATA.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card_tool.build(tmp_path)
    before = json.loads((tmp_path / "card.json").read_text())["weights_hash"]
    with open(tmp_path / "words.onnx", "r+b") as file:
        file.seek(1000)
        byte = file.read(1)[0]
        file.seek(1000)
        file.write(bytes([byte ^ 1]))
    card_tool.build(tmp_path)
    assert json.loads((tmp_path / "card.json").read_text())["weights_hash"] != before


def test_the_card_is_honest_about_limits_licence_and_language():
    card = builtin_card()
    assert "thousand everyday things" in card.limits
    assert "English" in card.limits
    assert card.licence == "Apache-2.0"
    assert card.languages == ("en",)
    assert set(card.abilities) == {"text", "dense", "received"}
    assert card.space_for("image").name == "look"
    assert card.space_for("text").name == "words"


def test_the_encoder_has_the_parts_its_card_names(encoder):
    for part in (TextEncoder, DenseEncoder, QueryEncoder, Calibrated):
        assert isinstance(encoder, part), part
    assert open_encoder("builtin").card == encoder.card


# -- conventions


def test_one_in_one_out_many_in_many_out(encoder, cat, desk, tmp_path):
    one = encoder.encode_image(cat)
    assert one.shape == (384,)
    unit_length(one)
    many = encoder.encode_image([cat, desk])
    assert many.shape == (2, 384)
    np.testing.assert_array_equal(many[0], one)
    Image.fromarray(cat).save(tmp_path / "cat.png")
    for form in (
        Image.fromarray(cat), tmp_path / "cat.png", str(tmp_path / "cat.png"),
        Picture.from_pixels(cat),
    ):  # fmt: skip
        np.testing.assert_array_equal(encoder.encode_image(form), one)
    np.testing.assert_array_equal(
        encoder.encode_image(iter([cat, desk, cat]), batch=2), many[[0, 1, 0]]
    )
    np.testing.assert_array_equal(encoder.encode_image(np.stack([cat, cat])), many[[0, 0]])
    assert many[0] @ many[1] < 0.9


def test_texts_are_the_same_bit_for_bit_in_any_batch(encoder):
    texts = ["a cat", "", "two dogs on a very long wooden bench beside the sea", "CAT", "x" * 4000]
    many = encoder.encode_text(texts)
    assert many.shape == (5, 64)
    unit_length(many)
    for text, row in zip(texts, many, strict=True):
        np.testing.assert_array_equal(encoder.encode_text(text), row)
    np.testing.assert_array_equal(encoder.encode_text(iter(texts[::-1]), batch=3), many[::-1])
    np.testing.assert_array_equal(many[0], encoder.encode_text("A Cat"))
    assert many[0] @ encoder.encode_text("a kitten") > many[0] @ encoder.encode_text("a truck")


def test_a_long_question_is_cut_not_refused(encoder):
    long = "dog " * (3 * LONGEST)
    np.testing.assert_array_equal(
        encoder.encode_text(long), encoder.encode_text("dog " * (LONGEST - 2))
    )


def test_nothing_to_encode_and_what_it_has_not_are_refused(encoder, cat):
    with pytest.raises(UsageError, match="empty"):
        encoder.encode_image([])
    with pytest.raises(UsageError, match="empty"):
        encoder.encode_text([])
    with pytest.raises(UsageError, match="no tokens and no attention"):
        encoder.image_features([cat], want=frozenset({"tokens"}))
    with pytest.raises(UsageError, match="vectors only"):
        encoder.text_features(["x"], want=frozenset({"tokens"}))


# -- features


def test_whole_pictures_have_a_vector_in_both_spaces(encoder, cat, desk):
    found = encoder.image_features([cat, desk])
    assert found.vector.shape == (2, 384)
    assert {k: v.shape for k, v in found.others.items()} == {"words": (2, 64)}
    unit_length(found.vector)
    unit_length(found.others["words"])


def test_words_find_the_picture_they_name(encoder, cat, desk):
    words = encoder.image_features([cat, desk]).others["words"]
    scores = words @ encoder.encode_text("a tabby cat")
    assert scores[0] > scores[1] + 0.1


def test_the_map_covers_the_picture_and_lead_is_the_projection(encoder, desk):
    dense = encoder.dense_features(desk, long_side=256)
    rows, cols = dense.cells.shape[:2]
    assert (rows, cols) == (6, 8)
    assert dense.cells.shape == (6, 8, 1280)
    assert (dense.step_x * cols, dense.step_y * rows) == (320, 240)
    assert (dense.width, dense.height) == (320, 240)
    mean = dense.cells[1:4, 2:5].mean((0, 1))
    lead = dense.lead[1:4, 2:5].mean((0, 1))
    np.testing.assert_allclose(
        lead / np.linalg.norm(lead), encoder.project(mean, "look"), atol=1e-4
    )


def test_a_question_is_seen_at_several_sizes_and_mirrored(encoder, cat):
    asked = encoder.query_features([cat, cat[:, ::-1]])
    assert asked.shape == (2, 384)
    unit_length(asked)
    np.testing.assert_allclose(asked[0], asked[1], atol=1e-5)  # its mirror image asks the same
    plain = encoder.encode_image(np.stack([cat, cat[:, ::-1]]))
    assert np.abs(plain[0] - plain[1]).max() > 1e-3
    np.testing.assert_array_equal(encoder.query_features([cat])[0], asked[0])


def test_where_the_thing_is_not_alone_the_middle_counts_most(encoder, cat, monkeypatch):
    """A cell in the middle moves the question more than one in a corner, and left as right."""
    ground = np.random.default_rng(0).random((5, 5, 1280)).astype(np.float32)
    other = np.random.default_rng(1).random(1280).astype(np.float32) * 3

    def asked(alone: bool, *at: int) -> np.ndarray:
        cells = ground.copy()
        if at:
            cells[at] = other
        monkeypatch.setattr(encoder, "cells", lambda *_: cells)
        return encoder.query_features([cat], alone=alone)[0]

    base, middle, corner, across = (asked(False, *at) for at in ((), (2, 2), (0, 0), (0, 4)))
    unit_length(base)
    assert base @ middle < base @ corner < 1
    plain = asked(True)
    assert plain @ asked(True, 2, 2) == pytest.approx(plain @ asked(True, 0, 0), abs=0.02)
    assert base @ across > base @ middle


@pytest.mark.parametrize(("space", "dim"), [("look", 384), ("words", 64)])
def test_project_takes_any_leading_shape(encoder, space, dim):
    means = np.abs(np.random.default_rng(0).normal(size=(2, 3, 1280))).astype(np.float32)
    found = encoder.project(means, space)
    assert found.shape == (2, 3, dim)
    unit_length(found)
    np.testing.assert_allclose(encoder.project(means[1, 2], space), found[1, 2], atol=1e-5)


def test_project_refuses_an_unknown_space_and_names_the_known(encoder):
    with pytest.raises(UsageError, match=r"'joint'.*look, words"):
        encoder.project(np.zeros((1, 1280), np.float32), "joint")


def test_threads_get_the_answers_one_thread_gets(cat, desk):
    """Networks load on first use: by several threads at once."""
    lone, shared = BuiltinEncoder(threads=1), BuiltinEncoder(threads=1)
    views = [cat, desk, cat[:, ::-1].copy(), desk[::-1].copy()] * 2

    def all_of(encoder, pixels):
        found = encoder.image_features([pixels])
        dense = encoder.dense_features(pixels, long_side=256)
        return found.vector[0], found.others["words"][0], dense.lead, encoder.encode_text("a cup")

    expected = [all_of(lone, view) for view in views]
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda view: all_of(shared, view), views))
    for one, other in zip(expected, got, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


# -- input sizes


@given(st.integers(1, 12000), st.integers(1, 12000), st.sampled_from([96, 224, 1024, 2048]))
@settings(max_examples=200, deadline=None)
def test_the_input_is_never_larger_than_asked_and_a_multiple_of_the_stride(w, h, side):
    rows, cols = input_shape(w, h, side)
    assert rows % STRIDE == cols % STRIDE == 0
    assert min(rows, cols) >= STRIDE
    assert max(rows, cols) <= side
    # never enlarged more than by half, but up to a smallest useful size
    assert max(rows, cols) <= max(1.5 * max(w, h), 224) + STRIDE / 2
    assert (rows >= cols) or (w > h)
    if min(rows, cols) > STRIDE:
        assert rows / cols == pytest.approx(h / w, rel=0.34)


def test_resize_keeps_what_fits_and_makes_the_shape_asked(cat):
    assert resize(cat[:192, :256], 192, 256).base is cat
    small = resize(cat, 64, 96)
    assert small.shape == (64, 96, 3)
    assert small.dtype == np.uint8
    assert abs(small.mean() - cat.mean()) < 2


# -- calibration


@pytest.mark.parametrize("space", ["look", "words"])
def test_scores_mean_something_and_higher_means_more(encoder, space):
    found = encoder.calibration(space)
    dim = {"look": 384, "words": 64}[space]
    assert found.cohort.ndim == 3
    assert found.cohort.shape[0] >= 32
    assert found.cohort.shape[2] == dim
    np.testing.assert_allclose(np.linalg.norm(found.cohort, axis=-1), 1, atol=2e-3)
    assert found.slope > 0
    assert 0 < found.cutoff < 1
    chances = [found.probability(s) for s in np.linspace(-5, 12, 60)]
    assert (np.diff(chances) > 0).all()
    assert found.probability(found.threshold()) == pytest.approx(found.cutoff, abs=1e-6)


def test_the_background_of_a_question_is_that_of_unrelated_pictures(encoder):
    found = encoder.calibration("words")
    question = encoder.encode_text("a cat")
    mean, std = found.background(question)
    best = (found.cohort @ question).max(axis=1)
    assert (mean, std) == (pytest.approx(best.mean()), pytest.approx(best.std()))
    assert std > 0


def test_an_unknown_space_has_no_calibration(encoder):
    assert encoder.calibration("joint") is None


# -- the stand-in for attention


def test_shares_say_what_each_cell_adds_to_the_vector(encoder, cat):
    """On a square picture: they sum to 1, and weighing cells by them is written out slowly."""
    square = np.ascontiguousarray(cat[: min(cat.shape[:2]), : min(cat.shape[:2])])
    found = encoder.image_features([square], want=frozenset({"received"}))
    assert found.received.shape == (1, 1, 49)
    assert found.received.dtype == np.float32
    assert found.grid == (7, 7)
    np.testing.assert_allclose(found.received.sum(), 1, atol=1e-4)
    lead = encoder.dense_features(square, long_side=224).lead.reshape(49, -1).astype(np.float64)
    middle = lead.mean(0)
    slow = [float(cell @ middle) / (49 * float(middle @ middle)) for cell in lead]
    np.testing.assert_allclose(found.received[0, 0], slow, atol=1e-5)
    np.testing.assert_array_equal(found.vector, encoder.image_features([square]).vector)


def test_shares_of_any_shape_are_on_one_grid_and_independent(encoder, cat, desk):
    want = frozenset({"received"})
    wide = np.ascontiguousarray(desk[: desk.shape[0] // 3])
    both = encoder.image_features([cat, wide], want=want).received
    np.testing.assert_array_equal(both[1:], encoder.image_features([wide], want=want).received)
    np.testing.assert_allclose(both.sum(axis=2), 1, atol=0.2)
