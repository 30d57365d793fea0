"""``hf:`` DINOv2, with and without registers, and DINOv3 against transformers' own models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from parity_kit import ALL, NEAR, check_dense, check_independence, check_shares, unit
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.parts import DenseEncoder, TextEncoder

pytestmark = pytest.mark.torch


@pytest.fixture(params=["dinov2", "dinov2_with_registers", "dinov3_vit"])
def kind(request):
    return request.param


@pytest.fixture
def folder(kind, tiny):
    return tiny("hf_dino", kind=kind)


@pytest.fixture
def ours(folder):
    return open_encoder(f"local-dir:{folder}")


@pytest.fixture
def theirs(folder):
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, attn_implementation="eager").eval()


def test_card_tells_of_pictures_only(ours, kind):
    assert isinstance(ours, DenseEncoder)
    assert not isinstance(ours, TextEncoder)
    assert [(s.name, s.codec, s.answers) for s in ours.card.spaces] == [("look", "i8", ("image",))]
    assert ours.tower.prefix == (1 if kind == "dinov2" else 5)


def test_pixels_equal_the_processor(ours, folder, kind):
    import transformers

    name = json.loads((folder / "preprocessor_config.json").read_text())["image_processor_type"]
    exact = hasattr(transformers, name + "Pil")
    processor = getattr(transformers, name + "Pil" if exact else name).from_pretrained(folder)
    made = processor(images=pictures(), return_tensors="np")["pixel_values"]
    # DINOv3's processor resizes tensors only: one grey level
    allowed = 1e-6 if exact else 1.01 / 255 / 0.224
    np.testing.assert_allclose(ours.preprocess.batch(pictures()), made, atol=allowed, rtol=0)


def test_vectors_equal_the_pooled_output(ours, theirs):
    pixels = torch.from_numpy(ours.preprocess.batch(pictures()))
    with torch.inference_mode():
        expected = unit(theirs(pixel_values=pixels).pooler_output)
    np.testing.assert_allclose(ours.encode_image(pictures()), expected, atol=NEAR, rtol=0)


@pytest.mark.parametrize("block", [0, -1])
def test_attention_and_tokens_equal_the_eager_model(ours, theirs, block):
    features = ours.image_features(pictures(2), want=ALL, block=block)
    pixels = torch.from_numpy(ours.preprocess.batch(pictures(2)))
    with torch.inference_mode():
        told = theirs(pixel_values=pixels, output_attentions=True, output_hidden_states=True)
    prefix = ours.tower.prefix
    shares = told.attentions[block][:, :, prefix:, prefix:]
    np.testing.assert_allclose(features.attention, shares, atol=NEAR, rtol=0)
    states = told.hidden_states[1:][block][:, prefix:]
    np.testing.assert_allclose(features.tokens, states, atol=1e-4, rtol=1e-5)


def test_dense_cells_are_the_librarys_final_patch_tokens(ours, theirs):
    """Also on a grid that is not square: the library interpolates positions itself."""
    picture = pictures(1)[0]
    dense = ours.dense_features(picture, long_side=128)
    pixels = torch.from_numpy(ours.preprocess.grid(picture, 128, 16))
    with torch.inference_mode():
        final = theirs(pixel_values=pixels).last_hidden_state[0, ours.tower.prefix :]
    cells = dense.cells.reshape(-1, dense.cells.shape[2])
    np.testing.assert_allclose(cells, final, atol=1e-4, rtol=1e-5)
    np.testing.assert_array_equal(dense.lead, dense.cells)
    np.testing.assert_allclose(ours.project(cells, "look"), unit(final), atol=NEAR, rtol=0)


def test_questions_lie_between_class_token_and_patches(ours):
    asked = ours.query_features(pictures(2))
    whole = ours.encode_image(pictures(2))
    square = [np.ascontiguousarray(p[:64, :64]) for p in pictures(2)]
    patches = np.stack(
        [
            ours.project(ours.dense_features(s, long_side=64).cells.mean((0, 1)), "look")
            for s in square
        ]
    )
    np.testing.assert_allclose(np.linalg.norm(asked, axis=1), 1, atol=1e-5)
    mixed = ours.encode_image(square) + patches
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    if ours.preprocess.rule == "squash":
        np.testing.assert_allclose(ours.query_features(square), mixed, atol=1e-4, rtol=0)
    assert ((asked * whole).sum(1) > 0.5).all()


def test_independence(ours):
    check_independence(ours)


def test_shares(ours):
    check_shares(ours)


def test_dense(ours):
    check_dense(ours)
