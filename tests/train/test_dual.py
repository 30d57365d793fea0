"""Training end to end on shapes; the saved folder; the stem as part of an encoder."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.builtin.sight import Sight
from needlepoint.encoders.convenience import as_pixels
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.train.pairs import read_pairs

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", params=["builtin-stem", "vit"])
def trained(request, recipe, cells, tmp_path_factory):
    """A model of two steps, and what ``train_dual`` said of it."""
    from needlepoint.train.compact import train_dual

    out = tmp_path_factory.mktemp("trained") / "model"
    cut = {"patch": 16} if request.param == "vit" else {}
    chosen = recipe(image_tower=request.param, **cut)
    return out, train_dual(chosen, out, cache=cells), chosen


def _model(trained):
    """The trained modules, from the checkpoint in full precision."""
    from needlepoint.train.dual import Dual

    out, told, chosen = trained
    model = Dual(chosen.shape, told["tokens"])
    state = torch.load(out / "run" / "checkpoint.pt", weights_only=True)["model"]
    model.load_state_dict(state)
    return model.eval()


def test_the_saved_folder_reopens_with_equal_vectors(trained, shapes):
    from needlepoint.train.dual import Tokens
    from needlepoint.train.vocabulary import load_tokenizer

    out, _, chosen = trained
    encoder = open_encoder(f"open_clip:local-dir:{out}")
    model = _model(trained).half().float()  # weights are kept as float16
    pictures = [as_pixels(p.source) for p in read_pairs([shapes])[:6:2]]
    pixels = torch.from_numpy(chosen.shape.preprocess().batch(pictures))
    if chosen.shape.image_tower == "builtin-stem":
        grey = (pixels * 255).round().byte().permute(0, 2, 3, 1).numpy()
        sight = Sight(1)
        cells = np.stack([sight.cells(one) for one in grey])
        pixels = torch.from_numpy(cells).flatten(1, 2)
    texts = ["a red ball", "A blue box, in noise!", "zebra " * 40, "x"]
    tokenize = Tokens(load_tokenizer(out), chosen.shape.context)
    with torch.inference_mode():
        images, words = model.images(pixels), model.texts(tokenize(texts))
    np.testing.assert_array_equal(encoder.token_ids(texts), tokenize(texts))
    np.testing.assert_allclose(encoder.encode_image(pictures), images, atol=1e-5, rtol=0)
    np.testing.assert_allclose(encoder.encode_text(texts), words, atol=1e-5, rtol=0)
    assert np.abs(images[0] - images[1]).max() > 1e-3


def test_the_encoder_gives_what_every_vit_gives(trained, shapes, caplog):
    encoder = open_encoder(f"open_clip:local-dir:{trained[0]}")
    assert "randomly" not in caplog.text
    pictures = [as_pixels(p.source) for p in read_pairs([shapes])[:6:2]]
    side = 64 // encoder.card.patch
    want = frozenset({"tokens", "attention", "received"})
    features = encoder.image_features(pictures, want=want)
    assert features.grid == (side, side)
    assert features.tokens.shape == (3, side * side, 32)
    np.testing.assert_allclose(features.received, features.attention.mean(2), atol=1e-6)
    dense = encoder.dense_features(pictures[0], long_side=160)
    assert dense.cells.shape[:2] == (round(120 / encoder.card.patch), 160 // encoder.card.patch)
    assert encoder.project(dense.cells[0], "joint").shape == (dense.cells.shape[1], 24)
    alone = np.stack([encoder.encode_image(one) for one in pictures])
    np.testing.assert_allclose(features.vector, alone, atol=1e-5, rtol=0)
    half = open_encoder(f"open_clip:local-dir:{trained[0]}+bf16").encode_image(pictures)
    assert (half * features.vector).sum(1).min() > 0.99


def test_random_patches_see_the_same_places_as_whole_pictures(trained):
    """All patches kept, in order, is the same as none named; a permutation changes nothing."""
    model = _model(trained)
    shape = model.shape
    stem = shape.image_tower == "builtin-stem"
    inputs = torch.rand(2, shape.patches, 1280) if stem else torch.rand(2, 3, 64, 64)
    turned = torch.randperm(shape.patches).expand(2, -1)
    with torch.inference_mode():
        whole = model.images(inputs)
        some = model.images(inputs[:, turned[0]] if stem else inputs, turned)
    torch.testing.assert_close(whole, some, atol=1e-5, rtol=0)


def test_an_interrupted_training_ends_in_the_same_bits(recipe, cells, tmp_path):
    from needlepoint.train.compact import train_dual

    chosen = recipe(steps=5, anchors=0.3)
    # one beginning for both: least squares has other last bits each time
    train_dual(chosen, tmp_path / "whole", cache=cells, stop_after=0)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    train_dual(chosen, tmp_path / "whole", cache=cells, resume=True)
    torch.manual_seed(7)
    train_dual(chosen, tmp_path / "cut", cache=cells, resume=True, stop_after=3)
    train_dual(chosen, tmp_path / "cut", cache=cells, resume=True)
    name = "open_clip_model.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    with pytest.raises(UsageError, match="resume it"):
        train_dual(chosen, tmp_path / "cut", cache=cells)
    with pytest.raises(UsageError, match="keep is"):
        train_dual(recipe(steps=5, anchors=0.3, keep=1.0), tmp_path / "cut", resume=True)


@pytest.mark.parametrize("loss", ["info-nce", "sigmoid"])
def test_it_learns_colours_and_shapes(recipe, cells, tmp_path, loss):
    from needlepoint.train.compact import train_dual

    told = train_dual(
        recipe(steps=40, rate=3e-3, loss=loss, batch=16, keep=1.0), tmp_path, cache=cells
    )
    # six kinds of things in the held-out part: chance finds the right kind first in one of six
    assert told["held_out"]["thing"]["R@1"] > 0.5
    begun = train_dual(
        recipe(steps=2, rate=1e-6, loss=loss, start=str(tmp_path)), tmp_path / "on", cache=cells
    )
    assert begun["held_out"]["thing"]["R@1"] == told["held_out"]["thing"]["R@1"]


def test_the_stem_is_part_of_the_fingerprint(trained, tmp_path):
    from needlepoint.encoders.export import export
    from needlepoint.encoders.stem import stem_name

    out, _, chosen = trained
    address = f"open_clip:local-dir:{out}"
    card = open_encoder(address).card
    if chosen.shape.image_tower == "vit":
        assert "stem" not in card.extra
        return
    assert card.extra["stem"] == stem_name()
    with pytest.raises(UsageError, match="stem"):
        export(address, tmp_path / "onnx")
    other = tmp_path / "other"
    shutil.copytree(out, other, ignore=shutil.ignore_patterns("run"))
    config = json.loads((other / "open_clip_config.json").read_text())
    for stem, error in (("builtin:0123", ModelUnavailable), ("resnet", UsageError)):
        (other / "open_clip_config.json").write_text(json.dumps({**config, "stem": stem}))
        with pytest.raises(error, match="stem"):
            open_encoder(f"open_clip:local-dir:{other}")
    config["model_cfg"]["vision_cfg"]["patch_size"] = 16
    (other / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="patch_size 32"):
        open_encoder(f"open_clip:local-dir:{other}")


def test_unknown_words_are_spelt_in_pieces(recipe):
    from needlepoint.train.vocabulary import make_tokenizer

    made = make_tokenizer(["a red flibbertigibbet", "one flibbertigibbet"], words=200, pieces=50)
    assert made.encode("flibbertigibbet").tokens == ["flibbertigibbet", "[END]"]
    spelt = made.encode("zorgle").tokens
    assert len(spelt) > 2
    assert "[UNK]" not in spelt


def test_the_command_trains_and_writes_a_card(shapes, tmp_path, capfd):
    from needlepoint.cli.main import run

    out = tmp_path / "mine"
    options = "--steps 3 --batch 8 --size 64 --width 32 --layers 1 --heads 2 --dim 16 --anchors 0"
    options += " --text-layers 1 --words 20 --image-tower vit --patch 16 --licence CC0-1.0 -q"
    command = ["train", "dual", "--data", str(shapes), "--out", str(out), *options.split()]
    assert run([*command, "--stop-after", "2"]) == 0
    assert run([*command, "--resume"]) == 0
    told = json.loads((out / "training.json").read_text())
    assert told["steps_done"] == 3
    assert told["command"].startswith("needlepoint train dual --data data --out mine")
    assert "--licence CC0-1.0" in told["command"]
    assert str(tmp_path) not in (out / "training.json").read_text()
    assert open_encoder(f"open_clip:local-dir:{out}").card.licence == "CC0-1.0"
    assert run([*command]) == 2  # a run is there
    assert "resume" in capfd.readouterr().err
    wrong = ["train", "dual", "--data", str(tmp_path), "--out", str(tmp_path / "x"), "--steps", "9"]
    assert run(wrong) == 2
    assert "captions.jsonl" in capfd.readouterr().err


def test_anchors_are_sums_of_words_and_need_no_captions(tmp_path):
    from needlepoint.train.anchors import Anchors

    texts = ["a red sofa", "a blue sofa", "a red cat on the left", "a cat"]
    anchors = Anchors.of(texts, ["armchair", "kitten"], 48, tmp_path / "words.npz")
    red, blue, armchair, cat, kitten, same, none = anchors(
        [
            "a red sofa",
            "a blue sofa",
            "armchair",
            "cat",
            "kitten",
            "A photo of a sofa, red",
            "xyzzy",
        ]
    )
    np.testing.assert_allclose(red, same, atol=1e-6)
    assert red @ blue < 0.9
    assert kitten @ cat > kitten @ red
    assert armchair @ red > armchair @ cat
    assert not none.any()
    before = (tmp_path / "words.npz").stat().st_mtime_ns
    again = Anchors.of(texts, ["armchair", "kitten"], 48, tmp_path / "words.npz")
    np.testing.assert_array_equal(again(["a red sofa"])[0], red)
    assert (tmp_path / "words.npz").stat().st_mtime_ns == before


def test_last_layers_are_fitted_to_the_anchors(recipe, cells, tmp_path):
    from needlepoint.train.compact import train_dual

    said = []
    chosen = recipe(steps=2, rate=1e-9, anchors=1.0, keep=1.0)
    train_dual(chosen, tmp_path, cache=cells, say=said.append)
    (line,) = [one for one in said if one.startswith("before the first step")]
    assert float(line.rpartition(" ")[2]) > 0.4  # of six kinds of things, without a step
