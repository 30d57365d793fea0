"""The page of a run: whole, escaped, bounded, and true to the run."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from test_runner import make, run
from toy_encoder import ToyEncoder

from needlepoint.bench.report import report
from needlepoint.bench.runner import Bench


@pytest.fixture
def found(tmp_path):
    protocol = make(tmp_path / "data")
    return run(Bench(ToyEncoder(), tmp_path / "out"), protocol, "windows:4")[0]


def parsed(page):
    """The page as a tree: fails unless every element is closed in its place."""
    return ET.fromstring(page.removeprefix("<!doctype html>\n"))


def test_the_page_is_well_formed_and_needs_nothing_outside(found):
    page = report(found)
    tree = parsed(page)
    assert len(list(tree.iter("section"))) == 12
    for image in tree.iter("img"):
        assert image.get("src").startswith("data:image/jpeg;base64,")
    assert not re.search(r"https?://|<script|<link|url\(", page)
    assert "default-src 'none'" in page


def test_answers_are_marked_and_boxes_drawn_where_they_are(found):
    tree = parsed(report(found, shown=3))
    by = {one.id: one for one in found.answers}
    drawn = 0
    for section in tree.iter("section"):
        answer = by[re.match(r"q\d+", "".join(section.find("p").itertext()))[0]]
        figures = list(section.iter("figure"))[:3]
        marks = [figure.get("class") == "right" for figure in figures]
        assert marks == [i in answer.found for i, _ in answer.top[:3]]
        for figure, (i, _) in zip(figures, answer.top, strict=False):
            said = [b for b in figure.iter("i") if b.get("class") == "box said"]
            assert len(said) == (answer.places[i] is not None)
            if said:
                x, y, w, _ = answer.places[i]
                place = f"left:{x / 2.4:.2f}%;top:{y / 2:.2f}%;width:{w / 2.4:.2f}%"
                assert said[0].get("style").startswith(place)
                drawn += 1
    assert drawn
    assert any(b.get("class") == "box" for b in tree.iter("i"))


def test_the_first_right_answer_is_shown_where_none_of_the_first_is_right(found):
    late = [one for one in found.answers if one.ranks[0] > 1]
    assert late
    sections = list(parsed(report(found, shown=1)).iter("section"))
    by = {re.match(r"q\d+", "".join(s.find("p").itertext()))[0]: s for s in sections}
    for one in found.answers:
        figures = list(by[one.id].iter("figure"))
        assert len(figures) == (1 if one.ranks[0] == 1 else 2)
        if one.ranks[0] > 1:
            assert found.gallery[one.found[0]].id in "".join(figures[1].itertext())


def test_text_is_escaped_and_missing_pictures_are_said(found, tmp_path):
    nasty = '<script>alert(1)</script> & "quotes" \''
    questions = [{**one, "text": nasty} for one in found.protocol["questions"]]
    notes = [*found.protocol["notes"], "<b>"]
    told = replace(found, protocol={**found.protocol, "questions": questions, "notes": notes})
    page = report(told, tmp_path / "nowhere")
    assert "<script" not in page
    assert "<b>" not in page
    tree = parsed(page)
    assert next(tree.iter("h2")).text == nasty
    assert not list(tree.iter("img"))


def test_the_page_is_bounded(found):
    page = report(found, megabytes=0.02)
    assert "The page is full" in page
    assert len(page) < 30_000
    assert len(list(parsed(report(found, questions=4)).iter("section"))) == 4
