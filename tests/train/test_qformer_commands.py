"""The commands train blip2 and train qformer, from a set of edits to a folder that opens."""

from __future__ import annotations

import json

import pytest
from qformer_kit import COLOURS, coloured, opened

from needlepoint.bench.needle.edit_graph import Change
from needlepoint.bench.needle.edit_truth import EditPicture, EditQuestion, EditTruth
from needlepoint.cli.main import run

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    """The coloured shapes as a set of needle edits."""
    folder = tmp_path_factory.mktemp("edits")
    protocol = coloured(folder)
    pictures = [
        EditPicture(item.file, 0, "", "", "", (), item.file.partition(".")[0].replace("-", " "))
        for item in protocol.gallery
    ]
    questions = [
        EditQuestion(
            one.id,
            list({q.group: 0 for q in protocol.questions}).index(one.group),
            "plain",
            one.file,
            Change("recolour", "", one.id.partition("-")[0]),
            one.changes,
            next(iter(one.relevant)),
            tuple(one.relevant),
            (),
        )
        for one in protocol.questions
    ]
    EditTruth("train", 0, "CC0-1.0", (48, 48), {}, tuple(pictures), tuple(questions)).save(folder)
    return folder


@pytest.fixture(scope="module")
def small(edits, tmp_path_factory):
    import tiny

    place = tmp_path_factory.mktemp("small")
    tower = tiny.hf_clip(place / "clip")
    words = f"train blip2 --vision hf:{tower} --data {edits} --out {place / 'small'} --steps 4"
    sizes = "--width 32 --queries 3 --dim 16 --words 20 --threads 1"
    assert run([*words.split(), *sizes.split(), "--batch", "9"]) == 0
    return place / "small"


def test_a_small_one_has_a_card(small):
    told = json.loads((small / "training.json").read_text())
    assert (told["steps_done"], told["pairs"]) == (4, 9)
    assert "--vision hf:" in told["command"]
    assert "taught which text" in (small / "README.md").read_text()


def test_a_method_is_trained_from_it_and_goes_on(small, edits, tmp_path, capsys):
    out = tmp_path / "mine"
    words = ["train", "qformer", "--method", "dqe-cir", "--model", f"hf:{small}", "--out", str(out),
             "--data", str(edits), "--epochs", "2", "--batch", "6", "--held-out", "0.34",
             "--high", "0.5", "--count", "2", "--refresh", "1", "--threads", "1",
             "--kin", "3"]  # fmt: skip
    assert run([*words, "--stop-after", "2"]) == 0
    assert run(words) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert run([*words, "--resume"]) == 0
    told = json.loads((out / "training.json").read_text())
    assert told["steps_done"] == 4
    assert told["data"]["questions"] == 12
    assert told["held_out"]["questions"] == 6
    assert told["recipe"]["choice"]["bounds"]["high"] == 0.5
    assert (told["recipe"]["count"], told["recipe"]["kin"]) == (2, 3)
    assert opened(out).trained == "dqe_cir"
    assert list(opened(out).attribute_weights(list(COLOURS))) == ["colour", "shape"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["--method", "combiner"], "method: must be sprc, qure or dqe_cir, received 'combiner'"),
        (["--pad-ratio", "1.25"], "looks through another encoder's tower"),
        (["--base", "qure"], "base: that of sprc is sprc, not qure"),
        (["--model", "builtin"], "has no Q-Former"),
    ],
)
def test_what_does_not_fit_is_told(small, edits, tmp_path, capsys, changed, told):
    words = ["train", "qformer", "--method", "sprc", "--model", f"hf:{small}",
             "--out", str(tmp_path / "mine"), "--data", str(edits)]  # fmt: skip
    assert run([*words, *changed]) == 2
    assert told in capsys.readouterr().err
