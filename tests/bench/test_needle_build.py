"""Whole sets of scenes: determinism, truth, splits and options."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.bench.needle_kit import make_assets

from needlepoint.bench.needle import RECIPES, build, load_truth, protocols_of, recipe_named
from needlepoint.bench.needle.families import SPLITS
from needlepoint.bench.needle.fit import build_fit
from needlepoint.bench.needle.truth import positives_of
from needlepoint.bench.needle.views import angle_between
from needlepoint.errors import UsageError

SMALL = {"size": (160, 120), "queries": 6, "count": 8, "query_side": 64}


@pytest.fixture(scope="module")
def materials(tmp_path_factory):
    return make_assets(tmp_path_factory.mktemp("root"), stamps=8, models=4)


def photographed(assets):
    """The same materials with half of the stamps counted as photographs."""
    stamps = tuple(
        replace(stamp, photo=number % 2 == 0) for number, stamp in enumerate(assets.stamps)
    )
    return replace(assets, stamps=stamps)


@pytest.fixture(scope="module")
def flat(materials, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flat")
    return folder, build("2d", folder, assets=photographed(materials), seed=3, **SMALL)


@pytest.fixture(scope="module")
def solid(materials, tmp_path_factory):
    folder = tmp_path_factory.mktemp("solid")
    truth = build("3d", folder, assets=materials, seed=3, views=folder / "v", **SMALL)
    return folder, truth


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for sub in ("pictures", "queries")
        for path in sorted((folder / sub).iterdir())
    } | {"truth.json": (folder / "truth.json").read_bytes()}


def test_the_same_seed_gives_the_same_bytes(flat, materials, tmp_path):
    folder, truth = flat
    assert build("2d", tmp_path, assets=photographed(materials), seed=3, **SMALL) == truth
    assert contents(tmp_path) == contents(folder)


def test_another_seed_gives_another_set(flat, materials, tmp_path):
    folder, _ = flat
    build("2d", tmp_path, assets=photographed(materials), seed=4, **SMALL)
    assert contents(tmp_path)["pictures/0000.jpg"] != contents(folder)["pictures/0000.jpg"]


def test_rendered_sets_repeat_too(solid, materials, tmp_path):
    folder, truth = solid
    again = build("3d", tmp_path, assets=materials, seed=3, views=tmp_path / "v", **SMALL)
    assert again == truth
    assert contents(tmp_path) == contents(folder)


@pytest.mark.parametrize("which", ["flat", "solid"])
def test_truth_is_true(which, request):
    folder, truth = request.getfixturevalue(which)
    assert load_truth(folder) == truth
    assert len(truth.pictures) == 8
    assert len(truth.queries) == 6
    known = {row.object_id: row for row in truth.objects}
    for picture in truth.pictures:
        with Image.open(folder / picture.file) as image:
            assert image.size == (picture.width, picture.height) == (160, 120)
        assert len({placed.object_id for placed in picture.objects}) == len(picture.objects)
        for placed in picture.objects:
            x, y, w, h = placed.box
            assert x >= 0 <= y
            assert x + w <= 160
            assert y + h <= 120
            assert placed.area_fraction <= w * h / (160 * 120) + 1e-6
            assert 0 <= placed.visible_fraction <= 1
            assert placed.name == known[placed.object_id].name
    for query in truth.queries:
        assert query.positives == positives_of(truth.pictures, query.object_id, 0.5) != ()
        with Image.open(folder / query.file) as image:
            assert image.size == (64, 64)
        with Image.open(folder / query.cutout) as image:
            assert image.mode == "RGBA"
            assert np.asarray(image)[..., 3].max() > 200


def test_questions_show_objects_from_another_side(solid):
    _, truth = solid
    for query in truth.queries:
        shown = [
            placed.view
            for picture in truth.pictures
            for placed in picture.objects
            if placed.object_id == query.object_id
        ]
        assert shown
        assert all(angle_between(query.view, view) >= 40 for view in shown)


def test_flat_questions_ask_for_photographs_about_as_often_as_planned(materials, tmp_path):
    options = {**SMALL, "count": 60, "objects": (3, 6), "area": (0.004, 0.01), "positives": 5.0}
    truth = build("2d", tmp_path, assets=photographed(materials), **options)
    photos = {row.object_id for row in photographed(materials).stamps if row.photo}
    assert {query.object_id for query in truth.queries} <= photos
    assert truth.mean_positives == pytest.approx(5.0, abs=1.6)


def test_splits_share_nothing(materials, tmp_path):
    seen = {}
    for split in SPLITS:
        truth = build("2d", tmp_path / split, split=split, assets=photographed(materials), **SMALL)
        grounds = {picture.background for picture in truth.pictures}
        grounds |= {query.background for query in truth.queries if query.background}
        families = {row.family for row in truth.objects}
        assert {row.split for row in truth.objects} == {split}
        for other, (other_grounds, other_families) in seen.items():
            assert not grounds & other_grounds, (split, other)
            assert not families & other_families, (split, other)
        seen[split] = (grounds, families)


def test_photographs_behind_questions_are_in_no_scene(flat):
    _, truth = flat
    behind = {query.background for query in truth.queries} - {None}
    assert behind
    assert not behind & {picture.background for picture in truth.pictures}


def test_clutter_adds_objects(flat, materials, tmp_path):
    _, truth = flat
    more = build("2d", tmp_path, assets=photographed(materials), seed=3, clutter=3, **SMALL)
    assert sum(len(p.objects) for p in more.pictures) > sum(len(p.objects) for p in truth.pictures)


def test_relatives_can_be_asked_for(materials, tmp_path):
    paired = tuple(
        replace(model, family=f"family{number // 2}")
        for number, model in enumerate(materials.of("dev").models)
    )
    assets = replace(materials, models=paired)
    counts = []
    for share in (0.0, 1.0):
        truth = build(
            "3d",
            tmp_path / str(share),
            assets=assets,
            views=tmp_path / "views",
            same_class=share,
            **{**SMALL, "objects": (2, 2), "count": 20, "area": (0.004, 0.01)},
        )
        family = {row.object_id: row.family for row in truth.objects}
        counts.append(
            sum(
                len({family[placed.object_id] for placed in picture.objects}) < 2
                for picture in truth.pictures
            )
        )
    assert counts[1] > counts[0] + 5


def test_a_family_cannot_fill_a_set(materials, tmp_path):
    models = tuple(replace(model, family="table") for model in materials.of("dev").models)
    truth = build(
        "3d",
        tmp_path,
        assets=replace(materials, models=models),
        views=tmp_path / "views",
        family_cap=2,
        **SMALL,
    )
    assert len(truth.objects) == 2


def test_options_are_checked(tmp_path, materials):
    with pytest.raises(UsageError, match="2d, 3d"):
        build("4d", tmp_path, assets=materials)
    with pytest.raises(UsageError, match="clatter"):
        recipe_named("2d", clatter=1)
    for wrong in ({"occlusion": 2}, {"area": (0.2, 0.1)}, {"views": 1}, {"count": 0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            recipe_named("3d", **wrong)
    with pytest.raises(UsageError, match="backgrounds"):
        build("2d", tmp_path, assets=replace(materials, backgrounds=()))


def test_recipes_say_what_they_are():
    assert (RECIPES["2d"].size, RECIPES["2d"].count, RECIPES["2d"].queries) == (
        (800, 600),
        300,
        200,
    )
    plan = RECIPES["3d"]
    assert (plan.size, plan.count, plan.queries) == ((1024, 768), 250, 150)


def test_truth_of_another_version_or_place_is_refused(flat, tmp_path):
    folder, _ = flat
    with pytest.raises(UsageError, match=r"truth\.json"):
        load_truth(tmp_path)
    raw = json.loads((folder / "truth.json").read_text())
    (tmp_path / "truth.json").write_text(json.dumps({**raw, "version": 99}))
    with pytest.raises(UsageError, match="99"):
        load_truth(tmp_path)


def test_material_for_fitting_is_only_of_its_split(materials, tmp_path):
    truth = build_fit(tmp_path, assets=materials, views=tmp_path / "v", per_model=3, size=48)
    assert {row.split for row in truth.objects} == {"fit"}
    assert len(truth.pictures) == 3 * len(materials.of("fit").models)
    for picture in truth.pictures:
        with Image.open(tmp_path / picture.file) as image:
            assert image.mode == "RGBA"
            assert image.size == (picture.width, picture.height)
            assert max(image.size) <= 48
    listed = json.loads((tmp_path / "backgrounds.json").read_text())
    assert {row["name"] for row in listed} == {row.name for row in materials.of("fit").backgrounds}
    assert len(json.loads((tmp_path / "stamps.json").read_text())) == 8


def test_a_set_without_words_is_asked_by_names(flat):
    folder, truth = flat
    (names,) = (one for one in protocols_of(folder) if one.name == "needle-2d/name")
    assert {one.text for one in names.questions} <= {row.name for row in truth.queries}
    assert names.questions
    for question in names.questions:
        shown = {
            picture.file: [
                placed.box
                for placed in picture.objects
                if placed.name == question.text and placed.visible_fraction >= 0.5
            ]
            for picture in truth.pictures
        }
        assert {file: list(boxes) for file, boxes in question.boxes.items()} == {
            file: boxes for file, boxes in shown.items() if boxes
        }
        assert question.relevant == question.boxes.keys() != set()
