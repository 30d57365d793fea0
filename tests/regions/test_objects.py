"""Objects of a picture from windows and from annotation files, and masks as files write them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from needlepoint.bench.needle.masks import encode
from needlepoint.errors import UsageError
from needlepoint.methods.objects import open_objects
from needlepoint.picture import Facts, Picture
from needlepoint.regions.masks import draw_polygons, read_segmentation, resize_mask
from needlepoint.regions.objects import Objects, box_mask

W, H = 40, 20


def picture(source="folder/a.png", scale=1):
    pixels = np.zeros((H // scale, W // scale, 3), np.uint8)
    return Picture(pixels, Facts(W, H, "png"), source)


def a_mask(seed=0):
    return np.random.default_rng(seed).random((H, W)) > 0.6


def coco(tmp_path, annotations, images=None):
    images = images or [{"id": 7, "file_name": "a.png", "width": W, "height": H}]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return open_objects(f"annotations:{path}")


def test_runs_of_both_spellings_give_the_mask_back():
    mask = a_mask()
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int)))
    runs = np.diff([0, *edges, flat.size]).tolist()
    for told in ({"counts": runs, "size": [H, W]}, {"counts": encode(mask)}, encode(mask)):
        np.testing.assert_array_equal(read_segmentation(told, W, H), mask)


def test_runs_that_do_not_cover_the_picture_are_refused():
    with pytest.raises(UsageError, match="add up to 4"):
        read_segmentation({"counts": [2, 2]}, W, H)
    with pytest.raises(UsageError, match="2 x 2"):
        read_segmentation({"counts": [2, 2], "size": [2, 2]}, W, H)


def test_polygons_fill_their_inside_and_add_up():
    mask = draw_polygons([[2, 2, 10, 2, 10, 8, 2, 8], [20, 5, 30, 5, 25, 15]], W, H)
    assert mask[3:8, 3:10].all()
    assert mask[6, 25]
    assert not mask[:2].any()
    assert not mask[:, 12:19].any()


def test_a_smaller_mask_takes_the_nearest_pixel():
    mask = a_mask()
    half = resize_mask(mask, W // 2, H // 2)
    np.testing.assert_array_equal(half, mask[1::2, 1::2])
    np.testing.assert_array_equal(resize_mask(half, W, H), half.repeat(2, 0).repeat(2, 1))


def test_windows_are_in_original_pixels_whatever_the_working_scale():
    source = open_objects("windows:9")
    (full,) = source.find(None, [picture()])
    (half,) = source.find(None, [picture(scale=2)])
    np.testing.assert_allclose(full.boxes, half.boxes)
    assert full.boxes.shape == (9, 4)
    assert full.masks is None


def test_coco_boxes_and_masks(tmp_path):
    mask = a_mask()
    source = coco(
        tmp_path,
        [
            {"image_id": 7, "bbox": [1, 2, 10, 8], "segmentation": {"counts": encode(mask)}},
            {"image_id": 7, "bbox": [5, 5, 4, 3]},
            {"image_id": 7, "bbox": [0, 0, W, H], "iscrowd": 1},
        ],
    )
    (found,) = source.find(None, [picture()])
    np.testing.assert_array_equal(found.boxes, [[1, 2, 10, 8], [5, 5, 4, 3]])
    np.testing.assert_array_equal(found.masks[0], mask)
    np.testing.assert_array_equal(found.masks[1], box_mask(np.float32([5, 5, 4, 3]), W, H))
    (small,) = source.find(None, [picture(scale=2)])
    assert small.masks[0].shape == (H // 2, W // 2)
    np.testing.assert_array_equal(small.boxes, found.boxes)


def test_a_picture_without_objects_is_known_and_an_unknown_one_refused(tmp_path):
    source = coco(tmp_path, [])
    (found,) = source.find(None, [picture()])
    assert found.boxes.shape == (0, 4)
    with pytest.raises(UsageError, match=r"b\.png.*listed 0 times"):
        source.find(None, [picture("b.png")])


def test_the_same_name_twice_is_told_apart_by_its_folder(tmp_path):
    images = [
        {"id": 1, "file_name": "x/a.png", "width": W, "height": H},
        {"id": 2, "file_name": "y/a.png", "width": W, "height": H},
    ]
    source = coco(tmp_path, [{"image_id": 2, "bbox": [1, 1, 2, 2]}], images)
    first, second = source.find(None, [picture("/p/x/a.png"), picture("/p/y/a.png")])
    assert (len(first.boxes), len(second.boxes)) == (0, 1)


def test_boxes_for_another_size_are_refused(tmp_path):
    images = [{"id": 7, "file_name": "a.png", "width": W + 1, "height": H}]
    source = coco(tmp_path, [{"image_id": 7, "bbox": [1, 1, 2, 2]}], images)
    with pytest.raises(UsageError, match="41 x 20"):
        source.find(None, [picture()])


def test_a_generated_set_hides_what_is_behind(tmp_path):
    back, front = np.zeros((2, H, W), bool)
    back[2:10, 2:20], front[5:15, 10:30] = True, True
    rows = [
        {"box": [2, 2, 18, 8], "mask": encode(back)},
        {"box": [10, 5, 20, 10], "mask": encode(front)},
    ]
    path = tmp_path / "truth.json"
    told = {"file": "pictures/a.png", "width": W, "height": H, "objects": rows}
    path.write_text(json.dumps({"version": 2, "pictures": [told]}))
    (found,) = open_objects(f"annotations:{path}").find(None, [picture("set/pictures/a.png")])
    np.testing.assert_array_equal(found.masks[0], back & ~front)
    np.testing.assert_array_equal(found.masks[1], front)


@pytest.mark.parametrize("text", ["boxes", "windows:5", "annotations:", "annotations:/nowhere"])
def test_what_cannot_be_opened_is_named(text):
    with pytest.raises(UsageError, match=text):
        open_objects(text)


def test_objects_must_be_as_many():
    with pytest.raises(UsageError, match="as many"):
        Objects(np.zeros((2, 4), np.float32), np.zeros(3, np.float32))
