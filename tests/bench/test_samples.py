"""The sample pictures: complete, crowded, small enough, and every file with its licence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from needlepoint.bench.needle import load_truth
from needlepoint.bench.needle.families import split_of
from needlepoint.bench.needle.truth import positives_of
from needlepoint.bench.needle.views import MIN_ANGLE, angle_between

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture(scope="module")
def truth():
    return load_truth(SAMPLES)


def files():
    return sorted(
        path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*") if path.is_file()
    )


def test_samples_weigh_at_most_eight_megabytes():
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) <= 8_000_000


def test_there_are_enough_of_both_kinds(truth):
    crowded = [picture for picture in truth.pictures if len(picture.objects) >= 8]
    photographs = [picture for picture in truth.pictures if not picture.objects]
    assert len(crowded) >= 60
    assert len(photographs) >= 12
    assert len(truth.queries) >= 20


def test_truth_names_every_picture_and_no_other(truth):
    named = {picture.file for picture in truth.pictures}
    for query in truth.queries:
        named |= {query.file, query.cutout}
    assert named == set(files()) - {"truth.json", "LICENSE.md"}


def test_the_licence_file_lists_every_picture_and_no_copyleft():
    text = (SAMPLES / "LICENSE.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)
    assert sorted(listed) == sorted(set(files()) - {"truth.json", "LICENSE.md"})
    assert "invented" in text
    for copyleft in ("BY-SA", "GPL", "ShareAlike", "unknown"):
        assert copyleft not in text


def test_boxes_lie_in_upright_pictures(truth):
    for picture in truth.pictures:
        with Image.open(SAMPLES / picture.file) as image:
            assert image.size == (picture.width, picture.height)
            assert image.getexif().get(0x0112, 1) == 1
            assert max(image.size) <= 1024
        for placed in picture.objects:
            x, y, w, h = placed.box
            assert min(x, y) >= 0 < min(w, h)
            assert x + w <= picture.width
            assert y + h <= picture.height
            assert 0 < placed.visible_fraction <= 1


def test_most_things_are_small(truth):
    areas = sorted(placed.area_fraction for picture in truth.pictures for placed in picture.objects)
    assert areas[len(areas) // 2] < 0.015
    assert areas[-1] < 0.12


def test_questions_show_another_side_and_have_answers(truth):
    for query in truth.queries:
        assert query.positives == positives_of(truth.pictures, query.object_id, 0.5)
        assert len(query.positives) >= 3
        for picture in truth.pictures:
            for placed in picture.objects:
                if placed.object_id == query.object_id:
                    assert angle_between(placed.view, query.view) >= MIN_ANGLE


def test_nothing_in_the_samples_is_kept_for_fitting(truth):
    for row in truth.objects:
        assert row.split == split_of(row.family) != "fit"
        assert row.licence == "CC0-1.0"


def test_invented_facts_are_marked_as_invented(truth):
    dated = 0
    for picture in truth.pictures:
        with Image.open(SAMPLES / picture.file) as image:
            exif = image.getexif()
        taken = exif.get_ifd(0x8769).get(0x9003)
        if not picture.objects:
            assert taken is None
        elif taken is not None:
            assert "invented" in exif[0x013B]
            dated += 1
    assert dated >= 30
