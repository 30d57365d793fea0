"""What is known of needle edits beside their questions, and where none are given."""

from __future__ import annotations

import json

import pytest
from composed_kit import COLOURS, ColourEncoder, palette

from needlepoint.bench import composed_data
from needlepoint.bench.composed_data import facts_of, read_composed
from needlepoint.bench.composed_results import Pool
from needlepoint.bench.composed_run import ComposedBench
from needlepoint.bench.needle.edit_graph import Change
from needlepoint.bench.needle.edit_truth import EditPicture, EditQuestion, EditTruth
from needlepoint.errors import UsageError


@pytest.fixture
def edits(tmp_path):
    """The palette as a set of edits: red, in green, is yellow; magenta is as good."""
    folder = tmp_path / "sets" / "tiny"
    palette(folder)
    pictures = tuple(
        EditPicture(f"{name}.png", 0, "plain", "", "", (), f"all {name}") for name in COLOURS
    )
    asked = EditQuestion(
        id="recolour-0000",
        family=0,
        tier="plain",
        reference="red.png",
        change=Change("recolour", "", "green"),
        texts=("green", "in green"),
        target="yellow.png",
        relevant=("yellow.png",),
        near=("magenta.png",),
        halves={"red.png": "reference", "green.png": "other scene", "blue.png": "unchanged"},
    )
    EditTruth("test", 5, "CC0-1.0", (24, 16), {}, pictures, (asked,)).save(folder)
    return folder


def test_what_comes_first_is_named_and_what_is_as_good_takes_no_rank(tmp_path, edits):
    (protocol,) = read_composed([str(edits.parent)], tmp_path, print)
    facts = facts_of(protocol)
    assert facts.captions == tuple(f"all {name}" for name in COLOURS)
    assert facts.kinds == {"recolour-0000": {"change": "recolour", "tier": "plain"}}
    bench = ComposedBench(ColourEncoder(), tmp_path / "out")
    lines = ["text-only", "reference-only", "weighted_sum:alpha=0.3"]
    words, seen, both = bench.run([protocol], lines)
    # green first; magenta, as near to red as yellow is, stands before it by its place
    assert words.answers[0].half == "other scene"
    assert (seen.answers[0].half, seen.answers[0].ranks) == ("as good", (1,))
    assert (both.answers[0].half, both.answers[0].ranks) == ("", (1,))
    assert seen.values("R@1") == [1.0]
    assert seen.values("R@1 strict") == [0.0]
    assert both.answers[0].alone  # by the picture
    row = Pool((words,)).row()
    assert (row["first_other scene"], row["questions_alone"], row["R@1_alone"]) == (1.0, 1, 0.0)
    assert {one["by"] for one in Pool((words,)).by_kind()} == {"change", "tier"}


def test_without_data_the_test_edits_are_made_once(tmp_path, edits, monkeypatch):
    made = []

    def build(folder, **how):
        made.append(how["split"])
        folder.mkdir(parents=True)
        (folder / "edits.json").write_text((edits / "edits.json").read_text("utf-8"))

    monkeypatch.setattr(composed_data, "build_edits", build)
    for _ in range(2):
        (protocol,) = read_composed([], tmp_path / "needle", lambda text: None)
    assert made == ["test"]
    assert protocol.name == "edits/composed"


def test_data_without_composed_questions_are_refused(tmp_path, edits, monkeypatch):
    told = json.loads((edits / "edits.json").read_text("utf-8")) | {"questions": []}
    (edits / "edits.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match="no composed questions"):
        read_composed([str(edits)], tmp_path, print)
