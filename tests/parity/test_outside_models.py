"""Captions from a tiny BLIP, and named boxes from a tiny OWLv2, saved as transformers does."""

from __future__ import annotations

import numpy as np
import pytest
import transformers
from safetensors.torch import load_file, save_file
from tiny import clip_tokenizer, shake

from needlepoint.errors import ModelUnavailable
from needlepoint.outside.captioner import BlipCaptioner
from needlepoint.outside.labels import OwlThings
from needlepoint.picture import Picture

pytestmark = pytest.mark.torch


def picture(seed=0, size=(48, 64)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Picture.from_pixels(pixels)


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    """A random BLIP of a few thousand weights, saved as transformers does."""
    folder = tmp_path_factory.mktemp("blip")
    words = [
        *("a", "an", "photo", "of", "the", "dog", "cat", "on", "red", "blue", "in", "with"),
        *("and", "beach", "grass"),
    ]
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join(marks + words))
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    count = len(tokenizer)  # the marks of decoder and encoder come after it, as in BLIP's files
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    small["num_attention_heads"] = 2
    config = transformers.BlipConfig(
        text_config={
            **small, "vocab_size": count + 2, "bos_token_id": count, "pad_token_id": 0,
            "sep_token_id": 3, "eos_token_id": 3, "encoder_hidden_size": 32,
            "max_position_embeddings": 64,
        },
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )  # fmt: skip
    shake(transformers.BlipForConditionalGeneration(config)).save_pretrained(folder)
    image = transformers.BlipImageProcessor(size={"height": 32, "width": 32})
    transformers.BlipProcessor(image, tokenizer).save_pretrained(folder)
    return folder


def test_blip_continues_the_prompt_and_repeats_itself(blip):
    captioner = BlipCaptioner(blip, words=5)
    prompts = ["a photo of a dog", "a photo of a cat"]
    pictures = [picture(seed=1), picture(seed=2)]
    first = captioner.caption(pictures, prompts)
    for text, prompt in zip(first, prompts, strict=True):
        assert text.startswith(prompt)
        assert text.count(prompt) == 1
    assert captioner.caption(pictures, prompts) == first
    assert captioner.caption(pictures[::-1], prompts[::-1]) == first[::-1]
    assert captioner.name == f"blip:{blip.name} greedy words=5"


def test_blip_looks_at_the_picture(blip):
    captioner = BlipCaptioner(blip, words=12)
    texts = captioner.caption([picture(seed=seed) for seed in range(8)], ["a photo of"] * 8)
    assert len(set(texts)) > 1


def test_weights_that_do_not_fill_the_model_are_refused(blip, tmp_path):
    for file in blip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    held = load_file(tmp_path / "model.safetensors")
    held.pop(next(name for name in held if "vision" in name))
    save_file(held, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="lack 1 tensors"):
        BlipCaptioner(tmp_path)


@pytest.fixture(scope="module")
def owl(tmp_path_factory):
    """A random OWLv2 with CLIP's tokenizer files of the smallest kind."""
    folder = tmp_path_factory.mktemp("owl")
    count = clip_tokenizer(folder, 16)
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    small["num_attention_heads"] = 2
    config = transformers.Owlv2Config(
        text_config={
            **small, "vocab_size": count, "max_position_embeddings": 16,
            "pad_token_id": count - 1, "bos_token_id": count - 2, "eos_token_id": count - 1,
        },
        vision_config={**small, "image_size": 64, "patch_size": 16},
        projection_dim=32,
    )  # fmt: skip
    shake(transformers.Owlv2ForObjectDetection(config)).save_pretrained(folder)
    tokenizer = transformers.CLIPTokenizerFast.from_pretrained(folder)
    image = transformers.Owlv2ImageProcessor(size={"height": 64, "width": 64})
    transformers.Owlv2Processor(image, tokenizer).save_pretrained(folder)
    return folder


def test_owl_gives_named_boxes_within_the_picture(owl):
    detector = OwlThings(owl, ["dog", " red cat "], least_score=0.0)
    first, second = detector.detect([picture(seed=1), picture(seed=2, size=(90, 40))])
    assert len(first) == len(second) == 16  # one a patch of 16 in 64 pixels
    assert {thing.label for thing in first + second} <= {"dog", "red cat"}
    for things, (height, width) in ((first, (48, 64)), (second, (90, 40))):
        for thing in things:
            x, y, w, h = thing.box
            assert 0 <= x <= x + w <= width + 1e-3
            assert 0 <= y <= y + h <= height + 1e-3
        assert [t.score for t in things] == sorted((t.score for t in things), reverse=True)
    assert detector.detect([picture(seed=2, size=(90, 40))]) == [second]


def test_owl_keeps_what_reaches_the_least_score(owl):
    every = OwlThings(owl, ["dog", "cat"], least_score=0.0).detect([picture(seed=3)])[0]
    middle = sorted(thing.score for thing in every)[8]
    some = OwlThings(owl, ["dog", "cat"], least_score=middle).detect([picture(seed=3)])[0]
    assert some == [thing for thing in every if thing.score > middle]


def test_owl_boxes_and_scores_are_those_of_the_padded_square(owl):
    """Box times the longer side, cut to the picture; score: sigmoid of the best class."""
    import torch

    shown = picture(seed=4, size=(40, 70))
    processor = transformers.AutoProcessor.from_pretrained(owl)
    model = transformers.Owlv2ForObjectDetection.from_pretrained(owl).eval()
    texts = [["a photo of a dog", "a photo of a cat"]]
    with torch.inference_mode():
        out = model(**processor(text=texts, images=shown.pixels, return_tensors="pt"))
    expected = []
    for logits, (cx, cy, w, h) in zip(out.logits[0], out.pred_boxes[0].tolist(), strict=True):
        corners = 70 * np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
        x1, y1, x2, y2 = np.clip(corners, 0, [70, 40, 70, 40])
        score = float(torch.sigmoid(logits.max()))
        expected.append((score, int(logits.argmax()), x1, y1, x2 - x1, y2 - y1))
    (found,) = OwlThings(owl, ["dog", "cat"], least_score=0.0).detect([shown])
    told = [(t.score, ["dog", "cat"].index(t.label), *t.box) for t in found]
    np.testing.assert_allclose(sorted(told), sorted(expected), rtol=1e-4, atol=1e-3)
