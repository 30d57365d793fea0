"""Composed questions on plain colours: rankings known by hand, what is kept and what is pooled."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from composed_kit import COLOURS, ColourEncoder, palette

from needlepoint.bench import composed_data
from needlepoint.bench.array_view import ArrayView
from needlepoint.bench.composed import Pieces, ranked, read_composed_line, scores_of
from needlepoint.bench.composed_results import Answered, ComposedRun, Pool, load_composed, pooled
from needlepoint.bench.composed_run import ComposedBench, ComposedSettings
from needlepoint.bench.counting import counted
from needlepoint.bench.gallery import describe_gallery
from needlepoint.bench.protocol import Item
from needlepoint.bench.results import Skipped
from needlepoint.cli.main import run as command
from needlepoint.encoders import address
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.methods import card as cards
from needlepoint.methods.card import Method, describer_of
from needlepoint.methods.composing import Again, Composed
from needlepoint.store.base import Probe

NAMES = list(COLOURS)
SUM = "weighted_sum:alpha=0.5"


@pytest.fixture
def protocol(tmp_path):
    return palette(tmp_path / "data")


@pytest.fixture
def view(protocol):
    album = Pieces(protocol)
    encoder = ColourEncoder()
    described = describe_gallery(encoder, describer_of("none"), album.files, album)
    return ArrayView(encoder, described, album.files, album)


def bench(tmp_path, encoder=None, **settings):
    return ComposedBench(
        encoder or ColourEncoder(), tmp_path / "out", settings=ComposedSettings(**settings)
    )


def top(run, number):
    return [NAMES[i] for i, _ in run.answers[number].top]


def test_rankings_are_those_worked_out_by_hand(tmp_path, protocol):
    (run,) = bench(tmp_path).run([protocol], [SUM])
    # red and green make yellow; red itself is junk, and equal scores come in gallery order
    assert top(run, 0) == ["yellow", "green", "magenta", "cyan", "blue"]
    assert run.answers[0].ranks == (1,)
    assert [NAMES[i] for i in run.answers[0].found] == ["yellow"]
    assert run.answers[0].top[0][1] == pytest.approx(1, abs=1e-6)
    assert run.answers[1].ranks == (2,)
    # the mean of (1, 1, 0) and (1, 0, 1) is nearest to yellow and magenta, then to red
    assert top(run, 3) == ["magenta", "yellow", "red", "cyan", "green", "blue"]
    assert run.answers[3].ranks == (2, 6)
    assert run.values("mAP")[3] == (1 / 2 + 2 / 6) / 2
    assert run.answers[3].top[0][1] == pytest.approx(3 / math.sqrt(12), abs=1e-6)


def test_a_question_among_few_ranks_only_those(tmp_path, protocol):
    few = frozenset({"green.png", "blue.png", "yellow.png"})
    asked = replace(protocol.questions[1], among=few)
    (run,) = bench(tmp_path).run([replace(protocol, questions=(asked,))], [SUM])
    assert top(run, 0) == ["yellow", "green", "blue"]
    assert run.answers[0].ranks == (2,)


def test_what_one_half_solves_is_told_apart(tmp_path, protocol):
    runs = bench(tmp_path).run([protocol], [SUM, "reference-only", "text-only"])
    for run in runs:
        assert [one.alone for one in run.answers] == [False, True, True, False]
    row = Pool((runs[0],)).row()
    assert (row["questions_both"], row["questions_alone"]) == (2, 2)
    assert (row["R@1"], row["R@1_both"], row["R@1_alone"]) == (0.25, 0.5, 0.0)
    assert Pool((runs[1],)).row()["R@1_alone"] == 0.5
    kinds = {one["kind"]: one for one in Pool((runs[0],)).by_kind()}
    assert kinds["recolour"]["R@1"] == 0.5
    assert kinds["move"]["R@1"] == 0.0
    assert {one["by"] for one in kinds.values()} == {"change"}


def test_branches_in_several_wordings_are_averaged_as_scores(view):
    one = Composed((Probe(0, np.float32([1, 0, 0]), std=0.5),))
    other = Composed((Probe(0, np.float32([0, 1, 0]), mean=0.2),))
    both = scores_of([one, other], view)
    assert both == pytest.approx((scores_of([one], view) + scores_of([other], view)) / 2)
    red, green = both[NAMES.index("red")], both[NAMES.index("green")]
    assert (red, green) == pytest.approx(((2 - 0.2) / 2, (0 + 0.8) / 2))


def test_a_shortlist_is_put_in_order_again_and_stays_above_the_rest(view, protocol):
    seen = []

    def upside_down(ids, scores):
        seen.append(ids.tolist())
        return -scores - 5

    plain = Composed((Probe(0, np.float32([1, 1, 0]) / math.sqrt(2)),))
    index = {name: place for place, name in enumerate(item.id for item in protocol.gallery)}
    asked = replace(protocol.questions[0], junk=frozenset())
    before = ranked(scores_of([plain], view), asked, index).tolist()
    few = replace(plain, again=Again(upside_down, 3))
    after = ranked(scores_of([few], view), asked, index).tolist()
    assert [NAMES[i] for i in after[:3]] == ["red", "green", "yellow"]
    assert after[3:] == before[3:]
    ranked(scores_of([replace(plain, again=Again(upside_down, 0))], view), asked, index)
    assert [len(ids) for ids in seen] == [3, 6]


def test_pieces_of_a_picture_are_pictures_of_the_gallery(tmp_path, protocol):
    from PIL import Image

    wide = Image.new("RGB", (40, 20), "red")
    wide.paste((0, 0, 255), (20, 0, 40, 20))
    wide.save(tmp_path / "data" / "wide.png")
    boxes = {"left": (0.0, 0.0, 20.0, 20.0), "right": (20.0, 0.0, 20.0, 20.0)}
    gallery = tuple(Item(name, "wide.png", box) for name, box in boxes.items())
    asked = replace(
        protocol.questions[0], relevant=frozenset({"right"}), junk=frozenset(), changes=("blue",)
    )
    cut = replace(protocol, gallery=gallery, questions=(asked,))
    (run,) = bench(tmp_path).run([cut], ["text-only"])
    assert run.answers[0].ranks == (1,)
    assert [score for _, score in run.answers[0].top] == pytest.approx([1, 0], abs=1e-3)


def test_a_finished_line_is_not_run_again(tmp_path, protocol):
    first = bench(tmp_path).run([protocol], [SUM, "text-only"])
    encoder = ColourEncoder()
    lines = [SUM, "pic2wort", "weighted_sum:alfa=1", "windows:9", "text-only"]
    again = bench(tmp_path, encoder).run([protocol], lines)
    assert encoder.calls == []
    assert [again[0], again[4]] == first
    reasons = [one.reason for one in again[1:4]]
    assert all(isinstance(one, Skipped) and not one.failed for one in again[1:4])
    assert "unknown method" in reasons[0]
    assert "alfa" in reasons[1]
    assert "no picture with a change" in reasons[2]
    assert bench(tmp_path, limit=2).run([protocol], [SUM])[0] != first[0]


def test_a_failure_of_one_line_is_told_and_the_others_go_on(tmp_path, protocol, monkeypatch):
    held = cards.find_method("weighted_sum")

    class Broken:
        def compose(self, changes, view):
            raise ZeroDivisionError("oh")

    broken = replace(held, composer=lambda options, helpers: Broken())
    monkeypatch.setitem(cards._METHODS, "broken", broken)
    one, other = bench(tmp_path).run([protocol], ["broken", SUM])
    assert one.failed
    assert one.reason == "ZeroDivisionError: oh"
    assert isinstance(other, ComposedRun)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A method whose seed 0 answers with the picture, and whose other seeds with the words."""
    cards.list_methods()
    held = cards.find_method("weighted_sum")

    def composer(options, helpers):
        return held.composer("alpha=0" if options.endswith("-s0") else "alpha=1", helpers)

    method: Method = replace(held, composer=composer)
    monkeypatch.setitem(cards._METHODS, "toy_net", method)
    weights = tmp_path / "weights"
    for seed in range(3):
        folder = weights / f"toy_net-s{seed}"
        folder.mkdir(parents=True)
        (folder / "net.safetensors").write_bytes(b"%d" % seed)
        (folder / "training.json").write_text(json.dumps({"minutes": 2 + seed}))
    return weights


def test_seeds_of_one_method_are_one_row(tmp_path, protocol, trained):
    lines = [f"toy_net:weights={{weights}}/toy_net-s{seed}" for seed in (2, 0, 1, 7)]
    done = bench(tmp_path, weights=trained).run([protocol], lines)
    assert "toy_net-s7 is not among the trained parts" in done[3].reason
    (pool,) = pooled(done[:3])
    assert [run.key["train_seed"] for run in pool.runs] == [0, 1, 2]
    row = pool.row()
    assert (row["method"], row["seeds"]) == ("toy_net:weights={weights}/toy_net", 3)
    # seed 0 solves "seen" alone, the others "words": 1 of 4 each
    assert row["R@1"] == 0.25
    assert row["R@1_seeds"] == 0.0
    found = [run.values("mAP") for run in pool.runs]
    assert found[1] == found[2] != found[0]
    assert pool.values("mAP") == pytest.approx(np.mean(found, axis=0))
    means = [np.mean(one) for one in found]
    assert row["mAP_seeds"] == pytest.approx(np.std(means, ddof=1), abs=1e-4)
    assert row["train_minutes"] == 3.0


def test_other_trained_parts_are_run_again(tmp_path, protocol, trained):
    line = "toy_net:weights={weights}/toy_net-s0"
    bench(tmp_path, weights=trained).run([protocol], [line])
    (trained / "toy_net-s0" / "net.safetensors").write_bytes(b"better")
    encoder = ColourEncoder()
    bench(tmp_path, encoder, weights=trained).run([protocol], [line])
    assert encoder.calls


def test_half_truths_and_undefined_questions_are_counted(tmp_path):
    answers = (
        Answered("a", "g", (1,), (0,), ((0, 0.9),), False),
        Answered("b", "g", (), (), ((1, 0.9),), False, half="picture kept"),
        Answered("c", "h", (3,), (4,), ((1, 0.9),), True, half="words only"),
    )
    key = dict.fromkeys(
        ("encoder", "protocol", "split", "revision", "data", "limit", "pool", "fusion"), "x"
    ) | {"train_seed": None, "recipe": "none", "method": "m"}
    run = ComposedRun(key, {}, {"compose_ms": 1.0}, answers, {"R@1": [1.0, None, 0.5]})
    row = Pool((run,)).row()
    assert (row["R@1"], row["R@1_both"], row["R@1_alone"]) == (0.75, 1.0, 0.5)
    assert row["first_picture kept"] == row["first_words only"] == round(1 / 3, 4)


def test_passes_of_a_question_are_counted(tmp_path, protocol):
    known, fresh = bench(tmp_path).run(
        [protocol, replace(protocol, name="palette/new", questions=protocol.questions[2:3])], [SUM]
    )
    assert (known.cost["text_passes"], known.cost["image_passes"]) == (1, 1 / 3)
    assert (fresh.cost["text_passes"], fresh.cost["image_passes"]) == (1, 1)
    for turn in range(2):  # what a line before it has read costs a line its own passes again
        (captioned,) = bench(tmp_path / str(turn)).run([protocol], ["weimocir:alpha=0.5"])
        assert captioned.cost["first_text_passes"] == 1
    counting, passes = counted(ColourEncoder())
    counting.text_features(["red", "blue"])
    assert passes.texts == 2


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a--b--c--d.json"
    path.write_text("{}")
    with pytest.raises(UsageError, match="no composed run"):
        load_composed(path)
    with pytest.raises(UsageError, match="csls"):
        read_composed_line("weighted_sum+csls")


def test_the_command_runs_the_suite_and_resumes(tmp_path, protocol, monkeypatch, capsysbinary):
    encoder = ColourEncoder()
    monkeypatch.setattr(composed_data, "read_data", lambda *told: [protocol])
    monkeypatch.setattr(address, "open_encoder", lambda *told, **how: encoder)
    out = ("--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"))
    asked = ("--suite", "composed", "--data", "x", "--model", "colours", *out)
    lines = ("--method", "weighted*", "--method", "text-only", "--method", "reference-only")
    assert command(["bench", "run", *asked, *lines]) == EXIT_HITS
    text = capsysbinary.readouterr().out.decode()
    assert "palette/edit dev · colours · 6 pictures, 4 questions, 2 of which need both" in text
    rows = list(csv.DictReader((tmp_path / "out" / "composed.csv").open()))
    assert {"reference-only", "text-only", SUM} < {row["method"] for row in rows}
    kinds = list(csv.DictReader((tmp_path / "out" / "composed-kinds.csv").open()))
    assert {(row["by"], row["kind"]) for row in kinds} == {
        ("change", "recolour"),
        ("change", "move"),
    }
    encoder.calls.clear()
    assert command(["bench", "run", *asked, *lines, "--json"]) == EXIT_HITS
    told = json.loads(capsysbinary.readouterr().out)
    assert encoder.calls == []
    assert len(told) == len(rows)
    assert command(["bench", "run", *asked, "--task", "nothing"]) != EXIT_HITS
