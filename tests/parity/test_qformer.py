"""``hf:`` BLIP-2 against transformers' own forward pass and a slow one from the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parity_kit import NEAR
from slow_qformer import SlowQFormer
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.parts import DenseEncoder, Encoder, QueryTokensEncoder, TextEncoder

pytestmark = pytest.mark.torch

TEXTS = ["a red bicycle", "The DOG, on the beach!", ""]


@pytest.fixture(scope="module")
def folder(tiny):
    return tiny("hf_blip2")


@pytest.fixture(scope="module")
def ours(folder):
    return open_encoder(f"local-dir:{folder}")


@pytest.fixture(scope="module")
def slow(folder):
    return SlowQFormer(folder)


@pytest.fixture(scope="module")
def theirs(folder, ours):
    from transformers import Blip2ForImageTextRetrieval

    model = Blip2ForImageTextRetrieval.from_pretrained(folder, attn_implementation="eager").eval()
    pixels = torch.from_numpy(ours.sight.preprocess.batch(pictures(3)))
    ids = ours.ids(TEXTS)
    asked = {"pixel_values": pixels, "input_ids": ids, "attention_mask": (ids != 0).long()}
    with torch.inference_mode():
        return model(**asked), model(**asked, use_image_text_matching_head=True), model


@pytest.fixture(scope="module")
def seen(ours):
    with torch.inference_mode():
        return ours.sight(pictures(3))


def _ids(ours, text):
    row = ours.ids([text])[0]
    return row[row != 0].tolist()


def test_card(ours):
    for kind in (Encoder, TextEncoder, QueryTokensEncoder):
        assert isinstance(ours, kind)
    assert not isinstance(ours, DenseEncoder)
    assert [(s.name, s.dim, s.answers) for s in ours.card.spaces] == [
        ("joint", 48, ("image", "text"))
    ]
    assert ours.card.abilities == ("text", "queries")
    assert ours.trained == ""


def test_pixels_equal_the_processor(ours, folder):
    from transformers import BlipImageProcessorPil

    processor = BlipImageProcessorPil.from_pretrained(folder)
    made = processor(images=pictures(), return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(ours.sight.preprocess.batch(pictures()), made, atol=1e-6, rtol=0)


def test_pictures_texts_and_scores_equal_the_contrastive_pass(ours, theirs):
    contrast = theirs[0]
    tokens, words = ours.token_vectors(pictures(3)), ours.encode_text(TEXTS)
    np.testing.assert_allclose(tokens, contrast.image_embeds, atol=NEAR, rtol=0)
    np.testing.assert_allclose(words, contrast.text_embeds, atol=NEAR, rtol=0)
    best = np.einsum("gke,qe->gkq", tokens, words).max(1)
    np.testing.assert_allclose(best, contrast.logits_per_image, atol=NEAR, rtol=0)


def test_the_fused_pass_equals_the_matching_pass(ours, seen, theirs):
    _, matching, model = theirs
    with torch.inference_mode():
        heads = model.itm_head(ours.net.mix(seen, ours.ids(TEXTS))).mean(1)
    np.testing.assert_allclose(heads, matching.logits_per_image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["sprc", "qure"])
def test_composed_questions_equal_the_slow_passes(ours, slow, seen, how):
    found = ours.composed_vectors(pictures(3), TEXTS, how)
    for row, (text, tokens) in enumerate(zip(TEXTS, seen.numpy(), strict=True)):
        expected = getattr(slow, how)(tokens.astype(np.float64), _ids(ours, text))
        np.testing.assert_allclose(found[row], expected, atol=NEAR, rtol=0)


def test_both_sides_equal_the_slow_passes(ours, slow, seen):
    tokens = slow.tokens(seen[1].numpy().astype(np.float64))
    np.testing.assert_allclose(ours.token_vectors(pictures(2))[1], tokens, atol=NEAR, rtol=0)
    mean = tokens.mean(0) / np.linalg.norm(tokens.mean(0))
    np.testing.assert_allclose(ours.encode_image(pictures(2)[1]), mean, atol=NEAR, rtol=0)
    words = slow.text(_ids(ours, TEXTS[1]))
    np.testing.assert_allclose(ours.encode_text(TEXTS[1]), words, atol=NEAR, rtol=0)


def test_queries_have_feed_forward_weights_of_their_own(folder, seen):
    """Words never go through them, and prompts of the second pass do not either."""
    other = open_encoder(f"hf:{folder}")
    ids = other.ids(TEXTS)
    with torch.inference_mode():
        mixed = other.net.mix(seen, ids)
        before = other.net.read(ids), other.net.compose(seen, ids, "sprc", mixed)
        looked = other.net.look(seen)
        for name, value in other.net.named_parameters():
            if "_query." in name:
                value.mul_(1.5)
        after = other.net.read(ids), other.net.compose(seen, ids, "sprc", mixed)
        assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
        assert (other.net.look(seen) - looked).abs().max() > 1e-3
        assert (other.net.mix(seen, ids) - mixed).abs().max() > 1e-3


def test_the_picture_speaks_in_the_second_pass_through_the_prompt_alone(ours, seen):
    ids = ours.ids(TEXTS)
    with torch.inference_mode():
        mixed = ours.net.mix(seen, ids)
        swapped = ours.net.compose(seen.flip(0), ids, "sprc", mixed)
        assert torch.equal(swapped, ours.net.compose(seen, ids, "sprc", mixed))
        moved = ours.net.compose(seen.flip(0), ids, "sprc") - swapped
    assert moved[0].abs().max() > 1e-3


def test_no_picture_or_text_depends_on_its_neighbours(ours):
    shown, said = pictures(3), TEXTS
    for how in ("sprc", "qure"):
        together = ours.composed_vectors(shown, said, how)
        alone = [ours.composed_vectors([p], [t], how)[0] for p, t in zip(shown, said, strict=True)]
        np.testing.assert_allclose(together, alone, atol=NEAR, rtol=0)


def test_longer_pictures_are_padded_to_the_ratio(tiny):
    padded = open_encoder(f"hf:{tiny('hf_blip2', pad_ratio=1.25)}").sight.preprocess
    white = [np.full(shape, 255, np.uint8) for shape in ((64, 80, 3), (40, 80, 3), (80, 20, 3))]
    black = -np.array(padded.mean) / np.array(padded.std)
    near, wide, tall = (
        np.isclose(p, black[:, None, None], atol=1e-3).all(0) for p in padded.batch(white)
    )
    assert not near.any()  # 5 : 4 exactly is let in, and its ends are cropped
    assert wide[0].all()
    assert wide[-1].all()
    assert not wide[8:-8].any()  # 40 rows of 64 hold the picture
    assert tall[:, -9:].all()
    assert not tall[:, 13:-13].any()  # 20 columns of 64: 10 of 32
    assert tall[:, :9].all()


def test_a_model_without_the_head_is_refused(tiny):
    with pytest.raises(ModelUnavailable, match="image-text-retrieval head"):
        open_encoder(f"hf:{tiny('hf_blip2', head=False)}")


def test_what_was_not_learnt_is_refused(ours):
    with pytest.raises(UsageError, match="train qformer --method dqe_cir"):
        ours.composed_vectors(pictures(1), ["red"], "dqe_cir")
    with pytest.raises(UsageError, match="2 pictures and 1 texts"):
        ours.composed_vectors(pictures(2), ["red"], "sprc")
