"""Running method lines: what is measured, skipped, resumed and written."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toy_encoder import DIM, ToyEncoder

from needlepoint.bench.compare import compare, holm, rivals
from needlepoint.bench.composed import read_composed_line
from needlepoint.bench.interactive import read_talk_line
from needlepoint.bench.metrics import paired_bootstrap
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.bench.results import Run, Skipped, find_run, load_run, write_table
from needlepoint.bench.rules import RuleChat
from needlepoint.bench.runner import Bench, Settings, fewer_pictures
from needlepoint.bench.spec import read_spec
from needlepoint.bench.suite import SUITES, chosen_lines, find_suite
from needlepoint.errors import UsageError
from needlepoint.methods.dialogue import Helpers
from needlepoint.regions.describe import grid_boxes
from needlepoint.search.fusion import BEST, WHOLE

G = 6


@pytest.fixture
def words(tmp_path):
    """Six pictures on disk and twelve questions in words about them."""
    return make(tmp_path / "data")


def make(folder):
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(G):
        small = rng.integers(0, 255, (5, 6, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((240, 200), Image.Resampling.NEAREST)
        image.save(folder / f"{number}.png")
    names = [f"{number}.png" for number in range(G)]
    questions = [
        Question(
            f"q{number}",
            frozenset({names[number % G], names[(number + 2) % G]}),
            text=f"thing number {number}",
            junk=frozenset({names[(number + 1) % G]}),
            boxes={names[number % G]: ((0.0, 0.0, 120.0, 100.0),)},
            group=f"g{number % 4}",
        )
        for number in range(12)
    ]
    gallery = tuple(Item(name, name) for name in names)
    return Protocol("toys/thing", "dev", str(folder), gallery, tuple(questions))


def run(bench, protocol, *lines):
    return bench.run([protocol], lambda one: lines)


def test_scores_are_those_of_the_slow_way(tmp_path, words):
    encoder = ToyEncoder()
    found = run(Bench(encoder, tmp_path / "out"), words, "windows:9")[0]
    assert isinstance(found, Run)
    plain = ToyEncoder()
    for one, question in zip(found.answers, words.questions, strict=True):
        probe = plain.text_features([question.text]).vector[0]
        scores = []
        for item in words.gallery:
            pixels = np.asarray(Image.open(f"{words.folder}/{item.file}").convert("RGB"))
            crops = [pixels[y : y + h, x : x + w] for x, y, w, h in grid_boxes(240, 200, 9)]
            vectors = plain.image_features([pixels, *crops]).vector
            scores.append(float((vectors @ probe).max()))
        order = np.argsort(-np.array(scores), kind="stable")
        order = [i for i in order if words.gallery[i].id not in question.junk]
        assert [i for i, _ in one.top] == order
        assert [s for _, s in one.top] == pytest.approx([scores[i] for i in order], abs=1e-5)
    assert found.cost["passes"] == 10
    assert found.cost["regions"] == 9
    # i8 regions with 8 bytes for a box, a whole vector of twice the width
    assert found.cost["bytes"] == 2 * DIM + 9 * (DIM + 8)
    assert found.key["fusion"] == "best"
    for name in ("describe_ms", "describe_cpu_ms", "ask_ms", "score_ms"):
        assert found.cost[name] >= 0


def test_a_finished_line_is_not_run_again(tmp_path, words):
    out = tmp_path / "out"
    first = run(Bench(ToyEncoder(), out), words, "whole", "windows:9+gated@0.4")
    encoder = ToyEncoder()
    again = run(Bench(encoder, out), words, "whole", "nonsense", "windows:9+gated@0.4")
    assert [one.method for one in again] == ["whole", "nonsense", "windows:9+gated@0.4"]
    again = [again[0], again[2]]
    assert encoder.calls == []
    assert [one.row() for one in again] == [one.row() for one in first]
    assert again[1].answers == first[1].answers
    assert again[1].gate == pytest.approx(first[1].gate)
    forced = ToyEncoder()
    run(Bench(forced, out, force=True), words, "whole")
    assert forced.calls


@pytest.mark.parametrize(
    "change",
    [
        lambda p: replace(p, split="test"),
        lambda p: replace(p, questions=p.questions[1:]),
        lambda p: replace(p, name="toys/other"),
    ],
)
def test_another_protocol_is_run(tmp_path, words, change):
    run(Bench(ToyEncoder(), tmp_path), words, "whole")
    encoder = ToyEncoder()
    run(Bench(encoder, tmp_path), change(words), "whole")
    assert encoder.calls


def test_other_pixels_another_card_seed_and_limit_are_run(tmp_path, words):
    run(Bench(ToyEncoder(), tmp_path), words, "whole")
    for bench in (
        Bench(ToyEncoder(weights_hash="newer"), tmp_path),
        Bench(ToyEncoder(), tmp_path, settings=Settings(limit=3)),
        Bench(ToyEncoder(), tmp_path, settings=Settings(seed=4)),
    ):
        run(bench, words, "whole")
        assert bench._plain.calls
    Image.new("RGB", (64, 64), "red").save(f"{words.folder}/0.png")
    encoder = ToyEncoder()
    run(Bench(encoder, tmp_path), words, "whole")
    assert encoder.calls


def test_questions_are_drawn_by_seed(tmp_path, words):
    settings = Settings(limit=5, seed=2)
    one = run(Bench(ToyEncoder(), tmp_path, settings=settings), words, "whole")[0]
    assert len(one.answers) == 5
    assert {a.id for a in one.answers} < {q.id for q in words.questions}
    assert "at most 5 questions" in one.notes[0]


def test_fewer_pictures_leave_the_questions_that_have_an_answer_there(tmp_path, words):
    less = fewer_pictures(words, 3, seed=0)
    ids = {item.id for item in less.gallery}
    assert len(ids) == 3
    assert less.revision() != words.revision()
    assert "3 of 6 pictures" in less.notes[-1]
    full = {one.id: one for one in words.questions}
    assert {one.id for one in less.questions} == {k for k, q in full.items() if q.relevant & ids}
    for one in less.questions:
        assert one.relevant == full[one.id].relevant & ids
        assert one.junk == full[one.id].junk & ids
        assert set(one.boxes) <= ids
    found = run(Bench(ToyEncoder(), tmp_path, settings=Settings(pictures=3)), words, "whole")[0]
    assert len(found.gallery) == 3
    assert found.key["revision"] == less.revision()


def test_lines_that_cannot_be_run_say_why_and_stop_nothing(tmp_path, words):
    done = run(
        Bench(ToyEncoder(), tmp_path),
        words,
        "nonsense",
        "lare",
        "truth-crops:file={truth}",
        "truth-crops",
        "dense",
        "whole",
    )
    reasons = {one.method: one.reason for one in done if isinstance(one, Skipped)}
    assert "unknown method 'nonsense'" in reasons["nonsense"]
    assert reasons["lare"] == "toy lacks received"
    assert "no truth.json" in reasons["truth-crops:file={truth}"]
    assert "file is not given" in reasons["truth-crops"]
    assert "dense" in reasons["dense"]
    assert [one.method for one in done if isinstance(one, Run)] == ["whole"]
    assert not any(one.failed for one in done if isinstance(one, Skipped))


def test_a_bug_in_one_method_is_a_failure_of_its_line_alone(tmp_path, words, monkeypatch):
    from needlepoint.methods.controls import grid

    monkeypatch.setattr(grid, "grid_cells", lambda *_: 1 / 0)
    done = run(Bench(ToyEncoder(), tmp_path), words, "grid", "whole")
    assert done[0].method == "grid"
    assert done[0].failed
    assert "ZeroDivisionError" in done[0].reason
    assert isinstance(done[1], Run)


def test_an_encoder_without_words_is_asked_none(tmp_path, words):
    card = ToyEncoder().card
    only = replace(card.spaces[0], answers=("image",))
    done = run(Bench(ToyEncoder(spaces=(only,), abilities=()), tmp_path), words, "whole")
    assert done[0].reason == "toy answers no questions by text"


def test_questions_with_a_change_are_sent_to_their_suite(tmp_path, words):
    asked = [Question("q", frozenset({"0.png"}), file="1.png", changes=("in red",))]
    done = run(Bench(ToyEncoder(), tmp_path), replace(words, questions=tuple(asked)), "whole")
    assert "asks with a picture and a change. Ask it with --suite composed." in done[0].reason


def test_a_picture_asks_with_its_piece(tmp_path, words):
    asked = tuple(
        replace(one, text="", file="3.png", box=(40.0, 0.0, 80.0, 80.0))
        for one in words.questions[:2]
    )
    found = run(Bench(ToyEncoder(), tmp_path), replace(words, questions=asked), "whole")[0]
    pixels = np.asarray(Image.open(f"{words.folder}/3.png").convert("RGB"))
    probe = ToyEncoder().image_features([pixels[0:80, 40:120]]).vector[0]
    first, score = found.answers[0].top[0]
    seen = np.asarray(Image.open(f"{words.folder}/{first}.png").convert("RGB"))
    assert score == pytest.approx(float(ToyEncoder().image_features([seen]).vector[0] @ probe))


def test_csls_is_a_line_of_its_own_and_says_so(tmp_path, words):
    plain, hubs = run(Bench(ToyEncoder(), tmp_path), words, "whole", "whole+csls")
    assert "transductive" in hubs.notes[0]
    assert plain.notes == ()
    assert hubs.key["csls"] == 10
    assert hubs.answers[0].top != plain.answers[0].top


def test_the_cache_changes_no_figure(tmp_path, words):
    lines = ("whole", "random-windows+best", "five-crop")
    plain = run(Bench(ToyEncoder(), tmp_path / "a"), words, *lines)
    for name in ("b", "c"):
        kept = run(Bench(ToyEncoder(), tmp_path / name, cache=tmp_path / "k"), words, *lines)
        for one, other in zip(plain, kept, strict=True):
            assert one.answers == other.answers
            assert one.cost["passes"] == other.cost["passes"]


def test_rows_have_intervals_costs_and_what_they_hang_on(tmp_path, words):
    done = run(Bench(ToyEncoder(), tmp_path), words, "windows:9+gated@2", "nonsense", "whole")
    write_table([one.row() for one in done], tmp_path / "rows.csv")
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    by = {row["method"]: row for row in rows}
    row = by["windows:9+gated@2"]
    assert float(row["mAP_low"]) <= float(row["mAP"]) <= float(row["mAP_high"])
    assert float(row["gate_open_any"]) == 1.0
    assert float(row["gate_boost_any"]) > 0
    assert row["revision"] == words.revision()
    for column in ("hardware", "python", "needlepoint", "seed", "data", "passes", "bytes"):
        assert row[column] != ""
    assert by["nonsense"]["skipped"]
    assert by["whole"]["box_hits"] == ""


def test_runs_are_found_by_words_and_read_back(tmp_path, words):
    done = run(Bench(ToyEncoder(), tmp_path), words, "whole", "whole+csls")
    assert load_run(find_run("toys/thing whole", tmp_path)).answers == done[0].answers
    assert load_run(find_run("csls", tmp_path)).answers == done[1].answers
    with pytest.raises(UsageError, match="fits 2 names"):
        find_run("toys dev", tmp_path)
    bad = tmp_path / "bad--.json"
    bad.write_text(json.dumps({"form": 1}))
    with pytest.raises(UsageError, match="no run of the bench"):
        load_run(bad)


def test_two_runs_are_compared_question_by_question(tmp_path, words):
    one, two = run(Bench(ToyEncoder(), tmp_path), words, "whole", "windows:9")
    found = {row.measure: row for row in compare(one, two)}["mAP"]
    before = [a.average_precision() for a in one.answers]
    after = [a.average_precision() for a in two.answers]
    groups = [q.group for q in words.questions]
    expected, p = paired_bootstrap(after, before, groups=groups)
    assert found.difference.estimate == pytest.approx(expected)
    assert found.p == pytest.approx(p)
    assert found.better == sum(b > a for a, b in zip(before, after, strict=True))
    assert found.groups == 4
    same = {row.measure: row for row in compare(one, one)}["mAP"]
    assert (same.p, same.better, same.worse) == (1.0, 0, 0)
    other = replace(two, key={**two.key, "revision": "other"})
    with pytest.raises(UsageError, match="differ in revision"):
        compare(one, other)


def test_rivals_are_runs_on_the_same_data_and_p_is_raised_for_their_number(tmp_path, words):
    lines = ("whole", "windows:4", "whole+csls")
    done = run(Bench(ToyEncoder(), tmp_path), words, *lines)
    run(Bench(ToyEncoder(), tmp_path), replace(words, split="test"), "whole")
    run(Bench(ToyEncoder(weights_hash="newer"), tmp_path), words, "whole")
    assert {one.method for one in rivals(done[0], tmp_path)} == {"windows:4", "whole+csls"}
    assert holm([]) == []
    assert holm([0.9, 0.001, 0.9]) == [1.0, 0.003, 1.0]
    assert holm([0.01, 0.02, 0.022, 0.3]) == pytest.approx([0.04, 0.06, 0.06, 0.3])


@pytest.mark.parametrize(
    ("text", "recipe", "kind"),
    [
        ("whole", "none", "whole"),
        ("windows", "windows:9", "best"),
        ("dense:8@2x+gated", "dense:8@2x", "gated"),
        ("lare:n=7,tau=0.1", "lare:n=7", "gated"),
        ("lare+best", "lare", "best"),
        ("grid:n=2,fusion=best", "grid:n=2", "best"),
        ("hard-max on lare:n=7", "lare:n=7", "best"),
        ("whole on windows:4", "windows:4", "whole"),
    ],
)
def test_method_lines(text, recipe, kind):
    spec = read_spec(text)
    assert spec.recipe == recipe
    assert spec.how(ToyEncoder().card).kind == kind


def test_endings_of_method_lines(tmp_path):
    card = ToyEncoder().card
    assert read_spec("lare+whole").how(card) == WHOLE
    assert read_spec("lare+best+csls").how(card) == BEST
    assert read_spec("lare+csls+gated@-1").how(card).tau == -1
    assert read_spec("lare:tau=0.1").how(card).tau == 0.1
    truth = tmp_path / "a,b.json"
    truth.write_text(json.dumps({"images": [], "annotations": []}))
    assert read_spec("truth-crops:file={truth}", truth).options == f"file={tmp_path}/a,,b.json"
    for wrong, told in (
        ("lare+best+gated", "two fusions"),
        ("windows on lare", "searches windows"),
        ("lare:n=x", "is not int"),
    ):
        with pytest.raises(UsageError, match=told):
            read_spec(wrong)


def test_the_suites_name_methods_that_exist_and_no_line_twice(words, tmp_path):
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps({"images": [], "annotations": []}))
    for suite in SUITES.values():
        for line in suite.lines:
            if suite.asks == "talks":
                read_talk_line(line.method).dialogue(Helpers(chat=RuleChat()))
            elif suite.asks == "composed":
                for trained in re.findall(r"\{weights\}/([\w.-]+)", line.method):
                    (tmp_path / trained).mkdir(exist_ok=True)
                found = read_composed_line(line.method, tmp_path)
                assert found.weights is not None or found.composer(Helpers())
            else:
                read_spec(line.method, truth)
        for protocol in (words, pictured(words)):
            lines = suite.methods(protocol, ToyEncoder().card)
            assert len(set(lines)) == len(lines)


def test_lines_are_chosen_by_question_encoder_and_wild_card(words):
    suite, card = find_suite("fine-grained"), ToyEncoder().card
    assert chosen_lines(suite, ["who*"], words, card) == ["whole", "whole+csls"]
    assert chosen_lines(suite, ["lare:n=2"], words, card) == ["lare:n=2"]
    by_words, by_picture = suite.methods(words, card), suite.methods(pictured(words), card)
    assert not any("mao" in line for line in by_words)
    assert any("mao" in line for line in by_picture)
    assert "calibclip" in by_words
    assert "calibclip" not in by_picture
    assert "dense:32@1x" in suite.methods(words, replace(card, family="builtin"))
    assert "dense:32@1x" not in by_words
    with pytest.raises(UsageError, match="did you mean 'fine-grained'"):
        find_suite("fine-graned")


def pictured(protocol):
    """The same questions by picture."""
    asked = tuple(replace(one, text="", file="3.png") for one in protocol.questions)
    return replace(protocol, questions=asked)
