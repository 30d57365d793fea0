"""Crowds: the same bytes, disjoint splits, true sizes, masks, answers, captions and protocols."""

from __future__ import annotations

import itertools
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.bench.crowd_kit import EACH, SMALL, WORDS, make_materials
from tests.bench.needle_kit import make_catalogue

from needlepoint.bench.needle import build_crowd, crowd_named, load_truth, protocols_of
from needlepoint.bench.needle.assets import models_in
from needlepoint.bench.needle.masks import box_of
from needlepoint.bench.needle.materials import cutout, flat_materials, model_materials
from needlepoint.bench.needle.views import angle_between
from needlepoint.bench.needle.words import CROWD_SPLITS, held_out, kin
from needlepoint.errors import UsageError
from needlepoint.regions.masks import read_segmentation


@pytest.fixture(scope="module")
def materials(tmp_path_factory):
    return make_materials(tmp_path_factory.mktemp("root"), models=True)


@pytest.fixture(scope="module")
def crowds(materials, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowds")
    return folder, {
        split: build_crowd(
            "crowd-2d", folder / split, split=split, seed=3, assets=materials, **SMALL
        )
        for split in CROWD_SPLITS
    }


@pytest.fixture(scope="module")
def dev(crowds):
    return crowds[0] / "dev", crowds[1]["dev"]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "views" not in path.parts
    }


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(crowds, materials, tmp_path):
    folder, truths = crowds
    again = build_crowd(
        "crowd-2d", tmp_path, split="train", seed=3, assets=materials, workers=2, **SMALL
    )
    assert again == truths["train"]
    assert contents(tmp_path) == contents(folder / "train")


def test_a_scene_does_not_depend_on_those_before_it(crowds, materials, tmp_path):
    folder, _ = crowds
    build_crowd("crowd-2d", tmp_path, seed=3, assets=materials, **{**SMALL, "count": 3})
    for number in range(3):
        file = f"pictures/{number:04d}.jpg"
        assert (tmp_path / file).read_bytes() == (folder / "dev" / file).read_bytes()


def test_another_seed_gives_other_scenes(crowds, materials, tmp_path):
    build_crowd("crowd-2d", tmp_path, seed=4, assets=materials, **{**SMALL, "count": 1})
    one, two = (path / "pictures/0000.jpg" for path in (tmp_path, crowds[0] / "dev"))
    assert one.read_bytes() != two.read_bytes()


def test_splits_share_no_instance_no_background_and_some_pairs_are_never_trained(crowds):
    _, truths = crowds
    for one, two in itertools.combinations(truths.values(), 2):
        for picked in (
            lambda t: {row.object_id for row in t.objects},
            lambda t: {row.background for row in t.pictures},
        ):
            assert picked(one)
            assert not picked(one) & picked(two)
    for split, truth in truths.items():
        assert {row.split for row in truth.objects} == {split}
        pairs = {(row.word, row.colour) for p in truth.pictures for row in p.objects}
        new = {pair for pair in pairs if held_out(*pair)}
        assert bool(new) == (split != "train")
    learnt = {row.word for row in truths["train"].objects}
    for split in ("dev", "test"):
        for question in truths[split].questions:
            assert all(part.word in WORDS for part in question.parts)
            assert all(part.word in learnt for part in question.parts)
            assert question.held_out == any(held_out(p.word, p.colour) for p in question.parts)


def test_sizes_boxes_masks_and_visibility_agree(dev):
    folder, truth = dev
    assert load_truth(folder) == truth
    assert truth.version == 2
    plan = crowd_named("crowd-2d", **SMALL)
    for picture in truth.pictures:
        with Image.open(folder / picture.file) as image:
            assert image.size == (picture.width, picture.height) == plan.size
        masks = [read_segmentation(row.mask, *plan.size) for row in picture.objects]
        assert 1 <= len(masks) <= plan.objects[1]
        for place, (row, mask) in enumerate(zip(picture.objects, masks, strict=True)):
            in_front = np.any(masks[place + 1 :], axis=0) if masks[place + 1 :] else ~mask
            assert box_of(mask) == row.box
            assert mask.mean() == pytest.approx(row.area_fraction, abs=1e-6)
            shown = (mask & ~in_front).sum() / mask.sum()
            assert shown == pytest.approx(row.visible_fraction, abs=1e-4)
            assert 1 - shown <= plan.occlusion + 1e-4
            small = 0.9 * plan.small_area[0] <= row.area_fraction <= 1.2 * plan.small_area[1]
            large = 0.9 * plan.large_area[0] <= row.area_fraction <= 1.2 * plan.large_area[1]
            assert small or large
            assert row.caption == f"{row.caption.split()[0]} {row.colour or ''} {row.word}".replace(
                "  ", " "
            )


def relevant_things(truth, word, colour):
    """Slowly: pictures with a small thing of the word and colour and no large one; and doubts."""
    yes, maybe = {}, set()
    for picture in truth.pictures:
        sure = [
            row
            for row in picture.objects
            if row.word == word
            and (colour is None or row.colour == colour)
            and row.visible_fraction >= 0.5
        ]
        if sure and max(row.area_fraction for row in sure) <= 0.04:
            yes[picture.file] = {row.box for row in sure}
            continue
        for row in picture.objects:
            alike = row.word == word or row.word in kin().get(word, ())
            colours = colour is None or row.colour in (None, colour)
            if sure or (alike and colours and row.visible_fraction >= 0.05):
                maybe.add(picture.file)
    return yes, maybe


def test_thing_questions_are_answered_by_what_is_there(dev):
    _, truth = dev
    asked = [row for row in truth.questions if row.task == "thing"]
    assert 6 <= len(asked) <= SMALL["things"]
    assert len({row.text for row in asked}) == len(asked)
    assert sum(row.parts[0].colour is None for row in asked) <= SMALL["things"] // 6
    for question in asked:
        (part,) = question.parts
        yes, maybe = relevant_things(truth, part.word, part.colour)
        assert set(question.relevant) == yes.keys() != set()
        assert set(question.junk) == maybe
        assert {file: set(boxes) for file, boxes in question.boxes.items()} == yes


def true_of(picture, parts, busy, *, strict):
    """Slowly: try every assignment of things to parts."""
    small = sum(row.area_fraction <= 0.04 for row in picture.objects)
    level = "alone" if not small else "few" if small < 5 else "many" if small < 15 else "crowd"
    if busy not in (None, level):
        return False
    things = [
        row
        for row in picture.objects
        if not strict or (row.area_fraction >= 0.06 and row.visible_fraction >= 0.5)
    ]

    def fits(row, part):
        x = (row.box[0] + row.box[2] / 2) / picture.width
        side = "left" if x < 0.4 else "right" if x > 0.6 else "middle"
        if part.side not in (None, side):
            return False
        if strict:
            return row.word == part.word and part.colour in (None, row.colour)
        alike = row.word == part.word or row.word in kin().get(part.word, ())
        return alike and (part.colour is None or row.colour in (None, part.colour))

    return any(
        all(fits(row, part) for row, part in zip(rows, parts, strict=True))
        for rows in itertools.permutations(things, len(parts))
    )


def test_whole_questions_are_answered_wherever_they_are_true(dev):
    _, truth = dev
    asked = [row for row in truth.questions if row.task == "whole"]
    assert len(asked) == SMALL["wholes"]
    for question in asked:
        yes = {
            p.file for p in truth.pictures if true_of(p, question.parts, question.busy, strict=True)
        }
        near = {p.file for p in truth.pictures if true_of(p, question.parts, None, strict=False)}
        assert set(question.relevant) == yes
        assert set(question.junk) == near - yes
        assert question.boxes.keys() == yes
        for part in question.parts:
            assert (part.colour or "") in question.text
            assert part.word in question.text


def test_image_questions_are_about_one_object_of_one_colour(dev):
    folder, truth = dev
    assert 3 <= len(truth.queries) <= SMALL["instances"]
    for query in truth.queries:
        shown, doubt = set(), set()
        for picture in truth.pictures:
            rows = [row for row in picture.objects if row.object_id == query.object_id]
            same = [r for r in rows if r.colour == query.colour and r.visible_fraction >= 0.5]
            if same and all(row.area_fraction <= 0.04 for row in rows):
                shown.add(picture.file)
            elif rows:
                doubt.add(picture.file)
        assert set(query.positives) == shown != set()
        assert set(query.junk) == doubt
        with Image.open(folder / query.cutout) as image:
            assert image.mode == "RGBA"


def test_protocols_hold_the_same_questions(dev):
    folder, truth = dev
    protocols = {row.name: row for row in protocols_of(folder)}
    assert set(protocols) == {f"needle-crowd-2d/{task}" for task in ("instance", "thing", "whole")}
    for name, protocol in protocols.items():
        assert protocol.split == "dev"
        assert [item.file for item in protocol.gallery] == [p.file for p in truth.pictures]
        for question in protocol.questions:
            assert question.relevant
            assert question.boxes.keys() == question.relevant
            assert not question.relevant & question.junk
            assert question.kind == ("image" if name.endswith("instance") else "text")
    files = [question.file for question in protocols["needle-crowd-2d/instance"].questions]
    assert files == [query.cutout for query in truth.queries]
    new = sum(q.id.endswith("-new") for q in protocols["needle-crowd-2d/thing"].questions)
    assert new == sum(row.held_out for row in truth.questions if row.task == "thing")


def test_training_pairs_name_what_their_box_shows(crowds):
    folder, truths = crowds
    assert not (folder / "dev" / "captions.jsonl").exists()
    rows = [json.loads(line) for line in (folder / "train" / "captions.jsonl").open()]
    pictures = {picture.file: picture for picture in truths["train"].pictures}
    assert {row["kind"] for row in rows} == {"whole", "thing"}
    for row in rows:
        assert list(row) == ["file", "box", "text", "kind"]
        picture = pictures[row["file"]]
        if row["kind"] == "whole":
            assert row["box"] is None
            continue
        x, y, w, h = row["box"]
        assert x >= 0 <= y
        assert x + w <= picture.width
        assert y + h <= picture.height
        inside = [
            placed
            for placed in picture.objects
            if placed.box[0] >= x
            and placed.box[1] >= y
            and placed.box[0] + placed.box[2] <= x + w
            and placed.box[1] + placed.box[3] <= y + h
        ]
        assert any(
            placed.word in row["text"] and (placed.colour or "") in row["text"] for placed in inside
        )


def test_models_come_in_crowds_from_other_sides_than_in_questions(materials, tmp_path):
    options = {key: value for key, value in SMALL.items() if key != "materials"}
    truth = build_crowd(
        "crowd-3d",
        tmp_path,
        split="train",
        assets=materials,
        views=tmp_path / "views",
        view_side=64,
        renderings=4,
        **options,
    )
    assert truth.queries
    for query in truth.queries:
        views = [
            row.view
            for picture in truth.pictures
            for row in picture.objects
            if row.object_id == query.object_id
        ]
        assert all(angle_between(query.view, view) >= 40 for view in views)


def test_materials_carry_their_names_in_other_languages(materials):
    rows = flat_materials(materials, [], ["drawn"])
    assert len(rows) == EACH * (len(WORDS) + 1)
    apple = next(row for row in rows if row.word == "apple")
    assert apple.names == {"en": "A apple.", "de": "Ding: apple"}
    assert {row.kind for row in rows} == {"drawn"}
    assert model_materials(materials.models)[0].names["en"].startswith(("Old", "Red", "Tin"))


def test_catalogues_of_models_are_read_in_every_language(tmp_path):
    path = tmp_path / "Scopia.sh3f"
    make_catalogue(path, ["mug", "lamp"])
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("PluginFurnitureCatalog_de.properties", "name#1=T\\u00e4sse\nname#9=Nichts")
        bundle.writestr("PluginFurnitureCatalog_zh_CN.properties", "name#2=\\u706f")
    mug, lamp = sorted(model_materials(models_in([path])), key=lambda row: row.word)
    assert (mug.word, mug.names) == ("cup", {"en": "Mug", "de": "Tässe"})
    assert (lamp.word, lamp.names) == ("lamp", {"en": "Lamp", "zh_CN": "灯"})


def test_clip_art_and_emoji_are_optional_materials(materials, tmp_path):
    with pytest.raises(UsageError, match="openclipart-png"):
        flat_materials(materials, [tmp_path], ["clipart"])
    with pytest.raises(UsageError, match="fonts-noto-color-emoji"):
        flat_materials(materials, [tmp_path], ["emoji"])
    with pytest.raises(UsageError, match="photo, drawn, clipart, emoji"):
        flat_materials(materials, [tmp_path], ["postcards"])
    place = tmp_path / "usr/share/openclipart/png/food/fruit/an_apple_01.png"
    place.parent.mkdir(parents=True)
    pixels = np.zeros((900, 1200, 4), dtype=np.uint8)
    pixels[100:800, 100:1100] = 200
    Image.fromarray(pixels).save(place)
    (row,) = flat_materials(materials, [tmp_path], ["clipart"])
    assert (row.word, row.kind, row.licence) == ("apple", "clipart", "CC0-1.0")
    assert cutout(row.path).size == (640, 448)
    assert cutout(row.path, "", 2).size == (160, 112)
    font = tmp_path / "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
    font.parent.mkdir(parents=True)
    font.touch()
    rows = flat_materials(materials, [tmp_path], ["emoji"])
    assert {row.licence for row in rows} == {"OFL-1.1"}
    assert next(row for row in rows if row.glyph == "\N{DOG}").word == "dog"


def test_a_set_of_photographs_only_needs_no_other_materials(materials, tmp_path):
    with pytest.raises(UsageError, match="at least 2 things"):
        build_crowd("crowd-2d", tmp_path, assets=materials, **{**SMALL, "materials": ("photo",)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "fit"}, "train, dev, test"),
        ({"workers": 0}, "workers=0"),
        ({"occlusion": 2}, "occlusion=2"),
        ({"small_area": (0.2, 0.1)}, "small_area"),
        ({"objects": (0, 4)}, "objects"),
        ({"renderings": 1}, "renderings=1"),
        ({"count": 0}, "count=0"),
        ({"clatter": 1}, "clatter"),
        ({"blend": {"shine": 1}}, "shine"),
    ],
)
def test_options_are_checked(materials, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        build_crowd("crowd-2d", tmp_path, assets=materials, **options)


def test_unknown_recipes_are_refused(tmp_path):
    with pytest.raises(UsageError, match="crowd-2d, crowd-3d"):
        build_crowd("crowd-4d", tmp_path)


def test_options_of_options_can_be_changed_alone():
    plan = crowd_named("crowd-3d", camera={"quality": [50, 60]}, blend={"shadow": 0.2})
    assert plan.camera.quality == (50, 60)
    assert plan.blend.shadow == 0.2
    assert plan.blend.light == crowd_named("crowd-3d").blend.light
