"""Training a tiny Q-Former: it learns, goes on after a stop, and opens as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from qformer_kit import blip2, coloured, opened
from safetensors.torch import load_file

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.train.loop import Plan
from needlepoint.train.pairs import Pair
from needlepoint.train.qformer import figures_of, recipe_of, train_qformer
from needlepoint.train.qformer_data import read_questions
from needlepoint.train.qformer_lesson import ComposedQFormer
from needlepoint.train.qformer_small import SmallShape, train_matching, write_small

pytestmark = pytest.mark.torch

RATE = 1e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return blip2(tmp_path_factory.mktemp("blip2") / "model")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def _data(encoder, place):
    return read_questions([coloured(place / "pictures")], encoder, place / "cache")


def _recipe(method, epochs=30, **changed):
    return recipe_of(method, 18, epochs=epochs, rate=RATE, batch=9, held_out=0.0, **changed)


@pytest.mark.parametrize("method", ["sprc", "qure", "dqe_cir"])
def test_training_raises_the_target_and_the_folder_opens_as_it_was(folder, place, tmp_path, method):
    encoder = opened(folder)
    data = _data(encoder, place)
    recipe = _recipe(method)
    rows = np.arange(len(data.triplets))
    before = figures_of(ComposedQFormer(encoder.net, recipe).eval(), data, rows)
    told = train_qformer(encoder, data, recipe, tmp_path / "out")
    again = opened(tmp_path / "out")
    model = ComposedQFormer(again.net, recipe).eval()
    if method == "dqe_cir":
        model.attributes.load_state_dict(again.learnt.attributes.state_dict())
    after = figures_of(model, data, rows)
    assert after["mAP"] >= before["mAP"] + 0.1
    assert told["steps_done"] == recipe.plan.steps
    assert (again.trained, again.learnt.base) == (method, recipe.base)

    picture = np.full((48, 48, 3), 90, np.uint8)
    with torch.inference_mode():
        seen, ids = again.sight([picture]), again.ids(["in red"])
        expected = model(seen, ids).query.numpy()
    found = again.composed_vectors([picture], ["in red"], method)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if method == "dqe_cir":
        weights = again.attribute_weights(["in red", "a bar"])
        assert list(weights) == ["colour", "shape"]
        assert all(0 < value < 1 for row in weights.values() for value in row)


def test_the_vision_tower_stays_bit_for_bit(folder, place, tmp_path):
    encoder = opened(folder)
    train_qformer(encoder, _data(encoder, place), _recipe("sprc", epochs=1), tmp_path)
    was, now = (load_file(f / "model.safetensors") for f in (folder, tmp_path))
    assert was.keys() == now.keys()
    assert all(torch.equal(was[n], now[n]) for n in was if n.startswith("vision_model."))
    assert not torch.equal(was["query_tokens"], now["query_tokens"])


@pytest.mark.parametrize("method", ["sprc", "dqe_cir"])
def test_a_stopped_run_ends_in_the_same_bits(folder, place, tmp_path, method):
    recipe = _recipe(method, epochs=3, refresh=1)
    through = train_qformer(
        opened(folder), _data(opened(folder), place), recipe, tmp_path / "through"
    )
    data = _data(opened(folder), place)
    cut = train_qformer(opened(folder), data, recipe, tmp_path / "cut", stop_after=3)
    assert (through["steps_done"], cut["steps_done"]) == (6, 3)
    with pytest.raises(UsageError, match="holds a run already"):
        train_qformer(opened(folder), data, recipe, tmp_path / "cut")
    train_qformer(opened(folder), data, recipe, tmp_path / "cut", resume=True)
    one, two = (load_file(tmp_path / n / "model.safetensors") for n in ("through", "cut"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_small_one_looks_through_another_encoder(place, tmp_path):
    """Made, taught which text is of which picture, trained, moved, opened."""
    import tiny

    tower = tiny.hf_clip(tmp_path / "clip")
    lender = open_encoder(f"hf:{tower}")
    coloured(place / "pictures")
    pairs = [
        Pair(str(path), None, path.stem.replace("-", " "), "whole")
        for path in sorted((place / "pictures").glob("*.png"))
    ]
    shape = SmallShape(width=32, queries=3, dim=16, words=20)
    small = tmp_path / "models" / "small"
    write_small(lender, f"hf:{tower}", shape, [p.text for p in pairs] * 2, small, seed=0)
    lent = json.loads((small / "config.json").read_text())["vision_from"]
    assert lent["address"] == "hf:../../clip"

    encoder = opened(small)
    assert encoder.sight([np.zeros((9, 9, 3), np.uint8)]).shape == (1, 4, 64)  # 4 x 4 pooled by 2
    first = _matched(encoder, pairs)
    train_matching(encoder, pairs, Plan(100, 5e-3, 10), 9, small, place / "lent")
    assert _matched(opened(small), pairs) >= first + 0.2

    out = tmp_path / "models" / "deeper" / "sprc"
    train_qformer(opened(small), _data(opened(small), place), _recipe("sprc", 1), out, half=True)
    kept = load_file(out / "model.safetensors")
    assert {value.dtype for value in kept.values()} == {torch.float16}
    assert json.loads((out / "config.json").read_text())["vision_from"]["address"] == (
        "hf:../../../clip"
    )
    again = opened(out)
    assert again.net.query_tokens.dtype == torch.float32
    assert again.composed_vectors([np.zeros((9, 9, 3), np.uint8)], ["in red"], "sprc").shape == (
        1,
        16,
    )
    tiny.hf_clip(tmp_path / "other", layers=2)
    for name in ("config.json", "model.safetensors"):
        (tower / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(ModelUnavailable, match="was trained on the vision tower of"):
        opened(out)


def _matched(encoder, pairs):
    """Share of texts that score their own picture highest."""
    from PIL import Image

    shown = [np.asarray(Image.open(pair.source)) for pair in pairs]
    near = np.einsum(
        "te,gke->tgk", encoder.encode_text([p.text for p in pairs]), encoder.token_vectors(shown)
    ).max(2)
    return float((near.argmax(1) == np.arange(len(pairs))).mean())
