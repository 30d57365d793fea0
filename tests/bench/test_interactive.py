"""Conversations on a toy gallery: the view, the controls, whole runs and their tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_encoder import ToyEncoder

from needlepoint.bench.array_view import ArrayView, probes_of
from needlepoint.bench.gallery import Album, describe_gallery, load_described
from needlepoint.bench.interactive import AllWords, OpeningOnly, converse, read_talk_line
from needlepoint.bench.interactive_run import TalkBench, Talks, TalkSettings, load_talks
from needlepoint.bench.needle.truth import Placed, ScenePicture, Truth
from needlepoint.bench.results import Skipped
from needlepoint.cli.main import run
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.methods.card import describer_of
from needlepoint.methods.dialogue import Helpers, Mark, Turn, Understood
from needlepoint.query import Part, Query
from needlepoint.store.base import Probe

WORDS = ("sofa", "lemon", "umbrella", "owl", "tent", "boat")
COUNT = 8


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Eight pictures with a coloured square each, and what can be said of them."""
    folder = tmp_path_factory.mktemp("talk") / "scenes"
    (folder / "pictures").mkdir(parents=True)
    rng = np.random.default_rng(3)
    pictures = []
    for number in range(COUNT):
        pixels = rng.integers(90, 110, (96, 128, 3), dtype=np.uint8)
        pixels[30:70, 40:90] = rng.integers(0, 255, 3)
        Image.fromarray(pixels).save(folder / f"pictures/{number}.png")
        things = [
            Placed(w, f"{w}{number}", (40, 30, 50, 40), 0.02 + i / 50, 1.0, None, "", w, colour)
            for i, w in enumerate(np.random.default_rng(number).permutation(WORDS)[:3].tolist())
            for colour in [("red", None)[(number + i) % 2]]
        ]
        pictures.append(ScenePicture(f"pictures/{number}.png", 128, 96, "grey", tuple(things)))
    Truth("toys", "dev", 1, "CC0-1.0", pictures=tuple(pictures), version=2).save(folder)
    return folder


@pytest.fixture(scope="module")
def view(scenes):
    files = [scenes / f"pictures/{number}.png" for number in range(COUNT)]
    album = Album()
    described = describe_gallery(ToyEncoder(), describer_of("windows:4"), files, album)
    return ArrayView(ToyEncoder(), described, files, album, captions=[f"no {n}" for n in range(8)])


def unit(seed):
    vector = np.random.default_rng(seed).standard_normal(12).astype(np.float32)
    return vector / np.linalg.norm(vector)


def test_a_search_is_the_best_of_whole_and_regions_summed_over_probes(view):
    probes = [Probe(0, unit(1), 0.5, 0.1, 0.2), Probe(0, unit(2), -0.25)]
    held = view._described.spaces["joint"]
    slow = []
    for number in range(COUNT):
        rows = [held.whole[number], *held.regions[held.offsets[number] : held.offsets[number + 1]]]
        best = [max(float(row @ probe.vector) for row in rows) for probe in probes]
        slow.append((0.5 * (best[0] - 0.1) / 0.2 - 0.25 * best[1]) / 0.75)
    assert view.scores(probes) == pytest.approx(slow, abs=1e-5)
    ids, scores = view.search(probes, 3)
    assert ids.tolist() == sorted(range(COUNT), key=lambda i: -slow[i])[:3]
    assert view.search(probes, COUNT)[1][:3].tolist() == scores.tolist()


def test_marks_are_pictures_or_pieces(view):
    whole, piece = view.marked([Mark(2), Mark(2, (40.0, 30.0, 50.0, 40.0))])
    assert whole.vector.tolist() == view.wholes([2], 0)[0].tolist()
    assert float(whole.vector @ piece.vector) < 0.999
    assert view.search([whole], 1)[0].tolist() == [2]
    assert (whole.weight, whole.space, view.captions([1])) == (1.0, 0, ["no 1"])
    again = view.seen(view.pixels(2, 0))
    assert again.vector.shape == (12,)


def test_backgrounds_come_of_the_gallery_and_are_kept_where_known(view):
    plain, known = Probe(0, unit(4)), Probe(0, unit(4), mean=0.5, std=2.0)
    first, second = view.standard([plain, known])
    scores = view.scores([plain])
    assert (first.mean, first.std) == pytest.approx((scores.mean(), scores.std()))
    assert second is known
    assert view.sample(3, 0).tolist() == [0, 4, 7]
    assert view.sample(99, 0).tolist() == list(range(COUNT))


def test_controls_hear_the_opening_or_all_words(view):
    turns = [Turn("a sofa"), Turn("yes", "is it red?"), Turn(more=(Mark(1),)), Turn("an owl")]
    opening, words = OpeningOnly(), AllWords()
    assert opening.understand(turns, view).query == Query((Part("text", "a sofa"),))
    told = words.understand(turns, view)
    assert told.query == Query((Part("text", "a sofa, is it red? yes, an owl"),))
    assert (opening.ask(turns, view), words.ask(turns, view)) == ("", "")
    assert probes_of(told, view)[0].vector.shape == (12,)


class Scripted:
    """Says what it is told to, and writes down what it was shown and asked."""

    def __init__(self, *turns):
        self.turns, self.seen = list(turns), []

    def opening(self):
        return self.turns.pop(0)

    def reply(self, shown, question):
        self.seen.append((list(shown), question))
        return self.turns.pop(0)


class Echo:
    """Searches with the last mark; asks by the number of turns."""

    def understand(self, turns, view):
        return Understood(tuple(view.marked(turns[-1].more)))

    def ask(self, turns, view):
        return f"question {len(turns)}"


def test_a_conversation_is_ranked_round_by_round(view):
    marks = [Turn(more=(Mark(number),)) for number in (4, 2)]
    user = Scripted(marks[0], None, marks[1])
    held = converse(Echo(), view, user, target=2, pictures=COUNT, rounds=2, shown=3)
    order = view.search(view.marked([Mark(4)]), COUNT)[0].tolist()
    assert held.ranks == (order.index(2) + 1, order.index(2) + 1, 1)
    assert held.seconds[1] == 0.0 < held.seconds[0]
    assert user.seen == [(order[:3], "question 1"), (order[:3], "question 1")]
    assert held.asked == 1  # nobody answers after the last round


def test_lines_name_method_recipe_and_user():
    line = read_talk_line("feedback:more=1 on none with marks=pieces,rounds=2")
    assert (line.method, line.recipe, line.manner.rounds) == ("feedback:more=1", "none", 2)
    assert read_talk_line("words").recipe == "dense:32@1x"
    with pytest.raises(UsageError, match="user: option 'mark=pieces' is not known"):
        read_talk_line("feedback with mark=pieces")
    with pytest.raises(UsageError, match="whole does not converse"):
        read_talk_line("whole").dialogue(Helpers())


def test_a_run_is_kept_and_told(scenes, tmp_path):
    lines = ["opening on none", "feedback on none with marks=pictures,rounds=2", "whole on none"]
    settings = TalkSettings(targets=5, seeds=(0, 1))

    def hold(**changes):
        bench = TalkBench(ToyEncoder(), tmp_path, settings=settings, **changes)
        return bench.run([scenes], lines)

    first, second, skipped = hold()
    assert isinstance(first, Talks)
    assert isinstance(second, Talks)
    assert isinstance(skipped, Skipped)
    assert "does not converse" in skipped.reason
    assert second.ranks.shape == (10, 3)
    assert [one.seed for one in second.held] == [0] * 5 + [1] * 5
    row = second.row()
    assert row["talks"] == 10
    assert row["targets"] == 5
    assert row["Hits@5_low"] <= row["Hits@5"] <= row["Hits@5_high"]
    rounds = list(second.by_round())
    assert [one["round"] for one in rounds] == [0, 1, 2]
    assert [one["Hits@1"] for one in rounds] == sorted(one["Hits@1"] for one in rounds)
    assert rounds[2]["Hits@5"] == row["Hits@5"]
    again = hold()
    assert [one.held for one in again[:2]] == [first.held, second.held]  # read, not run
    fresh = hold(force=True)
    assert fresh[1].ranks.tolist() == second.ranks.tolist()
    (path,) = tmp_path.glob("*feedback*.json")
    assert load_talks(path).held == fresh[1].held
    path.write_text(json.dumps({"talks": 0}))
    with pytest.raises(UsageError, match="no conversations of this version"):
        load_talks(path)


def test_described_galleries_are_kept(scenes, tmp_path):
    def hold(**changes):
        encoder = ToyEncoder()
        settings = TalkSettings(targets=2, seeds=(0,))
        bench = TalkBench(encoder, tmp_path / "out", settings=settings, **changes)
        (told,) = bench.run([scenes], ["feedback on windows:4 with marks=pictures"])
        return told.ranks.tolist(), [call for call, _ in encoder.calls]

    plain, _ = hold()
    first, _ = hold(cache=tmp_path / "cache", force=True)
    (path,) = (tmp_path / "cache" / "galleries").glob("*.npz")
    for old in (tmp_path / "out").glob("*.json"):
        old.unlink()
    again, calls = hold(cache=tmp_path / "cache")
    assert plain == first == again
    assert "image" not in calls
    path.write_bytes(b"damaged")
    assert load_described(path) is None
    for old in (tmp_path / "out").glob("*.json"):
        old.unlink()
    assert hold(cache=tmp_path / "cache")[0] == plain
    assert load_described(path) is not None


def test_scenes_without_words_are_skipped_with_a_reason(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    thing = Placed("x", "x", (0, 0, 5, 5), 0.1, 1.0)
    pictures = (ScenePicture("a.png", 20, 20, "grey", (thing,)),)
    Truth("toys", "dev", 1, "CC0-1.0", pictures=pictures).save(folder)
    (told,) = TalkBench(ToyEncoder(), tmp_path / "out").run([folder], ["opening"])
    assert "without words" in told.reason


def test_from_the_command_line(scenes, tmp_path, capfd):
    args = ["bench", "run", "--suite", "interactive", "--data", str(scenes), "--model", "builtin"]
    args += ["--out", str(tmp_path), "--cache", str(tmp_path / "cache"), "--limit-questions", "3"]
    args += ["--method", "opening on none", "--method", "feedback on none with marks=pieces"]
    assert run(args) == EXIT_HITS
    printed = capfd.readouterr().out
    assert "talk-toys dev · builtin · 9 conversations" in printed
    assert "Hits@10 by round" in printed
    with Path(tmp_path / "interactive.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == [
        "feedback on none with marks=pieces",
        "opening on none",
    ]
    assert float(rows[0]["BRI"]) >= 0
    assert len((tmp_path / "by_round.csv").read_text().splitlines()) == 1 + 2 * 6
