"""``pooling``, ``final``, ``joint``, ``length`` and ``words`` against the libraries' modules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from parity_kit import NEAR, TEXTS, unit
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import UsageError

pytestmark = pytest.mark.torch

WANT = frozenset({"pooling", "final", "joint", "length"})
FAMILIES = {
    "hf-clip": ("hf_clip", {}),
    "hf-siglip": ("hf_siglip", {}),
    "dinov2": ("hf_dino", {"kind": "dinov2"}),
    "dinov2-registers": ("hf_dino", {"kind": "dinov2_with_registers"}),
    "dinov3": ("hf_dino", {"kind": "dinov3_vit"}),
    "open-clip": ("open_clip_folder", {}),
    "open-clip-siglip": ("open_clip_folder", {"siglip": True}),
    "open-clip-timm": ("open_clip_folder", {"timm": 0}),
    "open-clip-registers": ("open_clip_folder", {"timm": 4}),
}
WORDS = [name for name in FAMILIES if not name.startswith("dino")]


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def opened(tiny, family):
    maker, options = FAMILIES[family]
    return open_encoder(f"local-dir:{tiny(maker, **options)}")


@pytest.fixture
def encoder(tiny, family):
    return opened(tiny, family)


def _last_input(tower, pixels):
    tokens, context = tower.embed(pixels)
    for layer in tower.blocks[:-1]:
        tokens = tower.run(layer, tokens, context)
    return tokens, context


def test_the_row_is_that_of_the_materialised_attention(encoder, family):
    """All queries of the last block (or of the pooling head) in one softmax, then one row."""
    tower = encoder.tower
    got = encoder.image_features(pictures(3), want=WANT).pooling
    with torch.inference_mode():
        before, context = _last_input(
            tower, torch.from_numpy(encoder.preprocess.batch(pictures(3)))
        )
        if tower.prefix:
            queries, keys = tower.query_key(tower.blocks[-1], before, context)
            whole = (queries @ keys.transpose(-1, -2)).softmax(-1)
            row = whole[:, :, 0, tower.prefix :]
            kept_back = whole[:, :, 0, : tower.prefix].sum(-1)
        else:
            final = tower.final(tower.run(tower.blocks[-1], before, context))
            row, kept_back = _head_weights(encoder, final), torch.zeros(())
    np.testing.assert_allclose(got, row, atol=1e-6, rtol=0)
    assert got.shape == (3, 4, 16)
    assert (got >= 0).all()
    np.testing.assert_allclose(got.sum(-1), 1 - kept_back, atol=1e-5)
    assert np.abs(got - got.mean(-1, keepdims=True)).max() > 0.01  # far from uniform


def _head_weights(encoder, final):
    """What the libraries' own pooling heads attend to, per head."""
    visual = encoder.tower
    if hasattr(visual, "_vision"):
        head = visual._vision.head
        probe = head.probe.repeat(len(final), 1, 1)
        told = head.attention(probe, final, final, need_weights=True, average_attn_weights=False)
        return told[1][:, :, 0]
    pooling = visual._trunk.attn_pool
    n, p, width = final.shape
    q = pooling.q(pooling.latent.expand(n, -1, -1)).reshape(n, 1, pooling.num_heads, -1)
    k = pooling.kv(final).reshape(n, p, 2, pooling.num_heads, -1)[:, :, 0]
    scores = torch.einsum("nqhd,nphd->nhqp", q, k) * (width // pooling.num_heads) ** -0.5
    return scores.softmax(-1)[:, :, 0]


def test_hf_rows_equal_the_eager_model(tiny):
    from transformers import AutoModel

    for kind in ("hf-clip", "dinov2", "dinov2-registers", "dinov3"):
        maker, options = FAMILIES[kind]
        folder = tiny(maker, **options)
        ours = open_encoder(f"hf:{folder}")
        theirs = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
        theirs = getattr(theirs, "vision_model", theirs)
        pixels = torch.from_numpy(ours.preprocess.batch(pictures(2)))
        with torch.inference_mode():
            told = theirs(pixel_values=pixels, output_attentions=True).attentions[-1]
        got = ours.image_features(pictures(2), want=frozenset({"pooling"})).pooling
        np.testing.assert_allclose(got, told[:, :, 0, ours.tower.prefix :], atol=1e-6, rtol=0)


def test_final_joint_and_length_belong_to_the_vector(encoder, family):
    """The class token through the same norm and projection is the vector; lengths undo ``unit``."""
    features = encoder.image_features(pictures(3), want=WANT, block=0)  # block changes none of it
    tower = encoder.tower
    with torch.inference_mode():
        before, context = _last_input(
            tower, torch.from_numpy(encoder.preprocess.batch(pictures(3)))
        )
        after = tower.run(tower.blocks[-1], before, context)
        pooled = tower.pool(after)
        joint = tower.joint(torch.from_numpy(features.final))
    np.testing.assert_allclose(features.vector * features.length[:, None], pooled, atol=1e-4)
    np.testing.assert_allclose(features.joint, joint, atol=1e-5)
    assert features.joint.shape == (3, 16, encoder.card.dim)
    if tower.prefix and not family.startswith("dino"):
        # a patch put where the class token was becomes the vector it has in ``joint``
        moved = after.clone()
        moved[:, 0] = after[:, tower.prefix + 5]
        with torch.inference_mode():
            expected = tower.pool(moved)
        np.testing.assert_allclose(features.joint[:, 5], expected, atol=1e-4, rtol=1e-4)
    elif not tower.prefix:
        # a token alone in the picture is pooled as ``joint`` says
        with torch.inference_mode():
            expected = tower.pool(after[:, 5:6])
        np.testing.assert_allclose(features.joint[:, 5], expected, atol=1e-4, rtol=1e-4)


def test_cells_are_merged_values(encoder):
    tower = encoder.tower
    with torch.inference_mode():
        before, context = _last_input(
            tower, torch.from_numpy(encoder.preprocess.batch(pictures(2)))
        )
        cells = tower.cells(before, context)
        merged = tower.merge(tower.values(before, context))
    np.testing.assert_allclose(cells, merged, atol=0)


@pytest.mark.parametrize("name", WORDS)
def test_text_rows_and_tokens(tiny, name):
    encoder = opened(tiny, name)
    text = encoder.text
    got = encoder.text_features(TEXTS, want=WANT | {"ids", "ends", "words", "attention"})
    rows = got.attention[np.arange(len(TEXTS)), :, got.ends]
    np.testing.assert_allclose(got.pooling, rows, atol=1e-6, rtol=0)
    np.testing.assert_allclose(got.pooling.sum(-1), 1, atol=1e-5)
    ends = torch.from_numpy(got.final[np.arange(len(TEXTS)), got.ends])
    with torch.inference_mode():
        np.testing.assert_allclose(unit(text.joint(ends)), got.vector, atol=NEAR, rtol=0)
        joint = text.joint(torch.from_numpy(got.final))
    np.testing.assert_allclose(got.joint, joint, atol=1e-5)
    np.testing.assert_allclose(
        got.vector * got.length[:, None], joint[np.arange(4), got.ends], atol=1e-5
    )
    np.testing.assert_allclose(got.vector, encoder.encode_text(TEXTS), atol=NEAR, rtol=0)


@pytest.mark.parametrize("name", WORDS)
def test_words_are_neither_start_nor_end_nor_padding(tiny, name):
    encoder = opened(tiny, name)
    long = " ".join(["dog"] * 200)
    got = encoder.text_features(["", "a dog", long], want=frozenset({"ids", "words", "ends"}))
    assert not got.words[0].any()
    inner = getattr(encoder.tokenize.tokenizer, "tokenizer", encoder.tokenize.tokenizer)
    assert inner.decode(got.ids[1][got.words[1]].tolist()).replace(" ", "").strip("▁") == "adog"
    places = np.flatnonzero(got.words[2])
    first = int("siglip" not in name)  # SigLIP has no start token
    assert (places == np.arange(first, encoder.card.context - 1)).all()


def test_a_text_without_end_token_is_words_up_to_the_padding():
    from types import SimpleNamespace

    from needlepoint.encoders.text import word_mask

    clip = SimpleNamespace(sot_token_id=8, eot_token_id=9)
    ids = np.array([[8, 3, 0, 5, 0, 0], [8, 3, 4, 5, 6, 7], [8, 9, 0, 0, 0, 0], [8, 0, 2, 9, 0, 0]])
    assert word_mask(ids, clip).astype(int).tolist() == [
        [0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
    ]


def test_unknown_wants_are_told(tiny):
    encoder = opened(tiny, "hf-clip")
    with pytest.raises(UsageError, match=r"allowed: .*pooling"):
        encoder.image_features(pictures(1), want=frozenset({"pool"}))
    with pytest.raises(UsageError, match=r"allowed: .*pooling.*words"):
        encoder.text_features(["a"], want=frozenset({"received"}))


def test_positions_are_resized_wherever_the_shape_differs(tiny):
    """open_clip's own forward pass with its position table written anew; 2 x 8 patches are as
    many as the 4 x 4 of training and still another grid."""
    import open_clip

    folder = tiny("open_clip_folder")
    encoder = open_encoder(f"open_clip:local-dir:{folder}")
    for height, width, stride in [(96, 32, 0), (32, 128, 0), (64, 64, 8), (64, 48, 10)]:
        visual = open_clip.create_model(f"local-dir:{folder}").eval().visual
        table = visual.positional_embedding.detach().clone()
        step = stride or 16
        grid = ((height - 16) // step + 1, (width - 16) // step + 1)
        square = table[1:].reshape(1, 4, 4, -1).permute(0, 3, 1, 2)
        wide = torch.nn.functional.interpolate(square, grid, mode="bicubic", align_corners=False)
        rows = wide.flatten(2)[0].T if grid != (4, 4) else table[1:]
        visual.positional_embedding = torch.nn.Parameter(torch.cat((table[:1], rows)))
        visual.conv1.stride = (step, step)
        rule = replace(encoder.preprocess, size=height, width=width, rule="squash")
        pixels = rule.batch(pictures(2))
        assert pixels.shape == (2, 3, height, width)
        with torch.inference_mode():
            expected = unit(visual(torch.from_numpy(pixels)))
        features = encoder.image_features(
            pictures(2), want=frozenset({"pooling"}), size=(height, width), stride=stride
        )
        np.testing.assert_allclose(features.vector, expected, atol=NEAR, rtol=0)
        assert features.grid == grid
        assert features.pooling.shape == (2, 4, grid[0] * grid[1])
    square = [p[:64, :64] for p in pictures(1)]
    same = encoder.image_features(square, size=(64, 64), stride=16).vector
    np.testing.assert_allclose(same, encoder.encode_image([pictures(1)[0][:64, :64]]), atol=1e-6)


@pytest.mark.parametrize("name", ["hf-clip", "hf-siglip", "dinov2", "dinov3"])
def test_hf_models_on_a_grid_that_is_not_square(tiny, name):
    from transformers import AutoModel

    maker, options = FAMILIES[name]
    folder = tiny(maker, **options)
    encoder = open_encoder(f"hf:{folder}")
    rule = replace(encoder.preprocess, size=96, width=32, rule="squash")
    theirs = AutoModel.from_pretrained(folder).eval()
    pixels = torch.from_numpy(rule.batch(pictures(2)))
    with torch.inference_mode():
        if name.startswith("dino"):
            told = theirs(pixel_values=pixels).pooler_output
        else:
            told = theirs.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True)
            told = getattr(told, "pooler_output", told)
    ours = encoder.image_features(pictures(2), size=(96, 32)).vector
    np.testing.assert_allclose(ours, unit(told), atol=NEAR, rtol=0)


def test_sizes_and_strides_that_cannot_be_are_refused(tiny):
    clip = opened(tiny, "open-clip")
    with pytest.raises(UsageError, match="at least 16"):
        clip.image_features(pictures(1), size=(8, 64))
    with pytest.raises(UsageError, match="allows 1 or more"):
        clip.image_features(pictures(1), stride=-2)
    with pytest.raises(UsageError, match="the patch size only; open_clip's own"):
        opened(tiny, "hf-clip").image_features(pictures(1), stride=8)
    with pytest.raises(UsageError, match=r"allowed: \['joint', 'values'\]"):
        clip.dense_features(pictures(1)[0], long_side=64, want=frozenset({"tokens"}))


def test_maps_hold_values_shares_and_joint_tokens(encoder):
    """On the square of training they are what ``image_features`` tells of the same pixels."""
    picture = np.ascontiguousarray(pictures(3)[2][:64, :64])
    dense = encoder.dense_features(picture, long_side=64, want=frozenset({"joint", "values"}))
    whole = encoder.image_features([picture], want=frozenset({"joint", "pooling"}), size=(64, 64))
    np.testing.assert_allclose(dense.joint.reshape(16, -1), whole.joint[0], atol=1e-4)
    np.testing.assert_allclose(dense.shares.reshape(16, 4).T, whole.pooling[0], atol=1e-5)
    np.testing.assert_allclose(encoder.merge(dense.values), dense.cells, atol=1e-5)


@pytest.mark.parametrize("name", ["hf-clip", "open-clip"])
def test_a_text_without_end_token_is_read_at_its_last_token(tiny, name):
    """An arg-max over ids would take the token that happens to have the highest."""
    encoder = opened(tiny, name)
    ids = encoder.token_ids(["a dog"])
    end = int(encoder.text_positions(ids)[0])
    cut = ids.copy()
    cut[0, end:] = 0
    cut[0, 1] = ids[0, 1] + 7
    assert encoder.text_positions(cut).tolist() == [end - 1]
    full = np.concatenate((ids[:, :1], np.tile(ids[:, 1:2], (1, ids.shape[1] - 1))), axis=1)
    assert encoder.text_positions(full).tolist() == [ids.shape[1] - 1]
