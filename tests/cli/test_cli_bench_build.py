"""bench build: scenes, crowds, the material for fitting and the check of edges."""

from __future__ import annotations

import json

import pytest
from tests.bench.crowd_kit import make_materials
from tests.bench.needle_kit import make_assets

from needlepoint.bench import needle
from needlepoint.errors import EXIT_HITS, EXIT_USAGE

SMALL = (
    "--option=size=[200, 150]",
    '--option=materials=["drawn"]',
    "--option=enlarge=6",
    "--option=instances=3",
    "--option=things=4",
    "--option=wholes=3",
)


@pytest.fixture
def crowd_assets(tmp_path, monkeypatch):
    found = make_materials(tmp_path / "root")
    monkeypatch.setattr("needlepoint.bench.needle.crowd.find_assets", lambda *_, **__: found)


def test_a_crowd_for_training_is_built_and_checked(needlepoint, crowd_assets, tmp_path):
    out = tmp_path / "set"
    ran = needlepoint(
        *("bench", "build", "needle", "crowd-2d", str(out), "--split", "train", "--count", "12"),
        *("--root", str(tmp_path / "root"), *SMALL),
    )
    assert ran.code == EXIT_HITS, ran.err
    assert "12 pictures" in ran.out.decode()
    assert "12 of 12 scenes" in ran.err
    truth = needle.load_truth(out)
    assert (truth.recipe, truth.split, truth.seed) == ("crowd-2d", "train", 20261121)
    assert json.loads((out / "captions.jsonl").read_text().splitlines()[0])["text"]
    ran = needlepoint("bench", "build", "edges", str(out))
    assert ran.code == EXIT_HITS, ran.err
    areas = dict(line.split() for line in ran.out.decode().splitlines())
    assert 0.5 <= float(areas["noise"]) <= 1
    assert int(areas["outlines"]) == int(areas["natural"]) >= 50


def test_the_older_recipes_and_the_fitting_material_are_built(needlepoint, tmp_path, monkeypatch):
    found = make_assets(tmp_path / "root", stamps=6, models=2)
    monkeypatch.setattr(needle, "find_assets", lambda *_, **__: found)
    out = tmp_path / "2d"
    ran = needlepoint(
        *("bench", "build", "needle", "2d", str(out), "--count", "2"),
        *("--option", "size=[160, 120]", "--option", "queries=2"),
    )
    assert ran.code == EXIT_HITS, ran.err
    assert needle.load_truth(out).version == 1
    out, views = tmp_path / "fit", tmp_path / "views"
    ran = needlepoint("bench", "build", "fit", str(out), "--views", str(views), "--per-model", "2")
    assert ran.code == EXIT_HITS, ran.err
    assert "4 renderings of 2 models" in ran.out.decode()


@pytest.mark.parametrize(
    ("option", "message"),
    [("occlusion", "= is missing"), ("occlusion=much", "NAME=JSON"), ("clatter=1", "clatter")],
)
def test_options_that_mean_nothing_are_refused(needlepoint, tmp_path, option, message):
    ran = needlepoint(
        "bench", "build", "needle", "crowd-2d", str(tmp_path / "x"), "--option", option
    )
    assert ran.code == EXIT_USAGE
    assert message in ran.err


def test_missing_materials_name_the_package(needlepoint, tmp_path):
    ran = needlepoint(
        "bench", "build", "needle", "crowd-2d", str(tmp_path / "x"), "--root", str(tmp_path)
    )
    assert ran.code == EXIT_USAGE
    assert "apt-get install tuxpaint-stamps-default" in ran.err


def test_needle_edits_are_built_without_any_package(needlepoint, tmp_path):
    out = tmp_path / "edits"
    ran = needlepoint("bench", "build", "edits", str(out), "--split", "train", "--families", "1")
    assert ran.code == EXIT_HITS, ran.err
    assert "10 questions with 1.00 answers each" in ran.out.decode()
    facts = json.loads((out / "edits.json").read_text())
    assert (facts["split"], facts["seed"], len(facts["questions"])) == ("train", 20261121, 10)
    assert "scenes" in ran.err
    ran = needlepoint("bench", "build", "edits", str(out), "--root", str(tmp_path))
    assert ran.code == EXIT_USAGE
    assert "tuxpaint-stamps-default" in ran.err
