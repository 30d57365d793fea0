"""``hf:`` CLIP, SigLIP and SigLIP 2 against transformers' own processors and models."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from parity_kit import (
    ALL,
    NEAR,
    TEXTS,
    check_dense,
    check_independence,
    check_injection,
    check_shares,
    tensor_of,
    unit,
)
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.parts import DenseEncoder, Encoder, TextEncoder

pytestmark = pytest.mark.torch

FAMILIES = {
    "clip": ("hf_clip", {}),
    "clip-quickgelu": ("hf_clip", {"act": "quick_gelu", "legacy_eos": True}),
    "siglip": ("hf_siglip", {}),
    "siglip2": ("hf_siglip", {"second": True}),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def folder(family, tiny):
    maker, options = FAMILIES[family]
    return tiny(maker, **options)


@pytest.fixture
def ours(folder):
    return open_encoder(f"hf:{folder}")


@pytest.fixture
def theirs(folder):
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, attn_implementation="eager").eval()


def _processor(folder):
    """The library's processor on Pillow, whose resizing the weights were trained with."""
    import transformers

    kind = json.loads((folder / "preprocessor_config.json").read_text())["image_processor_type"]
    name = kind + "Pil"
    module = transformers if hasattr(transformers, name) else None
    assert module is not None, name
    return getattr(transformers, name).from_pretrained(folder)


def _texts_as_released(family, folder):
    """How each family's documentation tokenises: full padding, SigLIP in lower case."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    length = 77 if family.startswith("clip") else 64
    texts = [t.lower() for t in TEXTS] if family == "siglip2" else TEXTS
    return tokenizer(
        texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )["input_ids"]


def test_is_an_encoder_of_words_and_places(ours):
    assert isinstance(ours, Encoder)
    assert isinstance(ours, TextEncoder)
    assert isinstance(ours, DenseEncoder)
    assert [(s.name, s.codec, s.answers) for s in ours.card.spaces] == [
        ("joint", "i8", ("image", "text"))
    ]


def test_pixels_equal_the_processor(ours, folder):
    made = _processor(folder)(images=pictures(), return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(ours.preprocess.batch(pictures()), made, atol=1e-6, rtol=0)


def test_image_vectors_equal_get_image_features(ours, theirs, folder):
    pixels = _processor(folder)(images=pictures(), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = unit(tensor_of(theirs.get_image_features(pixel_values=pixels)))
    np.testing.assert_allclose(ours.encode_image(pictures()), expected, atol=NEAR, rtol=0)


def test_text_vectors_equal_get_text_features(ours, theirs, folder, family):
    ids = _texts_as_released(family, folder)
    np.testing.assert_array_equal(ours.token_ids(TEXTS), ids.numpy())
    with torch.inference_mode():
        expected = unit(tensor_of(theirs.get_text_features(input_ids=ids)))
    np.testing.assert_allclose(ours.encode_text(TEXTS), expected, atol=NEAR, rtol=0)


@pytest.mark.parametrize("block", [0, 1, -1])
def test_attention_and_tokens_equal_the_eager_model(ours, theirs, block):
    features = ours.image_features(pictures(2), want=ALL, block=block)
    pixels = torch.from_numpy(ours.preprocess.batch(pictures(2)))
    with torch.inference_mode():
        told = theirs.vision_model(
            pixel_values=pixels, output_attentions=True, output_hidden_states=True
        )
    prefix = ours.tower.prefix
    shares = told.attentions[block][:, :, prefix:, prefix:]
    np.testing.assert_allclose(features.attention, shares, atol=NEAR, rtol=0)
    # hidden_states[0] is what enters the first block
    states = told.hidden_states[1:][block][:, prefix:]
    np.testing.assert_allclose(features.tokens, states, atol=1e-4, rtol=1e-5)


def test_text_attention_and_tokens_equal_the_eager_model(ours, theirs):
    features = ours.text_features(TEXTS, want=frozenset({"tokens", "attention", "ids"}), block=1)
    with torch.inference_mode():
        told = theirs.text_model(
            input_ids=torch.from_numpy(features.ids),
            output_attentions=True,
            output_hidden_states=True,
        )
    np.testing.assert_allclose(features.attention, told.attentions[1], atol=NEAR, rtol=0)
    np.testing.assert_allclose(features.tokens, told.hidden_states[2], atol=1e-4, rtol=1e-5)


def test_independence(ours):
    check_independence(ours)


def test_shares(ours):
    check_shares(ours)


def test_dense(ours):
    check_dense(ours)


def test_injection(ours):
    check_injection(ours)


def test_dense_of_the_training_grid_is_the_value_path(ours, theirs, family):
    """On the square grid of training, cells equal the value path written out on the library's own
    modules; a single cell of SigLIP through the head is what its pooling gives one token."""
    picture = np.ascontiguousarray(pictures(1)[0][:64, :64])
    dense = ours.dense_features(picture, long_side=64)
    pixels = torch.from_numpy(ours.preprocess.batch([picture]))
    vision = theirs.vision_model
    with torch.inference_mode():
        states = vision(pixel_values=pixels, output_hidden_states=True).hidden_states
        if family.startswith("clip"):
            last = vision.encoder.layers[-1]
            inner = last.layer_norm1(states[-2][:, 1:])
            cells = last.self_attn.out_proj(last.self_attn.v_proj(inner))
            vectors = theirs.visual_projection(vision.post_layernorm(cells))
        else:
            final = vision.post_layernorm(states[-1])[0]
            vectors = vision.head(final[:, None])[None]  # each token pooled alone
    projected = ours.project(dense.cells.reshape(-1, dense.cells.shape[2]), "joint")
    np.testing.assert_allclose(projected, unit(vectors[0]), atol=NEAR, rtol=0)


def test_siglip_needs_lower_case_and_full_padding(tiny):
    """The trap: without either, the vector of a text is another one altogether."""
    from transformers import AutoModel, AutoTokenizer

    for second in (False, True):
        folder = tiny("hf_siglip", **({"second": True} if second else {}))
        ours = open_encoder(f"hf:{folder}")
        assert ours.card.context == 64
        assert ours.card.canonical == ("lower" if second else "siglip")
        np.testing.assert_array_equal(
            ours.encode_text("A Photo of a DOG"), ours.encode_text("a photo of a dog")
        )
        ids = ours.token_ids(["a dog", "a photo of a red bicycle"])
        assert ids.shape == (2, 64)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder).eval()
        short = tokenizer(["a dog"], return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            unpadded = unit(tensor_of(model.get_text_features(input_ids=short)))
        assert np.abs(unpadded - ours.encode_text(["a dog"])).max() > 0.01
        if second:  # Gemma's tokenizer keeps capitals, so the rule must be ours
            raw = tokenizer(["A DOG"], padding="max_length", max_length=64)["input_ids"]
            assert raw != ours.token_ids(["A DOG"]).tolist()
    ours = open_encoder(f"hf:{tiny('hf_siglip')}")
    np.testing.assert_array_equal(ours.token_ids(["a dog!"]), ours.token_ids(["a dog"]))


def test_activation_is_honoured(tiny):
    """QuickGELU and GELU weights of the same numbers give different vectors."""
    one = open_encoder(f"hf:{tiny('hf_clip')}").encode_image(pictures(1)[0])
    quick = tiny("hf_clip", act="quick_gelu", legacy_eos=True)
    other = open_encoder(f"hf:{quick}").encode_image(pictures(1)[0])
    assert np.abs(one - other).max() > 1e-3


def test_default_processor_is_within_one_grey_level(tiny):
    """transformers' default resizes tensors; ours resizes as Pillow does."""
    from transformers import AutoImageProcessor

    folder = tiny("hf_clip")
    ours = open_encoder(f"hf:{folder}").preprocess
    made = AutoImageProcessor.from_pretrained(folder)(images=pictures(), return_tensors="np")
    grey = np.abs(ours.batch(pictures()) - made["pixel_values"]) * 255
    grey *= np.array(ours.std).reshape(1, 3, 1, 1)
    assert grey.max() <= 1.01


def test_weights_that_do_not_fill_the_model_are_refused(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny("hf_clip"), tmp_path / "short")
    state = load_file(folder / "model.safetensors")
    state.pop("visual_projection.weight")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="lack 1 tensors, first visual_projection"):
        open_encoder(f"hf:{folder}")


def test_naflex_and_other_types_are_refused(tiny, tmp_path):
    folder = shutil.copytree(tiny("hf_siglip"), tmp_path / "naflex")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "siglip2"}))
    with pytest.raises(UsageError, match="NaFlex"):
        open_encoder(f"hf:{folder}")
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(UsageError, match="of type 'bert'; supported: clip, siglip"):
        open_encoder(f"hf:{folder}")


def test_wrong_questions_say_what_is_allowed(tiny):
    ours = open_encoder(f"hf:{tiny('hf_clip')}", threads=1)
    assert torch.get_num_threads() == 1
    with pytest.raises(UsageError, match=r"block: must lie in -3 … 2, received 3"):
        ours.image_features(pictures(1), block=3)
    with pytest.raises(UsageError, match=r"allowed: .*tokens"):
        ours.image_features(pictures(1), want=frozenset({"depth"}))
    with pytest.raises(UsageError, match="at least once"):
        ours.inject(["no place"], np.zeros((1, 64), np.float32))
    with pytest.raises(UsageError, match=r"\[N, C\] = \[1, 64\].* received \[1, 3\]"):
        ours.inject(["a {}"], np.zeros((1, 3), np.float32))
    with pytest.raises(UsageError, match="is not one of"):
        ours.project(np.zeros((1, 64), np.float32), "look")
    with pytest.raises(UsageError, match="threads: must be at least 1"):
        open_encoder(f"hf:{tiny('hf_clip')}", threads=0)


def test_bfloat16_is_close_and_is_told_apart(tiny):
    address = f"hf:{tiny('hf_siglip')}"
    full, half = open_encoder(address), open_encoder(address + "+bf16")
    assert half.card.address == address + "+bf16"
    assert half.card.fingerprint() != full.card.fingerprint()
    for name, given in (("encode_image", pictures()), ("encode_text", TEXTS)):
        one, other = getattr(full, name)(given), getattr(half, name)(given)
        assert other.dtype == np.float32
        assert (one * other).sum(1).min() > 0.98  # random weights amplify; real ones less
        assert np.abs(one - other).max() > 1e-5
    dense = half.dense_features(pictures(1)[0], long_side=128)
    assert dense.cells.dtype == half.project(dense.cells, "joint").dtype == np.float32
