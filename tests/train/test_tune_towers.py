"""Both towers tuned on pixels: what a question is, what is saved, and a broken run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.cli.main import run
from needlepoint.encoders.address import open_encoder, parse
from needlepoint.encoders.raw import image_lengths, text_lengths
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.intake.decode import decode

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def model(recipe, tmp_path_factory):
    """A folder with a tiny model, its ViT on pixels."""
    from needlepoint.train.compact import train_dual

    folder = tmp_path_factory.mktemp("model")
    train_dual(recipe(steps=2, image_tower="vit"), folder)
    return folder


@pytest.fixture(scope="module")
def on_stem(recipe, cells, tmp_path_factory):
    """The same on the frozen stem."""
    from needlepoint.train.compact import train_dual

    folder = tmp_path_factory.mktemp("on-stem")
    train_dual(recipe(steps=2), folder, cache=cells)
    return folder


@pytest.fixture(scope="module")
def asked(shapes):
    """The same thing in the next colour: pictures 0 to 5 come again as 6 to 11, and so on."""
    colours = ("red", "green", "blue")
    questions = tuple(
        Question(
            str(number),
            frozenset({f"{number + 1:02}"}),
            file=f"{number:02}.png",
            changes=(f"in {colours[(number + 1) % 3]}", f"a {colours[(number + 1) % 3]} one"),
        )
        for number in range(23)
        if number % 3 < 2
    )
    gallery = tuple(Item(f"{number:02}", f"{number:02}.png") for number in range(24))
    return Protocol("shapes/recoloured", "train", str(shapes), gallery, questions)


def towers(model, asked, out, steps=4, **changes):
    from needlepoint.train.loop import Plan
    from needlepoint.train.tune_towers import TowersRecipe, tune_towers

    passed = {k: changes.pop(k) for k in ("resume", "stop_after") if k in changes}
    plan = Plan(steps=steps, rate=1e-3, warm_up=0, decay=0.01, save_every=2)
    chosen = TowersRecipe(plan, **({"batch": 8, "held_out": 0.2} | changes))
    return tune_towers(parse(f"open_clip:local-dir:{model}"), [asked], chosen, out, **passed)


@pytest.mark.parametrize("kind", ["model", "on_stem"])
def test_the_tuned_model_opens_and_sees_otherwise(kind, asked, tmp_path, shapes, request):
    model = request.getfixturevalue(kind)
    told = towers(model, asked, tmp_path, steps=6)
    before, after = (open_encoder(f"open_clip:local-dir:{one}") for one in (model, tmp_path))
    assert (before.preprocess.pad_ratio, after.preprocess.pad_ratio) == (0.0, 1.25)
    assert before.card.fingerprint() != after.card.fingerprint()
    texts = ["a red ball"]
    assert not np.allclose(before.encode_text(texts), after.encode_text(texts), atol=1e-3)
    picture = decode(shapes / "03.png").pixels
    assert not np.allclose(before.encode_image([picture]), after.encode_image([picture]), atol=1e-3)
    assert told["held_out"]["questions"] == told["before"]["questions"] == 3


def test_no_step_leaves_the_model_as_it_was_but_for_its_padding(on_stem, asked, tmp_path, shapes):
    towers(on_stem, asked, tmp_path, stop_after=0, pad_ratio=0.0)
    before, after = (open_encoder(f"open_clip:local-dir:{one}") for one in (on_stem, tmp_path))
    picture = decode(shapes / "03.png").pixels
    assert before.encode_image([picture]) == pytest.approx(after.encode_image([picture]), abs=1e-6)
    assert before.encode_text(["a ball"]) == pytest.approx(after.encode_text(["a ball"]), abs=1e-6)


def test_a_question_is_the_raw_sum_and_the_loss_is_that_of_the_rows(model, asked, tmp_path, shapes):
    """Against the encoder's own vectors and lengths, written out."""
    from needlepoint.encoders.open_clip import OpenClipTokenize, load_model, locate
    from needlepoint.train import tune_towers as module

    address = parse(f"open_clip:local-dir:{model}")
    kept = {}
    original = module.TowersLesson

    class Spy(original):
        def __init__(self, *args):
            super().__init__(*args)
            kept["lesson"] = self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TowersLesson", Spy)
        towers(model, asked, tmp_path, stop_after=0, pad_ratio=0.0, held_out=0.0)
    lesson = kept["lesson"]
    indices = np.arange(5)
    with torch.inference_mode():
        loss = float(lesson(indices, 0))
    assert not lesson.model.train().training
    encoder = open_encoder(str(address))
    data, rows = lesson.data, lesson.learnt[indices]
    drawn = np.random.default_rng([0, 5, 0]).integers(0, data.wordings.lengths()[rows])
    wordings = [asked.questions[row].changes[n] for row, n in zip(rows, drawn, strict=True)]
    files = [decode(shapes / asked.questions[row].file).pixels for row in rows]
    goals = [decode(shapes / f"{min(asked.questions[row].relevant)}.png").pixels for row in rows]
    (images, long), (texts, wide) = image_lengths(encoder, files), text_lengths(encoder, wordings)
    summed = images * long[:, None] + texts * wide[:, None]
    queries = summed / np.linalg.norm(summed, axis=1, keepdims=True)
    scores = 100 * queries @ encoder.encode_image(goals).T
    logs = np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1)) + scores.max(1)
    assert loss == pytest.approx(float((logs - scores.diagonal()).mean()), rel=1e-3)
    assert OpenClipTokenize(address, locate(address))(["x"]).shape[1] == encoder.card.context
    assert load_model(address, locate(address), "cpu", None).training is False


def test_a_broken_run_ends_in_the_same_bits(model, asked, tmp_path):
    towers(model, asked, tmp_path / "whole")
    towers(model, asked, tmp_path / "parts", stop_after=3)
    towers(model, asked, tmp_path / "parts", resume=True)
    name = "open_clip_model.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    with pytest.raises(UsageError, match="resume it"):
        towers(model, asked, tmp_path / "parts")


def test_other_models_are_refused(asked, tmp_path):
    from needlepoint.train.tune_towers import TowersRecipe, tune_towers

    with pytest.raises(UsageError, match="builtin cannot be tuned"):
        tune_towers(parse("builtin"), [asked], TowersRecipe(), tmp_path)
    with pytest.raises(UsageError, match="batch: must be at least 2"):
        TowersRecipe(batch=1)


def test_the_command_writes_a_card(model, asked, tmp_path, capfd, monkeypatch):
    from needlepoint.train import triplet_data

    monkeypatch.setattr(triplet_data, "read_data", lambda *_: [asked])
    out = tmp_path / "tuned"
    args = ["train", "towers", "--data", "toy:train=x", "--model", f"open_clip:local-dir:{model}"]
    assert run([*args, "--out", str(out), "--steps", "2", "--batch", "4"]) == EXIT_HITS
    printed = json.loads(capfd.readouterr().out)
    facts = json.loads((out / "training.json").read_text())
    assert printed["held_out"] == facts["held_out"]
    assert facts["command"].startswith("needlepoint train towers --data toy:train=x")
    assert "open_clip:local-dir:FOLDER" in (out / "README.md").read_text()
