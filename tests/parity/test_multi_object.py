"""Fine-tuning of MaO's stage A on small models in their real format."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import UsageError
from needlepoint.picture import Picture
from needlepoint.regions.objects import Objects
from needlepoint.train.multi_object import (
    Example,
    StageA,
    allowed_pairs,
    fine_tune,
    merge,
    scene_loss,
)

pytestmark = pytest.mark.torch

MODELS = {
    "clip": ("hf_clip", {}),
    "siglip": ("hf_siglip", {}),
    "dino": ("hf_dino", {"kind": "dinov2"}),
}
SMALL = StageA(steps=12, batch=6, first=3e-3, last=1e-3, rank=8, alpha=8, dropout=0.0)


def scenes(count=6):
    """Scenes of three coloured patches each, asked for by another view of one of them."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        things = rng.integers(0, 255, (3, 3))
        crops = []
        for colour in things:
            crop = rng.integers(90, 160, (64, 64, 3)).astype(np.uint8)
            top, left = rng.integers(0, 24, 2)
            crop[top : top + 40, left : left + 40] = colour
            crops.append(crop)
        query = rng.integers(60, 190, (64, 64, 3)).astype(np.uint8)
        query[8:56, 8:56] = things[0]
        made.append(Example(crops, query))
    return made


@pytest.fixture(params=MODELS)
def folder(request, tiny):
    maker, options = MODELS[request.param]
    return tiny(maker, **options)


def test_the_loss_falls_and_only_lora_weights_are_learnt_and_kept(folder, tmp_path):
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    losses = fine_tune(folder, scenes(), tmp_path / "adapter", SMALL)
    assert len(losses) == SMALL.steps
    assert np.mean(losses[-3:]) < 0.9 * losses[0]
    learnt = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert learnt
    assert all(".lora_A." in name or ".lora_B." in name for name in learnt)
    assert all(any(part in name for part in ("q_proj", "k_proj", "v_proj")) for name in learnt)
    assert not any("text_model" in name for name in learnt)
    assert all(value.shape[0 if "lora_A" in name else 1] == 8 for name, value in learnt.items())
    assert any(value.abs().max() > 0 for name, value in learnt.items() if "lora_B" in name)
    assert before == {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}


def test_the_merged_model_opens_and_only_queries_keys_and_values_differ(folder, tmp_path):
    examples = scenes()
    fine_tune(folder, examples, tmp_path / "adapter", SMALL)
    merged = merge(folder, tmp_path / "adapter", tmp_path / "merged")
    old, new = (load_file(place / "model.safetensors") for place in (folder, merged))
    assert old.keys() == new.keys()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed
    assert all(
        name.split(".")[-2] in ("q_proj", "k_proj", "v_proj", "query", "key", "value")
        for name in changed
    )
    plain, tuned = open_encoder(f"hf:{folder}"), open_encoder(f"hf:{merged}")
    assert plain.card.weights_hash != tuned.card.weights_hash

    def loss(encoder):
        vectors = [encoder.encode_image(list(example.crops)).mean(0) for example in examples]
        means = torch.nn.functional.normalize(torch.from_numpy(np.stack(vectors)), dim=-1)
        asked = torch.from_numpy(encoder.encode_image([example.query for example in examples]))
        return float(scene_loss(means, asked, torch.ones(6, 6, dtype=torch.bool), 0.07))

    assert loss(tuned) < loss(plain)
    with pytest.raises(UsageError, match="not empty"):
        merge(folder, tmp_path / "adapter", tmp_path / "merged")


def test_the_same_seed_gives_the_same_weights(tiny, tmp_path):
    folder = tiny("hf_clip")
    short = StageA(steps=2, batch=3, rank=4, alpha=4)
    one, two = (fine_tune(folder, scenes(), tmp_path / name, short) for name in "ab")
    assert one == two
    first, second = (load_file(tmp_path / n / "adapter_model.safetensors") for n in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_loss_is_minus_the_log_of_the_right_share():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 4, 5))
    one, two = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (one, two))
    allowed = np.ones((4, 4), bool)
    allowed[0, 2] = False
    told = []
    for i in range(4):
        shares = [np.exp(one[i] @ two[j] / 0.1) for j in range(4) if allowed[i, j]]
        told.append(-np.log(np.exp(one[i] @ two[i] / 0.1) / sum(shares)))
    given = (torch.from_numpy(x) for x in (one, two, allowed))
    assert float(scene_loss(*given, 0.1)) == pytest.approx(np.mean(told))


def test_a_scene_that_shows_what_another_asks_for_is_no_negative():
    picture = pictures(1)[0]
    a = Example([picture], picture, frozenset({"cup", "dog"}), "cup")
    b = Example([picture], picture, frozenset({"dog"}), "dog")
    plain = Example([picture], picture)
    assert allowed_pairs([a, b, plain]).tolist() == [
        [True, False, True],
        [True, True, True],
        [True, True, True],
    ]


def test_crops_of_an_example_are_stage_as():
    picture = Picture.from_pixels(pictures(1)[0])
    boxes = np.float32([[10, 10, 8, 8], [60, 30, 70, 70]])
    example = Example.of(picture, Objects(boxes, np.ones(2, np.float32)), picture.pixels, 64)
    assert [crop.shape for crop in example.crops] == [(64, 64, 3), (70, 70, 3)]
    whole = Example.of(picture, Objects.none(), picture.pixels, 64)
    assert whole.crops[0] is picture.pixels


def test_the_rate_falls_to_its_floor():
    plan = StageA(first=1.0, last=0.5, fall=0.8, every=2)
    assert [round(plan.rate(i), 3) for i in range(8)] == [
        1,
        1,
        0.8,
        0.8,
        0.64,
        0.64,
        0.512,
        0.512,
    ]
    assert plan.rate(99) == 0.5


def test_what_cannot_be_learnt_is_refused(tiny, tmp_path):
    with pytest.raises(UsageError, match="do not fill a batch"):
        fine_tune(tiny("hf_clip"), scenes(2), tmp_path, SMALL)
    with pytest.raises(UsageError, match="dinov3_vit"):
        fine_tune(tiny("hf_dino", kind="dinov3_vit"), scenes(), tmp_path, SMALL)
    with pytest.raises(UsageError, match=r"no config\.json"):
        fine_tune(tmp_path, scenes(), tmp_path, SMALL)
    with pytest.raises(UsageError, match="temperature"):
        StageA(temperature=0)
