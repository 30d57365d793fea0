"""``open_clip:`` against open_clip's own transforms, tokenizers and ``encode_image/text``."""

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
    unit,
)
from PIL import Image
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.parts import DenseEncoder, TextEncoder

pytestmark = pytest.mark.torch

FAMILIES = {
    "clip": {},
    "clip-quickgelu": {"quick_gelu": True},
    "siglip": {"siglip": True},
    "timm-clip": {"timm": 0},
    "timm-registers": {"timm": 4},
}


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def folder(family, tiny):
    return tiny("open_clip_folder", **FAMILIES[family])


@pytest.fixture
def ours(folder):
    return open_encoder(f"open_clip:local-dir:{folder}")


@pytest.fixture
def theirs(folder):
    import open_clip

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return model.eval(), transform, open_clip.get_tokenizer(f"local-dir:{folder}")


def _pixels(transform):
    return torch.stack([transform(Image.fromarray(p)) for p in pictures()])


def test_is_an_encoder_of_words_and_places(ours):
    assert isinstance(ours, TextEncoder)
    assert isinstance(ours, DenseEncoder)
    assert ours.card.space_for("text") == ours.card.space_for("image")


def test_pixels_equal_the_transform(ours, theirs):
    made = _pixels(theirs[1]).numpy()
    np.testing.assert_allclose(ours.preprocess.batch(pictures()), made, atol=1e-6, rtol=0)


def test_image_vectors_equal_encode_image(ours, theirs):
    model, transform, _ = theirs
    with torch.inference_mode():
        expected = unit(model.encode_image(_pixels(transform)))
    np.testing.assert_allclose(ours.encode_image(pictures()), expected, atol=NEAR, rtol=0)


def test_text_vectors_equal_encode_text(ours, theirs):
    model, _, tokenizer = theirs
    ids = tokenizer(TEXTS)
    np.testing.assert_array_equal(ours.token_ids(TEXTS), ids.numpy())
    with torch.inference_mode():
        expected = unit(model.encode_text(ids))
    np.testing.assert_allclose(ours.encode_text(TEXTS), expected, atol=NEAR, rtol=0)


@pytest.mark.parametrize("block", [0, -1])
def test_tokens_equal_forward_intermediates(ours, theirs, block):
    model, transform, _ = theirs
    features = ours.image_features(pictures(), want=frozenset({"tokens"}), block=block)
    with torch.inference_mode():
        told = model.visual.forward_intermediates(_pixels(transform), output_fmt="NLC")
    states = told["image_intermediates"][block]
    np.testing.assert_allclose(features.tokens, states, atol=1e-4, rtol=1e-5)


def test_attention_equals_the_module_asked_for_weights(ours, theirs, family):
    model, transform, _ = theirs
    features = ours.image_features(pictures(), want=ALL, block=0)
    pixels = _pixels(transform)
    with torch.inference_mode():
        if family not in ("clip", "clip-quickgelu"):
            trunk = model.visual.trunk
            entering = trunk.norm_pre(trunk._pos_embed(trunk.patch_embed(pixels)))
            attention = trunk.blocks[0].attn
            attention.fused_attn = False
            seen = []
            handle = attention.attn_drop.register_forward_hook(lambda m, i, o: seen.append(o))
            trunk.blocks[0](entering)
            handle.remove()
            skip = trunk.num_prefix_tokens
            shares = seen[0][:, :, skip:, skip:]
        else:
            entering = model.visual._embeds(pixels)
            block = model.visual.transformer.resblocks[0]
            inner = block.ln_1(entering)
            weights = block.attn(inner, inner, inner, need_weights=True, average_attn_weights=False)
            shares = weights[1][:, :, 1:, 1:]
    np.testing.assert_allclose(features.attention, shares, atol=NEAR, rtol=0)


def test_independence(ours):
    check_independence(ours)


def test_shares(ours):
    check_shares(ours)


def test_dense(ours):
    check_dense(ours)


def test_injection(ours):
    check_injection(ours)


def test_activation_is_honoured_and_part_of_the_fingerprint(tiny):
    one = open_encoder(f"open_clip:local-dir:{tiny('open_clip_folder')}")
    folder = tiny("open_clip_folder", quick_gelu=True)
    other = open_encoder(f"open_clip:local-dir:{folder}")
    assert one.card.weights_hash == other.card.weights_hash  # the same numbers
    assert one.card.fingerprint() != other.card.fingerprint()
    picture = pictures(1)[0]
    assert np.abs(one.encode_image(picture) - other.encode_image(picture)).max() > 1e-3


def test_a_tag_trained_with_quickgelu_switches_it_on(tiny):
    """open_clip 3 only warns for ViT-B-32/openai, and gives wrong vectors."""
    from needlepoint.encoders.address import parse
    from needlepoint.encoders.open_clip import tag_facts

    tiny("open_clip_folder")
    assert tag_facts(parse("open_clip:ViT-B-32/openai"))["quick_gelu"] is True


def test_weights_file_beside_a_built_in_architecture(tiny, tmp_path, monkeypatch):
    """``ARCH@FILE``: the architecture from open_clip's own list, the weights from a file."""
    import open_clip

    folder = tiny("open_clip_folder")
    told = json.loads((folder / "open_clip_config.json").read_text())
    (tmp_path / "tiny-test-arch.json").write_text(json.dumps(told["model_cfg"]))
    open_clip.add_model_config(tmp_path / "tiny-test-arch.json")
    ours = open_encoder(f"open_clip:tiny-test-arch@{folder / 'open_clip_model.safetensors'}")
    other = open_encoder(f"open_clip:local-dir:{folder}")
    np.testing.assert_allclose(ours.encode_text(TEXTS), other.encode_text(TEXTS), atol=1e-6)
    assert ours.card.weights_hash == other.card.weights_hash


def test_a_convolutional_tower_gives_vectors_only(tmp_path, tiny):
    """timm towers that are not a plain ViT: whole pictures and words."""
    import open_clip
    from safetensors.torch import save_file

    tiny("open_clip_folder")  # makes torchvision importable
    folder = tmp_path / "conv"
    folder.mkdir()
    config = {
        "embed_dim": 32,
        "custom_text": True,
        "vision_cfg": {"timm_model_name": "test_resnet", "timm_pool": "avg", "timm_proj": "linear",
                       "image_size": 64},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2,
                     "layers": 1},
    }  # fmt: skip
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False).eval()
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    ours = open_encoder(f"open_clip:local-dir:{folder}")
    assert ours.card.abilities == ("text", "inject")
    assert not isinstance(ours, DenseEncoder)
    pixels = torch.from_numpy(ours.preprocess.batch(pictures(2)))
    with torch.inference_mode():
        expected = unit(model.encode_image(pixels))
    np.testing.assert_allclose(ours.encode_image(pictures(2)), expected, atol=NEAR, rtol=0)
    with pytest.raises(UsageError, match="only vectors can be had"):
        ours.image_features(pictures(1), want=frozenset({"tokens"}))


def test_files_that_do_not_fit_are_refused(tiny, tmp_path):
    folder = shutil.copytree(tiny("open_clip_folder"), tmp_path / "wrong")
    told = json.loads((folder / "open_clip_config.json").read_text())
    told["model_cfg"]["vision_cfg"]["layers"] = 4
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    with pytest.raises(ModelUnavailable, match="does not load"):
        open_encoder(f"open_clip:local-dir:{folder}")
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"put open_clip_model\.safetensors or"):
        open_encoder(f"open_clip:local-dir:{folder}")
    told["model_cfg"]["text_cfg"]["hf_model_name"] = "xlm-roberta-base"
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    shutil.copy(
        tiny("open_clip_folder") / "open_clip_model.safetensors", folder / "model.safetensors"
    )
    with pytest.raises(UsageError, match="text tower of transformers"):
        open_encoder(f"open_clip:local-dir:{folder}")


def test_the_same_weights_in_timms_modules_and_in_open_clips_own(tiny, tmp_path):
    """One CLIP in two libraries: vectors, attention, cells and windows agree."""
    from safetensors.torch import load_file, save_file
    from timm.models.vision_transformer import _convert_openai_clip

    native = tiny("open_clip_folder")
    folder = shutil.copytree(tiny("open_clip_folder", timm=0), tmp_path / "same")
    name = "open_clip_model.safetensors"
    theirs, ours = load_file(native / name), load_file(folder / name)
    parts = {k.removeprefix("visual."): v for k, v in theirs.items() if k.startswith("visual.")}
    moved = _convert_openai_clip(parts, None, prefix="")
    for key, value in moved.items():
        assert ours[f"visual.trunk.{key}"].shape == value.shape, key
        ours[f"visual.trunk.{key}"] = value.contiguous()
    save_file(ours, folder / name)
    one, other = (open_encoder(f"open_clip:local-dir:{f}") for f in (native, folder))
    assert type(one.tower) is not type(other.tower)
    for block in (0, -1):
        first, second = (e.image_features(pictures(3), want=ALL, block=block) for e in (one, other))
        for what in ("vector", "attention", "received"):
            np.testing.assert_allclose(
                getattr(first, what), getattr(second, what), atol=2e-5, rtol=0
            )
        np.testing.assert_allclose(first.tokens, second.tokens, atol=1e-4, rtol=1e-5)
    cells = [e.dense_features(pictures(1)[0], long_side=128).cells for e in (one, other)]
    np.testing.assert_allclose(*cells, atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(
        one.project(cells[0], "joint"), other.project(cells[1], "joint"), atol=2e-5, rtol=0
    )
