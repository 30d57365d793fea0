"""Sentences with pseudo-words against the encoders' own reading of the same words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.slots import Slots
from needlepoint.errors import UsageError

pytestmark = pytest.mark.torch

NEAR = 2e-5


@pytest.fixture(params=["hf:hf_clip", "hf:hf_siglip", "open_clip:local-dir:open_clip_folder"])
def encoder(request, tiny):
    family, _, maker = request.param.rpartition(":")
    return open_encoder(f"{family}:{tiny(maker)}")


def test_a_beginning_is_read_once_and_changes_nothing(encoder):
    """Sentences that begin alike, unlike, and as before: each as its words are."""
    slots = Slots(encoder)
    dog, cat = slots.token_vectors(["dog", "cat"])
    for texts in (
        ["a photo of {}", "a photo of {} at night", "a photo of two {}"],
        ["a photo of {}", "the {}"],
        ["a photo of {} at night"],
        ["{} at night", "{}"],
    ):
        found = slots.fill(texts, torch.stack([dog, cat, dog][: len(texts)]))
        words = zip(texts, ("dog", "cat", "dog"), strict=False)
        wanted = raw(encoder, [text.replace("{}", word) for text, word in words])
        np.testing.assert_allclose(found, wanted, atol=NEAR)


def raw(encoder, texts):
    found = encoder.text_features(texts, want=frozenset({"length"}))
    return found.vector * found.length[:, None]


def test_a_words_own_vector_in_its_slot_reads_as_the_word(encoder):
    slots = Slots(encoder)
    assert (slots.width, slots.dim) == (64, encoder.card.dim)
    dog, cat = slots.token_vectors(["dog", "cat"])
    found = slots.fill(["a {} on a {}", "two {} and one {}"], torch.stack([dog, cat]))
    wanted = raw(encoder, ["a dog on a dog", "two cat and one cat"])
    np.testing.assert_allclose(found.detach(), wanted, atol=NEAR)
    pair = torch.stack([dog, cat])[None]
    found = slots.fill(["a {} on a {}"], pair)
    np.testing.assert_allclose(found, raw(encoder, ["a dog on a cat"]), atol=NEAR)
    swapped = slots.fill(["a {} on a {}"], pair.flip(1))
    np.testing.assert_allclose(swapped, raw(encoder, ["a cat on a dog"]), atol=NEAR)
    np.testing.assert_allclose(slots.read(["a dog"]), raw(encoder, ["a dog"]), atol=NEAR)
    both = encoder.inject(["a {} on a {}"], pair.numpy())
    np.testing.assert_allclose(both, encoder.encode_text(["a dog on a cat"]), atol=NEAR)
    ready = encoder.inject(["a {} on a {}"], dog[None].numpy())
    lengths = np.linalg.norm(raw(encoder, ["a dog on a dog"]))
    np.testing.assert_allclose(ready * lengths, raw(encoder, ["a dog on a dog"]), atol=NEAR)


def test_an_appended_word_moves_the_end_on(tiny):
    encoder = open_encoder(f"hf:{tiny('hf_clip')}")
    slots = Slots(encoder)
    words = slots.token_vectors(["dog", "cat"])
    found = slots.append(["a photo of", "one"], words)
    np.testing.assert_allclose(found, raw(encoder, ["a photo of dog", "one cat"]), atol=NEAR)


def test_gradients_reach_the_pseudo_word_and_nothing_else(encoder):
    slots = Slots(encoder)
    vector = slots.token_vectors(["dog"]).clone().requires_grad_()
    slots.fill(["a photo of {}"], vector).square().sum().backward()
    assert float(vector.grad.abs().max()) > 0
    assert not any(p.requires_grad for block in encoder.text.blocks for p in block.parameters())


def test_wrong_sentences_and_shapes_say_what_is_needed(encoder):
    slots = Slots(encoder)
    with pytest.raises(UsageError, match="at least once"):
        slots.fill(["no slot"], torch.zeros(1, 64))
    with pytest.raises(UsageError, match=r"received \[1, 3\]"):
        slots.fill(["a {}"], torch.zeros(1, 3))
    with pytest.raises(UsageError, match=r"S = 1 slots, received \[1, 2, 64\]"):
        slots.fill(["a {}"], torch.zeros(1, 2, 64))
    with pytest.raises(UsageError, match="keep the text within"):
        slots.fill([" ".join(["dog"] * 200) + " {}"], torch.zeros(1, 64))
    with pytest.raises(UsageError, match="ability inject"):
        Slots(open_encoder("builtin"))
