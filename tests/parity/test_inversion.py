"""Inversion against loops written from the formulas, over the libraries' own forward passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parity_kit import tensor_of
from tiny import PATCH, SIZE, WIDTH, pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.inversion import (
    Inversion,
    Patches,
    invert_pictures,
    invert_texts,
    see_patches,
)
from needlepoint.errors import UsageError

pytestmark = pytest.mark.torch

CELLS = (SIZE // PATCH) ** 2
FAMILIES = {
    "hf-clip": ("hf", "hf_clip", {}),
    "hf-siglip": ("hf", "hf_siglip", {}),
    "open_clip": ("open_clip:local-dir", "open_clip_folder", {}),
    "open_clip-siglip": ("open_clip:local-dir", "open_clip_folder", {"siglip": True}),
    "timm-registers": ("open_clip:local-dir", "open_clip_folder", {"timm": 4}),
}
FEW = Inversion(steps=6)


@pytest.fixture(params=FAMILIES)
def encoder(request, tiny):
    family, maker, options = FAMILIES[request.param]
    return open_encoder(f"{family}:{tiny(maker, **options)}")


@pytest.fixture
def clip(tiny):
    return open_encoder(f"hf:{tiny('hf_clip')}")


@pytest.fixture
def theirs(tiny):
    from transformers import AutoModel

    return AutoModel.from_pretrained(tiny("hf_clip")).eval().requires_grad_(False)


def descend(value, loss, steps, rate=0.02, decay=0.01, ema=0.0):
    """AdamW as in its paper (Loshchilov and Hutter 2019, algorithm 2), one row at a time."""
    value = value.clone()
    mean, square, kept = torch.zeros_like(value), torch.zeros_like(value), value.clone()
    for step in range(1, steps + 1):
        value.requires_grad_()
        (slope,) = torch.autograd.grad(loss(value), value)
        value = value.detach() * (1 - rate * decay)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        value -= rate * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
        kept = ema * kept + (1 - ema) * value
    return kept


def read_with(model, ids, words):
    """transformers' own text pass; ids beyond its embedding table are pseudo-words, in order."""
    table = model.text_model.embeddings.token_embedding.weight
    ids = ids.clone()
    ids[ids >= len(table)] = torch.arange(len(table), len(table) + len(words))
    made = {"model.text_model.embeddings.token_embedding.weight": torch.cat([table, words])}
    return tensor_of(torch.func.functional_call(Texts(model), made, (ids,)))


class Texts(torch.nn.Module):
    """The text side of a model as a module of its own."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        return self.model.get_text_features(input_ids=ids)


class Given(torch.nn.Module):
    """Stands where a tower cuts its patches, and gives others."""

    def __init__(self, like):
        super().__init__()
        self.weight, self.patches = like.weight, None

    def forward(self, pixels):
        side = round(self.patches.shape[1] ** 0.5)
        return self.patches.transpose(1, 2).unflatten(2, (side, side))


def start_of(encoder, vectors, words=1):
    """Where the descent begins: no step leads away from it."""
    return torch.from_numpy(
        invert_pictures(encoder, vectors, Inversion(steps=1, rate=0, words=words))
    )


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("words", [1, 2])
def test_textual_inversion_equals_the_plain_loop(clip, theirs, words, ema):
    vectors = clip.encode_image(pictures(2))
    found = invert_pictures(clip, vectors, Inversion(steps=8, words=words, ema=ema))
    for row, begun in enumerate(start_of(clip, vectors, words)):
        ids = torch.from_numpy(clip.token_ids(["a photo of " + " ".join(["dog"] * words)]))
        dog = int(clip.token_ids(["dog"])[0, 1])
        table = len(theirs.text_model.embeddings.token_embedding.weight)
        ids[ids == dog] = table
        target = torch.from_numpy(vectors[row])

        def loss(value, ids=ids, target=target):
            (read,) = read_with(theirs, ids, value)
            return 1 - torch.cosine_similarity(read, target, dim=0)

        np.testing.assert_allclose(found[row], descend(begun, loss, 8, ema=ema), atol=2e-5)


def test_visual_inversion_equals_the_plain_loop(clip, theirs):
    vectors = clip.encode_text(["a red dog", "two cats"])
    given = Given(theirs.vision_model.embeddings.patch_embedding)
    theirs.vision_model.embeddings.patch_embedding = given
    blank = torch.zeros(1, 3, SIZE, SIZE)
    found = invert_texts(clip, vectors, Inversion(steps=6, words=4))
    begun = torch.from_numpy(invert_texts(clip, vectors, Inversion(steps=1, rate=0, words=4)))
    for row, start in enumerate(begun):
        target = torch.from_numpy(vectors[row])

        def loss(value, target=target):
            given.patches = value.repeat_interleave(CELLS // 4, dim=0)[None]
            seen = tensor_of(theirs.get_image_features(pixel_values=blank))[0]
            return 1 - torch.cosine_similarity(seen, target, dim=0)

        np.testing.assert_allclose(found[row], descend(start, loss, 6), atol=2e-5)


def test_made_up_patches_are_seen_as_cut_ones(encoder):
    """Patches of a picture, taken where the tower cuts them, make the picture's own vector."""
    tower, cut = encoder.tower, []
    place = type(tower).place

    class Watched(type(tower)):
        def place(self, patches, grid):
            cut.append(patches)
            return place(self, patches, grid)

    tower.__class__ = Watched
    wanted = encoder.encode_image(pictures(2))
    (patches,) = cut
    assert patches.shape == (2, CELLS, WIDTH) == (2, CELLS, Patches(encoder).width)
    # as many as there are places: nothing is repeated
    np.testing.assert_allclose(see_patches(encoder, patches.numpy()), wanted, atol=1e-5)
    four = patches[:, [0, 5, 10, 15]]
    each = four.repeat_interleave(CELLS // 4, dim=1)
    np.testing.assert_allclose(
        see_patches(encoder, four.numpy()), see_patches(encoder, each.numpy()), atol=1e-6
    )


def test_every_family_is_inverted_and_left_as_it_was(encoder):
    modules = {id(m): m for m in vars(encoder.tower).values() if isinstance(m, torch.nn.Module)}
    modules |= {id(b): b for b in (*encoder.tower.blocks, *encoder.text.blocks)}
    before = [p.detach().clone() for m in modules.values() for p in m.parameters()]
    targets = encoder.encode_image(pictures(2))
    read = []
    for steps in (1, 40):
        words = invert_pictures(encoder, targets, Inversion(steps=steps))
        read.append((encoder.inject(["a photo of {}"] * 2, words[:, 0]) * targets).sum(1))
    texts = encoder.encode_text(["a red dog", "x"])
    seen = [
        (see_patches(encoder, invert_texts(encoder, texts, Inversion(steps=n))) * texts).sum(1)
        for n in (1, 40)
    ]
    for first, last in (read, seen):
        assert (last > first + 0.05).all(), (first, last)
    after = [p for m in modules.values() for p in m.parameters()]
    assert len(before) > 20
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, after, strict=True))


def test_the_loss_falls_on_average(clip):
    vectors = clip.encode_image(pictures(3))
    losses = [
        1 - (clip.inject(["a photo of {}"] * 3, words[:, 0]) * vectors).sum(1).mean()
        for words in (invert_pictures(clip, vectors, Inversion(steps=n)) for n in (1, 10, 20, 40))
    ]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize(
    "options",
    [
        FEW,
        Inversion(steps=6, batch=2, ema=0.5, templates=("a {}", "the {} at night", "{}")),
        Inversion(steps=6, batch=4, words=2, text_noise_std=0.1),
    ],
)
def test_an_item_alone_equals_itself_in_a_batch(clip, options):
    vectors = clip.encode_image(pictures(5))
    phrases = [[("a {} on the beach", "dog"), ("a red {}", "cat")]] * 5
    for some in ((), phrases):
        together = invert_pictures(clip, vectors, options, phrases=some)
        assert together.shape == (5, options.words, WIDTH)
        back = invert_pictures(clip, vectors[::-1], options, phrases=some)[::-1]
        alone = invert_pictures(clip, vectors[3:4], options, phrases=some[3:4])
        np.testing.assert_allclose(back, together, atol=1e-4)
        np.testing.assert_allclose(alone, together[3:4], atol=1e-4)


def test_what_is_drawn_hangs_on_seed_and_vector(clip):
    vectors = clip.encode_image(pictures(2))
    start = start_of(clip, vectors)
    assert float((start[0] - start[1]).abs().max()) > 0.01
    assert 0.015 < float(start.std()) < 0.025
    shaken = start_of(clip, 3 * vectors + np.float32(1e-9))  # neither length nor last bits
    np.testing.assert_array_equal(shaken, start)
    other = invert_pictures(clip, vectors, Inversion(steps=1, rate=0, seed=1))
    assert np.abs(other - start.numpy()).max() > 0.01


def test_settings_without_effect_are_plain_inversion(clip):
    vectors = clip.encode_image(pictures(2))
    plain = invert_pictures(clip, vectors, FEW)
    same = Inversion(steps=6, ema=0.0, text_noise_std=0.0, templates=("a photo of {}",))
    np.testing.assert_array_equal(invert_pictures(clip, vectors, same), plain)
    noisy = Inversion(steps=6, text_noise_std=0.1)
    assert np.abs(invert_pictures(clip, vectors, noisy) - plain).max() > 1e-3
    for told in ({"ema": 0.5}, {"decay": 1.0}, {"templates": ("{} at night",)}):
        assert np.abs(invert_pictures(clip, vectors, Inversion(steps=6, **told)) - plain).max() > 0


def test_phrases_draw_the_pseudo_word_to_their_word(clip):
    """With all weight on a phrase, the sentence comes to the one with the word (SEARLE)."""
    vectors = clip.encode_image(pictures(1))
    phrases = [[("a {} on the beach", "dog")]]
    wanted = clip.encode_text(["a dog on the beach"])
    found = [
        invert_pictures(clip, vectors, Inversion(steps=40, phrase_weight=weight), phrases=phrases)
        for weight in (0.0, 1e6)
    ]
    cosines = [float((clip.inject(["a {} on the beach"], f[:, 0]) * wanted).sum()) for f in found]
    assert cosines[1] > cosines[0] + 0.05
    assert cosines[1] > 0.9
    plain = invert_pictures(clip, vectors, Inversion(steps=40))
    np.testing.assert_allclose(found[0], plain, atol=1e-4)


def test_nothing_to_invert_gives_nothing(clip):
    none = np.empty((0, clip.card.dim), np.float32)
    assert invert_pictures(clip, none).shape == (0, 1, WIDTH)
    assert invert_texts(clip, none, Inversion(words=3)).shape == (0, 3, WIDTH)


def test_progress_counts_vectors(clip):
    told = []
    vectors = clip.encode_image(pictures(3))
    invert_pictures(clip, vectors, Inversion(steps=1, batch=2), progress=told.append)
    assert told == [2, 3]


def test_refusals_say_what_is_allowed(clip, tiny):
    vectors = np.ones((1, clip.card.dim), np.float32)
    for wrong, message in (
        ({"steps": 0}, "steps: must be at least 1, received 0"),
        ({"words": 0}, "words: must be"),
        ({"ema": 1.0}, "ema: must be at least 0 and below 1"),
        ({"rate": -1.0}, "rate: must be 0 or more"),
        ({"templates": ("a photo of $",)}, r"templates: each must hold \{\}"),
        ({"templates": ()}, "templates: each must hold"),
    ):
        with pytest.raises(UsageError, match=message):
            Inversion(**wrong)
    with pytest.raises(UsageError, match=r"no single token stands for each \{\}"):
        invert_pictures(clip, vectors, Inversion(templates=("one more " * 40 + "{}",)))
    with pytest.raises(UsageError, match="vectors: must be"):
        invert_pictures(clip, vectors[:, :3])
    with pytest.raises(UsageError, match="1 lists for 2"):
        invert_pictures(clip, np.repeat(vectors, 2, 0), phrases=[[("a {}", "dog")]])
    with pytest.raises(UsageError, match="at least one"):
        invert_pictures(clip, vectors, phrases=[[]])
    with pytest.raises(UsageError, match=f"received {CELLS + 1}, allowed are 1 … {CELLS}"):
        invert_texts(clip, vectors, Inversion(words=CELLS + 1))
    dino = open_encoder(f"hf:{tiny('hf_dino', kind='dinov2')}")
    looks = np.ones((1, dino.card.dim), np.float32)
    with pytest.raises(UsageError, match="cannot be given pseudo-words"):
        invert_pictures(dino, looks)
    with pytest.raises(UsageError, match="cannot be given made-up patches"):
        invert_texts(dino, looks)
