"""OWLv2 and SAM from folders against what transformers' own forward and processors say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import pictures, shake

from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.methods.objects import OVERLAP, THRESHOLD, open_objects
from needlepoint.outside.detector import OwlDetector
from needlepoint.outside.segmenter import SamSegmenter
from needlepoint.picture import Facts, Picture

pytestmark = pytest.mark.torch

TALL, WIDE = pictures(4)[3], pictures(1)[0]  # 70 x 150 and 121 x 80 pixels (width x height)


@pytest.fixture(scope="module")
def owl(tmp_path_factory):
    import transformers

    folder = tmp_path_factory.mktemp("owl")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    small |= {"num_attention_heads": 2}
    config = transformers.Owlv2Config(
        text_config={**small, "vocab_size": 50, "max_position_embeddings": 16},
        vision_config={**small, "image_size": 96, "patch_size": 16},
        projection_dim=32,
    )
    shake(transformers.Owlv2ForObjectDetection(config)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    import transformers

    folder = tmp_path_factory.mktemp("sam")
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 64, "patch_size": 8, "mlp_dim": 64,
            "window_size": 4, "global_attn_indexes": [1], "num_pos_feats": 8,
        },
        prompt_encoder_config={
            "hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4,
        },
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    shake(transformers.SamModel(config)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("picture", [TALL, WIDE], ids=["tall", "wide"])
def test_boxes_of_pictures_that_are_not_square_count_both_axes_by_the_longer_side(owl, picture):
    """The model's own forward and its processor's corners, on the same padded square."""
    import transformers

    detector = OwlDetector(str(owl))
    found = detector.detect(picture)
    theirs = transformers.Owlv2ForObjectDetection.from_pretrained(owl).eval()
    seen = detector.prepare(picture)
    words = torch.tensor([[1, 2, 3] + [0] * 13])
    with torch.inference_mode():
        told = theirs(input_ids=words, pixel_values=seen, attention_mask=(words > 0).long())
    longer = max(picture.shape[:2])
    x, y, w, h = (told.pred_boxes[0] * longer).unbind(-1)
    expected = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1).numpy()
    np.testing.assert_allclose(found.boxes, expected, atol=1e-3)
    np.testing.assert_allclose(found.scores, told.objectness_logits[0].sigmoid(), atol=1e-5)
    assert len(found.boxes) == 36


def test_the_picture_is_padded_at_the_bottom_and_right(owl):
    detector = OwlDetector(str(owl))
    seen = detector.prepare(np.full((40, 96, 3), 255, np.uint8))[0].numpy()
    assert seen.shape == (3, 96, 96)
    assert (seen[:, :40] == seen[:, :1, :1]).all()
    grey = seen[:, 45:]
    assert (grey == grey[:, :1, :1]).all()
    assert (grey[:, 0, 0] < seen[:, 0, 0]).all()


def test_boxes_and_scores_belong_together_after_suppression(owl):
    source = open_objects(f"owlv2:{owl}")
    (found,) = source.find(None, [Picture.from_pixels(WIDE)])
    raw = OwlDetector(str(owl)).detect(WIDE)
    corners = np.clip(raw.boxes.astype(int), 0, [121, 80, 121, 80])
    assert 0 < len(found.boxes) < len(raw.boxes)
    kept = []
    for box, score in zip(found.boxes, found.scores, strict=True):
        x, y, w, h = box
        (place,) = np.flatnonzero((corners == [x, y, x + w, y + h]).all(1) & (raw.scores == score))
        kept.append(place)
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() > THRESHOLD

    def overlap(a, b):
        low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
        common = np.maximum(high - low, 0).prod()
        return common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common)

    for place in range(len(raw.boxes)):
        box = corners[place]
        if place in kept or raw.scores[place] <= THRESHOLD or (box[2:] <= box[:2]).any():
            continue
        better = [k for k in kept if raw.scores[k] >= raw.scores[place]]
        assert max(overlap(box, corners[k]) for k in better) > OVERLAP


def test_boxes_of_a_picture_read_smaller_are_in_original_pixels(owl):
    source = open_objects(f"owlv2:{owl}")
    small = Picture(WIDE, Facts(242, 240, "png"), "a.png")  # twice as wide, three times as high
    (found,), (plain,) = source.find(None, [small]), source.find(None, [Picture.from_pixels(WIDE)])
    np.testing.assert_allclose(found.boxes, plain.boxes * [2, 3, 2, 3])


@pytest.mark.parametrize("picture", [TALL, WIDE], ids=["tall", "wide"])
def test_masks_equal_the_processors_own(sam, picture):
    import transformers

    boxes = np.float32([[5, 10, 60, 70], [20, 5, 50, 40], [0, 0, 69, 79]])
    segmenter = SamSegmenter(str(sam))
    ours = segmenter.segment(picture, boxes)
    assert [mask.shape for mask in ours] == [picture.shape[:2]] * 3
    assert {mask.dtype for mask in ours} == {np.dtype(bool)}
    processor = transformers.SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}
    )
    height, width = picture.shape[:2]
    rows, cols = processor._get_preprocess_shape((height, width), 64)
    theirs = transformers.SamModel.from_pretrained(sam).eval()
    pixels = processor(images=[picture], return_tensors="pt")["pixel_values"]
    np.testing.assert_allclose(segmenter.prepare(picture), pixels, atol=1e-5)
    prompts = torch.from_numpy(boxes * np.float32([cols / width, rows / height] * 2))[None]
    with torch.inference_mode():
        told = theirs(pixel_values=pixels, input_boxes=prompts, multimask_output=False)
    (masks,) = processor.post_process_masks(told.pred_masks, [(height, width)], [(rows, cols)])
    for one, other in zip(ours, masks[:, 0].numpy(), strict=True):
        assert (one != other).mean() < 1e-3
    assert 0 < np.mean(ours) < 1


def test_detector_and_segmenter_together(owl, sam):
    source = open_objects(f"owlv2:{owl}+sam:{sam}")
    assert source.name == f"owlv2:{owl}+sam:{sam}"
    (found,) = source.find(None, [Picture.from_pixels(TALL)])
    assert len(found.masks) == len(found.boxes) > 0
    assert found.masks[0].shape == TALL.shape[:2]


def test_missing_files_are_named(tmp_path, sam):
    with pytest.raises(ModelUnavailable, match=r"config\.json and model\.safetensors or"):
        open_objects(f"owlv2:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "owlv2"}')
    with pytest.raises(ModelUnavailable, match=r"put model\.safetensors or"):
        open_objects(f"owlv2:{tmp_path}")
    with pytest.raises(UsageError, match="'sam'"):
        open_objects(f"owlv2:{sam}")
