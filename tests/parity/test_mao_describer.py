"""MaO as a method: what is kept of a picture, and that questions never see stage B."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from slow_mao import Slow, refine
from tiny import pictures

from needlepoint.bench.metrics import average_precision, rank_by_score
from needlepoint.bench.needle.masks import encode
from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.encoders.last_block import LastBlocks
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.errors import UsageError
from needlepoint.methods.card import describer_of, find_method
from needlepoint.methods.fine_grained.mao import read, views
from needlepoint.picture import Facts, Picture
from needlepoint.regions import relevance as stage_b
from needlepoint.regions.crops import ReleasedCrops
from needlepoint.regions.objects import Objects
from needlepoint.regions.relevance import Aim, Refinement

pytestmark = pytest.mark.torch

MODELS = {"clip": ("hf_clip", {}), "siglip": ("hf_siglip", {})}
MODELS |= {"dino": ("hf_dino", {"kind": "dinov2_with_registers"})}


@pytest.fixture(params=MODELS, scope="module")
def encoder(request, tiny):
    maker, options = MODELS[request.param]
    return open_encoder(f"hf:{tiny(maker, **options)}")


@pytest.fixture(scope="module")
def clip(tiny):
    return open_encoder(f"hf:{tiny('hf_clip')}")


BLOBS = [(20, 20, 18, 14), (60, 30, 30, 30), (5, 40, 9, 9)]


def objects_in(height, width, boxes=BLOBS):
    """Ellipses in boxes, as masks and boxes."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    masks = [
        ((x - left - w / 2) / (w / 2)) ** 2 + ((y - top - h / 2) / (h / 2)) ** 2 < 1
        for left, top, w, h in boxes
    ]
    return Objects(np.float32(boxes).reshape(-1, 4), np.ones(len(boxes), np.float32), masks)


def picture(number=0, name="a.png"):
    pixels = pictures(5)[number]
    return Picture(pixels, Facts(pixels.shape[1], pixels.shape[0], "png"), name)


class Told:
    """A source of objects that says what it was told."""

    name = "told"

    def __init__(self, *found):
        self.found = found

    def find(self, encoder, pictures):
        return [self.found[i % len(self.found)] for i in range(len(pictures))]


def describe(encoder, options, pictures, *found):
    describer = describer_of(f"mao:objects=windows:4,{options}".rstrip(","))
    describer.source = Told(*found)
    return [rows[0] for rows in describer.describe(encoder, pictures)]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def crops_of(shot, found, encoder, options=""):
    return views(shot, found, read(options), encoder.card)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_joint_keeps_one_unit_vector_and_per_crop_one_an_object(encoder, count):
    shot, found = picture(), objects_in(80, 121, BLOBS[:count])
    (joint,) = describe(encoder, "steps=3", [shot], found)
    assert joint.whole.shape == (encoder.card.dim,)
    assert joint.regions.shape == (0, encoder.card.dim)
    np.testing.assert_allclose(np.linalg.norm(joint.whole), 1, atol=1e-6)
    (many,) = describe(encoder, "steps=3,tokens=per-crop", [shot], found)
    assert many.regions.shape == (count, encoder.card.dim)
    np.testing.assert_allclose(np.linalg.norm(many.regions, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(many.boxes, BLOBS[:count])
    np.testing.assert_array_equal(many.whole, many.regions[0])  # the best of all is of tokens
    (averaged,) = describe(encoder, "steps=3,tokens=averaged", [shot], found)
    np.testing.assert_allclose(averaged.whole, unit(many.regions.mean(0)), atol=1e-6)
    assert not len(averaged.regions)
    if count == 1:
        np.testing.assert_allclose(joint.whole, many.whole, atol=1e-6)
    else:
        assert np.abs(joint.whole - averaged.whole).max() > 1e-3


def test_no_steps_give_the_mean_of_raw_vectors_which_is_stage_a(encoder):
    shot, found = picture(), objects_in(80, 121)
    (none,) = describe(encoder, "steps=0", [shot], found)
    (mean,) = describe(encoder, "stage=a", [shot], found)
    seen = crops_of(shot, found, encoder)
    raw = LastBlocks(encoder).vectors(seen.crops).numpy()
    np.testing.assert_allclose(none.whole, unit(raw.mean(0)), atol=1e-6)
    np.testing.assert_allclose(mean.whole, none.whole, atol=1e-6)
    lengths = np.linalg.norm(raw, axis=1)
    assert lengths.max() / lengths.min() > 1.001  # so the mean of unit vectors is another
    (each,) = describe(encoder, "stage=a,tokens=per-crop", [shot], found)
    np.testing.assert_allclose(each.regions, unit(raw), atol=1e-6)


def test_a_large_alpha_keeps_the_direction_of_the_crops(encoder):
    shot, found = picture(), objects_in(80, 121)
    (mean,) = describe(encoder, "steps=0", [shot], found)
    (held,) = describe(encoder, "alpha=1e6", [shot], found)
    (free,) = describe(encoder, "alpha=0", [shot], found)
    assert held.whole @ mean.whole > 0.99
    assert free.whole @ mean.whole < held.whole @ mean.whole
    (one,) = describe(encoder, "alpha=1e6", [shot], objects_in(80, 121, BLOBS[:1]))
    (start,) = describe(encoder, "steps=0", [shot], objects_in(80, 121, BLOBS[:1]))
    assert one.whole @ start.whole > 0.999


@pytest.mark.parametrize("tokens", ["joint", "per-crop"])
def test_neither_order_nor_company_changes_a_token(encoder, tokens):
    """In float64: float32 noise grows over steps at this rate."""
    shots, found = [picture(0), picture(3)], [objects_in(80, 121), objects_in(150, 70, BLOBS[:2])]
    seen = [crops_of(s, f, encoder) for s, f in zip(shots, found, strict=True)]
    reader = LastBlocks(encoder, double=True)
    joint = tokens == "joint"

    def run(views, owner, count):
        crops = [crop for crop, _ in views]
        block = reader.read(crops)
        aim = Aim.at(block, [mask for _, mask in views])
        told = Refinement(block, aim, torch.tensor(owner), torch.tensor(count), 0.03)
        return told.run(10, 0.1).numpy()

    pairs = [list(zip(v.crops, v.masks, strict=True)) for v in seen]
    alone = [
        run(some, [0] * len(some) if joint else list(range(len(some))),
            [len(some)] * (1 if joint else len(some)))
        for some in pairs
    ]  # fmt: skip
    owner, count = ([0, 0, 0, 1, 1], [3, 2]) if joint else (list(range(5)), [3, 3, 3, 2, 2])
    together = run(pairs[0] + pairs[1], owner, count)
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)
    turned = run(pairs[0][::-1], [0, 0, 0] if joint else [2, 1, 0], [3] * (1 if joint else 3))
    np.testing.assert_allclose(turned, alone[0], atol=1e-6)


def test_nothing_depends_on_the_other_pictures(clip):
    shots, found = [picture(0), picture(3)], [objects_in(80, 121), objects_in(150, 70, BLOBS[:2])]
    together = describe(clip, "steps=2", shots, *found)
    for shot, one, kept in zip(shots, found, together, strict=True):
        np.testing.assert_array_equal(describe(clip, "steps=2", [shot], one)[0].whole, kept.whole)


def test_without_objects_the_plain_vector_is_kept(encoder):
    shot = picture()
    for options in ("", "stage=a", "tokens=per-crop", "crops=whole"):
        (kept,) = describe(encoder, options, [shot], Objects.none())
        np.testing.assert_allclose(kept.whole, encoder.encode_image([shot.pixels])[0], atol=1e-6)
        assert not len(kept.regions)


def test_released_mode_refines_a_picture_without_objects_against_all_of_it(clip):
    shot = picture()
    (kept,) = describe(clip, "mode=released,steps=2", [shot], Objects.none())
    assert kept.regions.shape == (1, clip.card.dim)
    np.testing.assert_array_equal(kept.boxes, [[0, 0, 121, 80]])
    assert kept.whole @ clip.encode_image([shot.pixels])[0] < 0.9999


@pytest.mark.parametrize("mode", ["reference", "released"])
def test_modes_do_what_their_slow_statements_do(encoder, mode):
    """From the picture to what is stored, with three steps of autograd on the same crops."""
    shot, found = picture(), objects_in(80, 121)
    kind, released = encoder.card.family, mode == "released"
    family = {"clip": "hf-clip", "siglip": "siglip-mean" if released else "siglip-head"}.get(
        kind, "dinov2-registers"
    )
    (kept,) = describe(encoder, f"mode={mode},steps=3", [shot], found)
    seen = crops_of(shot, found, encoder, f"mode={mode}")
    squeeze = Preprocess(64, "squash", "bicubic", encoder.preprocess.mean, encoder.preprocess.std)
    slow = Slow(family, encoder, torch.from_numpy(squeeze.batch(seen.crops)), torch.float64)
    how = (
        {"overlap": "dice", "normal": "batch"} if released else {"overlap": "iou", "normal": "crop"}
    )
    floor = 1e-6 if kind == "clip" or not released else None
    owner = torch.arange(3) if released else torch.zeros(3, dtype=torch.long)
    masks = torch.from_numpy(np.stack(seen.masks)).double()
    theirs, _ = refine(slow, masks, owner, 3, alpha=0.03, floor=floor, **how)
    ours = kept.regions if released else kept.whole[None]
    np.testing.assert_allclose(ours, theirs, atol=5e-4)
    if released:
        np.testing.assert_array_equal(kept.boxes, BLOBS)
        filter_, share = (
            (Image.Resampling.LANCZOS, 0.1)
            if kind.startswith("dino")
            else (Image.Resampling.BILINEAR, 0.0)
        )
        how_cut = ReleasedCrops(64, filter_, share, 0 if share else 5)
        for ours, theirs in zip(seen.crops, how_cut.cut(shot.pixels, found.masks), strict=True):
            np.testing.assert_array_equal(ours, theirs[0])


def test_an_object_without_pixels_is_skipped_with_its_box(clip):
    shot, found = picture(), objects_in(80, 121)
    blank = [found.masks[0], np.zeros((80, 121), bool), found.masks[2]]
    holed = Objects(found.boxes, found.scores, blank)
    (kept,) = describe(clip, "steps=1,tokens=per-crop", [shot], holed)
    np.testing.assert_array_equal(kept.boxes, [BLOBS[0], BLOBS[2]])
    two = objects_in(80, 121, [BLOBS[0], BLOBS[2]])
    (joint,), (plain,) = (describe(clip, "steps=1", [shot], one) for one in (holed, two))
    np.testing.assert_allclose(joint.whole, plain.whole, atol=1e-6)


def test_boxes_serve_as_masks_where_asked_or_where_there_are_none(clip):
    shot, found = picture(), objects_in(80, 121)
    bare = Objects(found.boxes, found.scores)
    boxes, masks = crops_of(shot, found, clip, "shape=box"), crops_of(shot, found, clip)
    for one, two in zip(boxes.masks, crops_of(shot, bare, clip).masks, strict=True):
        np.testing.assert_array_equal(one, two)
    assert [m.sum() for m in boxes.masks] > [m.sum() for m in masks.masks]


def test_crops_are_not_enlarged_and_masks_lie_on_their_objects(clip):
    shot, found = picture(), objects_in(80, 121)
    seen = crops_of(shot, found, clip)
    assert [crop.shape for crop in seen.crops] == [(64, 64, 3)] * 3
    for crop, mask, whole in zip(seen.crops, seen.masks, found.masks, strict=True):
        assert mask.sum() == whole.sum()
        places = np.argwhere((shot.pixels[None] == crop[mask][0]).all(-1)[0])
        assert any(whole[y, x] for y, x in places)
    large = crops_of(shot, found, clip, "min_side=80")
    assert [crop.shape for crop in large.crops] == [(80, 80, 3)] * 3


def test_the_whole_picture_is_one_view_against_the_union_of_masks(clip):
    shot, found = picture(), objects_in(80, 121)
    seen = crops_of(shot, found, clip, "crops=whole")
    assert len(seen.crops) == 1
    union = np.logical_or.reduce(found.masks)
    np.testing.assert_allclose(seen.masks[0].mean(), union.mean(), atol=0.01)
    (kept,) = describe(clip, "crops=whole,steps=2", [shot], found)
    assert not len(kept.regions)


def test_a_smaller_decoded_picture_keeps_boxes_in_original_pixels(clip):
    shot = Picture(pictures(1)[0], Facts(242, 160, "png"), "a.png")
    found = objects_in(80, 121)
    doubled = Objects(found.boxes * 2, found.scores, found.masks)
    (kept,) = describe(clip, "steps=1,tokens=per-crop", [shot], doubled)
    np.testing.assert_allclose(kept.boxes, np.float32(BLOBS) * 2)


def test_annotations_are_looked_at_only_where_they_are_named(clip, tmp_path):
    shot = picture()
    found = objects_in(80, 121)
    rows = [
        {"image_id": 1, "bbox": list(box), "segmentation": {"counts": encode(mask)}}
        for box, mask in zip(BLOBS, found.masks, strict=True)
    ]
    told = {"images": [{"id": 1, "file_name": "a.png", "width": 121, "height": 80}]}
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({**told, "annotations": rows}))
    recipe = f"mao:objects=annotations:{path},steps=1"
    ((kept,),) = describer_of(recipe).describe(clip, [shot])
    (same,) = describe(clip, "steps=1", [shot], found)
    np.testing.assert_array_equal(kept.whole, same.whole)
    assert describer_of(recipe).recipe == f"mao:objects=annotations:{path},steps=1"
    assert "annotations" not in describer_of("mao").recipe


def test_questions_never_go_through_stage_b(clip, monkeypatch):
    method = find_method("mao")
    assert method.asks is None  # words and pictures are asked by the encoder alone

    def never(*args, **options):
        raise AssertionError("stage B was run")

    monkeypatch.setattr(stage_b.Refinement, "run", never)
    with pytest.raises(AssertionError, match="stage B"):
        describe(clip, "", [picture()], objects_in(80, 121))
    assert clip.encode_image([picture().pixels]).shape == (1, clip.card.dim)
    assert clip.encode_text(["a photo of a dog"]).shape == (1, clip.card.dim)


@pytest.mark.parametrize("options", ["steps=1", "steps=1,tokens=per-crop", "mode=released,steps=1"])
def test_pictures_are_ranked_once_whatever_is_kept_of_them(clip, options):
    """Average precision is over pictures: a picture with many entries counts once."""
    shots = [picture(i) for i in (0, 1, 3, 4)]
    sides = [shot.pixels.shape[:2] for shot in shots]
    found = [objects_in(*side, [(20, 20, 18, 14), (5, 40, 9, 9)]) for side in sides]
    kept = describe(clip, options, shots, *found)
    asked = clip.encode_image([shots[0].pixels[18:36, 18:40]])
    whole = np.stack([one.whole for one in kept]) @ asked.T
    best = np.array([[(one.regions @ asked[0]).max(initial=-np.inf)] for one in kept])
    fusion = find_method("mao").fusion(options, clip.card)
    scores = fusion.combine(whole.T, best.T.astype(np.float32))
    assert scores.shape == (1, len(shots))
    every = np.concatenate([np.concatenate([one.whole[None], one.regions]) for one in kept])
    assert scores.max() == pytest.approx((every @ asked[0]).max(), abs=1e-6)
    ranking = rank_by_score(scores[0], range(len(shots)))
    assert sorted(ranking) == list(range(len(shots)))
    second = ranking[1]
    assert average_precision(ranking, {second}) == 0.5  # however many entries the first one has
    entries = [i for i in ranking for _ in range(1 + len(kept[i].regions))]
    if len(entries) > len(ranking):
        with pytest.raises(UsageError, match="same id twice"):
            average_precision(entries, {second})


def test_stage_b_needs_a_transformer_and_stage_a_does_not():
    encoder, shot = BuiltinEncoder(threads=1), picture()
    found = objects_in(80, 121)
    with pytest.raises(UsageError, match="mao:stage=a"):
        describe(encoder, "", [shot], found)
    with pytest.raises(UsageError, match="mao:stage=a"):
        describer_of("mao").side(encoder.card)
    describer = describer_of("mao:stage=a,objects=windows:4")
    (rows,) = describer.describe(encoder, [shot])
    assert [row.space for row in rows] == [space.name for space in encoder.card.spaces]
    assert all(not len(row.regions) for row in rows)


def test_a_pooling_head_is_only_there_where_it_is(clip):
    with pytest.raises(UsageError, match="no attention-pooling head"):
        describe(clip, "layer=head", [picture()], objects_in(80, 121))


@pytest.mark.parametrize("options", ["steps=-1", "steps=x", "alpha=-1", "lr=0", "loss=ce"])
def test_wrong_options_are_refused(options):
    with pytest.raises(UsageError, match=options.split("=", maxsplit=1)[0]):
        read(options)


def test_half_precision_weights_give_nearly_the_same(encoder):
    half = open_encoder(f"{encoder.card.address}+bf16")
    assert half.card.extra["precision"] == "bf16"
    shot, found = picture(), objects_in(80, 121)
    for steps, near in ((0, 0.999), (1, 0.99)):
        (full,) = describe(encoder, f"steps={steps}", [shot], found)
        (kept,) = describe(half, f"steps={steps}", [shot], found)
        assert full.whole @ kept.whole > near
