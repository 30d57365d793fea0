"""Names for things from annotation files; what is said of models that are not there."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.outside.captioner import BlipCaptioner, continued
from needlepoint.outside.labels import AnnotatedThings, OwlThings, Thing, open_local
from needlepoint.picture import Picture


def picture(source="", seed=0, size=(48, 64)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Picture.from_pixels(pixels, source)


def test_coco_annotations_name_the_things(tmp_path):
    told = {
        "categories": [{"id": 3, "name": "kite"}, {"id": 9, "name": "dog"}],
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "sub/a.jpg"}],
        "annotations": [
            {"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]},
            {"image_id": 1, "category_id": 3, "bbox": [5, 5, 2, 2], "score": 0.5},
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(told))
    things = AnnotatedThings(tmp_path / "instances.json")
    first, second = things.detect([picture("/data/a.jpg"), picture("/data/sub/a.jpg")])
    assert first == [Thing("dog", (1, 2, 3, 4)), Thing("kite", (5, 5, 2, 2), 0.5)]
    assert second == []
    assert things.name == "annotations:instances.json"
    with pytest.raises(UsageError, match="not listed"):
        things.detect([picture("/data/b.jpg")])


def test_a_generated_sets_truth_names_the_things(tmp_path):
    told = {"pictures": [{"file": "p/1.png", "objects": [{"name": "cup", "box": [1, 2, 3, 4]}]}]}
    (tmp_path / "truth.json").write_text(json.dumps(told))
    found = AnnotatedThings(tmp_path / "truth.json").detect([picture("/x/p/1.png")])
    assert found == [[Thing("cup", (1, 2, 3, 4))]]


@pytest.mark.parametrize("content", ["no json", "[]", '{"annotations": []}', '{"pictures": [1]}'])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UsageError, match="cannot be read"):
        AnnotatedThings(tmp_path / "a.json")


def test_the_prompt_is_there_once():
    assert continued("a photo of a dog", "a photo of a dog on grass") == "a photo of a dog on grass"
    assert continued("a photo of a dog", " on grass\n") == "a photo of a dog on grass"
    assert continued("a photo of a dog", "") == "a photo of a dog"


def test_missing_models_are_told(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"no usable config\.json"):
        BlipCaptioner(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelUnavailable, match="type 'bert'"):
        BlipCaptioner(tmp_path)
    with pytest.raises(UsageError, match="classes must be"):
        OwlThings(tmp_path, [" "])


def test_without_transformers_the_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"model_type": "blip"}')
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelUnavailable, match=r"needlepoint\[torch\]"):
        open_local(tmp_path, {"blip": "BlipForConditionalGeneration"}, "cpu")
