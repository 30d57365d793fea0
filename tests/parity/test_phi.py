"""Mapping networks: their losses against slow references, and what training may and may not do."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import pictures

from needlepoint.cli.main import run as needlepoint_command
from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.inversion import Inversion, invert_pictures
from needlepoint.encoders.phi import Phi, PhiShape, find_weights, load_phi, save_phi
from needlepoint.encoders.slots import Slots
from needlepoint.errors import LibraryIncompatible, ModelUnavailable, UsageError
from needlepoint.methods.composed.searle import Options, optimised
from needlepoint.methods.phrases import TEMPLATES, fixed_phrases
from needlepoint.train.loop import Plan
from needlepoint.train.phi import CURVE, PhiRecipe, train_phi
from needlepoint.train.phi_card import write_phi_card
from needlepoint.train.phi_data import Source, read_source, see
from needlepoint.train.phi_lessons import (
    distilled_loss,
    echo,
    noised,
    paired_loss,
    self_masking_loss,
)
from needlepoint.train.phi_words import Words, kindred

pytestmark = pytest.mark.torch

CAPTIONS = ("a red dog on the beach", "two cat", "a dog", "the cat at night", "a small dog here")


@pytest.fixture(scope="module")
def encoder(tiny):
    return open_encoder(f"hf:{tiny('hf_clip', layers=1)}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten pictures, each with a caption, every other one with a piece too."""
    made, rows = tmp_path_factory.mktemp("data") / "shown", []
    made.mkdir()
    for number, pixels in enumerate(pictures(10)):
        Image.fromarray(pixels).save(made / f"{number}.png")
        text = CAPTIONS[number % len(CAPTIONS)]
        rows.append({"file": f"{number}.png", "box": None, "text": text, "kind": "whole"})
        if number % 2:
            box = [4, 4, 40, 30]
            rows.append({"file": f"{number}.png", "box": box, "text": "a cat", "kind": "thing"})
    (made / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("vectors")


def recipe(method, steps=4, seed=0, **changes):
    plan = Plan(steps=steps, rate=1e-3, warm_up=1, decay=0.01, seed=seed, report_every=1)
    words = Words(steps=3, names=4, first=2, near=3, **changes)
    return PhiRecipe(method, plan, batch=6, hidden=24, held_out=0.2, words=words)


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "phi.safetensors")


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


# -- the network


@pytest.mark.parametrize("kind", ["lincir", "pic2word"])
def test_the_network_is_what_its_paper_says(kind):
    torch.manual_seed(0)
    shape = PhiShape.published(kind, 6, 5)
    model = Phi(shape, 3.0).eval()
    assert (shape.hidden, shape.dropout) == ((24, 0.5) if kind == "lincir" else (512, 0.1))
    rows = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    value = 3.0 * rows.astype(np.float64)
    layers = [m for m in model.layers if isinstance(m, torch.nn.Linear)]
    erf = np.vectorize(math.erf)
    for place, layer in enumerate(layers):
        value = value @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        if place < 2:
            gelu = value * 0.5 * (1 + erf(value / math.sqrt(2)))
            value = gelu if kind == "lincir" else np.maximum(value, 0)
    np.testing.assert_allclose(model.pseudo_words(rows), value, atol=1e-5)


def test_words_do_not_hang_on_the_order_or_size_of_the_batch():
    torch.manual_seed(1)
    model = Phi(PhiShape.published("searle", 6, 5), 2.0)
    model.train()  # asking has no dropout, whatever state training left
    rows = np.random.default_rng(1).standard_normal((7, 6)).astype(np.float32)
    found = model.pseudo_words(rows)
    np.testing.assert_allclose(model.pseudo_words(rows[::-1])[::-1], found, atol=1e-6)
    np.testing.assert_allclose(model.pseudo_words(rows[2:3])[0], found[2], atol=1e-6)
    assert model.training


def test_a_network_is_kept_and_refused_for_another_encoder_or_method(encoder, tmp_path):
    torch.manual_seed(2)
    model = Phi(PhiShape.published("lincir", encoder.card.dim, 64, 8), 2.5).eval()
    save_phi(model, tmp_path, "lincir", encoder.card)
    again = load_phi(tmp_path, "lincir", encoder.card)
    rows = np.random.default_rng(2).standard_normal((3, encoder.card.dim)).astype(np.float32)
    assert (again.scale, again.shape) == (2.5, model.shape)
    np.testing.assert_allclose(again.pseudo_words(rows), model.pseudo_words(rows), atol=5e-3)
    other = replace(encoder.card, weights_hash="another")
    with pytest.raises(LibraryIncompatible, match=rf"{other.fingerprint()}.*train phi --method"):
        load_phi(tmp_path, "lincir", other)
    with pytest.raises(LibraryIncompatible, match="network of lincir, not of searle"):
        load_phi(tmp_path, "searle", encoder.card)
    (tmp_path / "phi.json").write_text("{}")
    with pytest.raises(ModelUnavailable, match="holds no mapping network"):
        load_phi(tmp_path, "lincir", encoder.card)


# -- the losses


def test_a_masked_word_given_its_own_vector_costs_nothing(encoder):
    slots = Slots(encoder)
    dog = slots.token_vectors(["dog"])
    goal = slots.read(["a dog on the beach"])
    assert float(self_masking_loss(slots, ["a {} on the beach"], dog, goal)) < 1e-10
    longer = slots.read(["a red bicycle on the beach"])
    cost = self_masking_loss(slots, ["a {} on the beach"], dog, longer)
    # the end token is found in the shorter sentence: the same as reading it with the word
    assert float(cost) == pytest.approx(float(((goal - longer) ** 2).mean()), rel=1e-4)


def test_noise_has_a_third_of_the_variance_and_none_leaves_the_vector():
    torch.manual_seed(0)
    raw = torch.randn(4000, 48)
    moved = (noised(raw, 1.0) - raw).square().sum(1)
    assert float(moved.mean()) == pytest.approx(48 / 3, rel=0.05)
    assert float((noised(raw, 0.5) - raw).square().sum(1).mean()) == pytest.approx(4, rel=0.05)
    assert noised(raw, 0.0) is raw


def test_pairs_cost_the_same_from_either_side_and_ln_n_when_all_are_alike():
    torch.manual_seed(0)
    one, other = (torch.nn.functional.normalize(torch.randn(5, 8), dim=1) for _ in range(2))
    found = paired_loss(one, other, 17.0)
    assert float(found) == pytest.approx(float(paired_loss(other, one, 17.0)), rel=1e-6)
    scores = 17.0 * (one @ other.T).double().numpy()
    rows = [math.log(np.exp(scores[i]).sum()) - scores[i, i] for i in range(5)]
    columns = [math.log(np.exp(scores[:, i]).sum()) - scores[i, i] for i in range(5)]
    assert float(found) == pytest.approx((np.mean(rows) + np.mean(columns)) / 2, rel=1e-5)
    same = one[:1].expand(7, -1)
    assert float(paired_loss(same, same, 17.0)) == pytest.approx(math.log(7), rel=1e-5)


def test_distillation_counts_all_other_words_as_wrong():
    torch.manual_seed(0)
    made, found = torch.randn(4, 6), torch.randn(4, 6)
    both = [row / row.norm() for row in torch.cat([made, found]).double()]
    costs = []
    for i, row in enumerate(both):
        powers = [math.exp(float(row @ other) / 0.25) for other in both]
        costs.append(-math.log(powers[(i + 4) % 8] / (sum(powers) - powers[i])))
    assert float(distilled_loss(made, found, 0.25)) == pytest.approx(np.mean(costs), rel=1e-5)
    order = [2, 0, 3, 1]
    swapped = distilled_loss(found[order], made[order], 0.25)
    assert float(swapped) == pytest.approx(np.mean(costs), rel=1e-5)
    with pytest.raises(UsageError, match=r"both must be \[B, C\]"):
        distilled_loss(made, found[:2], 0.25)


def test_words_without_noise_and_running_mean_are_those_of_plain_inversion(encoder, tmp_path):
    vectors = encoder.encode_image(pictures(2))
    plain = Inversion(steps=3, templates=TEMPLATES)
    wanted = invert_pictures(encoder, vectors, plain)[:, 0]
    found = optimised(Options(oti=True, steps=3, ema=0.0))(vectors, encoder)
    assert np.array_equal(found, wanted)
    noisy = optimised(Options(oti=True, steps=3, ema=0.0, text_noise_std=0.1))(vectors, encoder)
    assert not np.allclose(noisy, wanted, atol=1e-4)
    file = tmp_path / "phrases.tsv"
    file.write_text("dog\ta photo of a dog that runs\ncat\tnothing\n")
    said = optimised(Options(oti=True, steps=3, ema=0.0, phrases=str(file)))(vectors, encoder)
    spoken = invert_pictures(
        encoder, vectors, plain, phrases=[[("a photo of a {} that runs", "dog")]] * 2
    )
    assert np.array_equal(said, spoken[:, 0])


def test_kin_look_alike():
    middles = np.eye(3, dtype=np.float32)
    vectors = np.repeat(middles, 4, axis=0) + 0.01 * np.arange(12)[:, None].astype(np.float32)
    groups = kindred(vectors, 4, seed=2)
    drawn = np.random.default_rng([2, 11]).permutation(12)[:3]
    assert groups == [int((vectors[drawn] @ row).argmax()) for row in vectors]
    assert kindred(vectors, 1, seed=2) == list(range(12))


# -- training


@pytest.mark.parametrize("method", ["pic2word", "searle", "lincir"])
def test_training_goes_on_where_it_was_cut_off_and_changes_no_tower(
    method, encoder, folder, cache, tmp_path
):
    source, shown = read_source([folder]), pictures(3)
    before = encoder.encode_image(shown), encoder.encode_text(list(CAPTIONS))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    told = train_phi(encoder, source, recipe(method), whole, cache=cache)
    train_phi(encoder, source, recipe(method), cut, cache=cache, stop_after=1)
    assert not equal(weights(whole), weights(cut))
    again = train_phi(encoder, source, recipe(method), cut, cache=cache, resume=True)
    assert equal(weights(whole), weights(cut))
    assert (again["steps_done"], again["loss"]) == (told["steps_done"], told["loss"])
    assert len((cut / "run" / CURVE).read_text().splitlines()) == 4
    other = tmp_path / "other"
    train_phi(encoder, source, recipe(method, seed=1), other, cache=cache)
    assert not equal(weights(whole), weights(other))
    after = encoder.encode_image(shown), encoder.encode_text(list(CAPTIONS))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    load_phi(whole, method, encoder.card)
    write_phi_card(whole, told, command="needlepoint train phi", licence="CC0-1.0")
    assert f"`{method}:weights=FOLDER`" in (whole / "README.md").read_text()
    assert json.loads((whole / "training.json").read_text())["licence"] == "CC0-1.0"


def test_a_run_is_not_overwritten_nor_gone_on_with_otherwise(encoder, folder, cache, tmp_path):
    source = read_source([folder])
    train_phi(encoder, source, recipe("lincir"), tmp_path, cache=cache, stop_after=1)
    with pytest.raises(UsageError, match="holds a run already"):
        train_phi(encoder, source, recipe("lincir"), tmp_path, cache=cache)
    other = replace(recipe("lincir"), noise=0.5)
    with pytest.raises(UsageError, match=r"noise is 0\.5, but the run in .* has 1\.0"):
        train_phi(encoder, source, other, tmp_path, cache=cache, resume=True)


def test_what_a_method_needs_must_be_there(encoder, folder, tmp_path):
    texts, shown = Source(CAPTIONS, (), ("t",)), Source((), read_source([folder]).pieces, ("p",))
    told = train_phi(encoder, texts, recipe("lincir"), tmp_path / "texts")
    assert told["scale_of"] == "captions"
    with pytest.raises(UsageError, match="lincir learns from captions"):
        train_phi(encoder, shown, recipe("lincir"), tmp_path / "a")
    with pytest.raises(UsageError, match="pic2word learns from pictures"):
        train_phi(encoder, texts, recipe("pic2word"), tmp_path / "b")
    with pytest.raises(UsageError, match="--concepts FILE"):
        train_phi(encoder, shown, recipe("searle"), tmp_path / "c")
    (tmp_path / "names.txt").write_text("dog\ncat\n\ndog\n")
    named = recipe("searle", concepts=str(tmp_path / "names.txt"), group=3)
    told = train_phi(encoder, shown, named, tmp_path / "d")
    assert told["stage_one"]["names"] == 2


def test_a_picture_is_encoded_once(encoder, folder, tmp_path):
    source, said = read_source([folder]), []
    first = see(encoder, source.pieces, tmp_path, said.append)
    assert said == ["pictures: 15 of 15 encoded"]
    again = see(encoder, source.pieces[::-1], tmp_path, said.append)
    assert said == ["pictures: 15 of 15 encoded"]
    assert np.array_equal(again.vectors, first.vectors[::-1])
    assert again.length == pytest.approx(first.length)
    assert again.digest != first.digest
    wanted = encoder.encode_image(folder / "3.png")
    row = source.pieces.index((str(folder / "3.png"), None))
    np.testing.assert_allclose(first.vectors[row], wanted, atol=1e-5)


def test_sources_are_captions_pictures_or_lines(folder, tmp_path):
    (tmp_path / "lines.txt").write_text("a dog\n\na dog\ntwo cat\n")
    (tmp_path / "loose").mkdir()
    Image.fromarray(pictures(1)[0]).save(tmp_path / "loose" / "one.jpg")
    found = read_source([folder, tmp_path / "lines.txt", tmp_path / "loose"])
    assert set(found.texts) == {*CAPTIONS, "a cat"}
    assert len(found.pieces) == 16
    assert found.names == ("shown", "lines.txt", "loose")
    with pytest.raises(UsageError, match="neither captions nor pictures"):
        read_source([tmp_path / "nowhere"])


def test_an_echo_finds_the_item_a_word_was_made_of(encoder):
    slots = Slots(encoder)
    names = ["dog", "cat", "red"]
    own = slots.token_vectors(names)

    class Knows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.none = torch.nn.Parameter(torch.zeros(1))

        def forward(self, raw):
            return own[: len(raw)]

    raw = slots.read([f"a photo of {name}" for name in names]).numpy()
    assert echo(Knows(), slots, raw) == {"items": 3, "cosine": 1.0, "R@1": 1.0, "R@5": 1.0}


def test_phrases_of_training_fit_any_name(encoder):
    slots = Slots(encoder)
    phrases = fixed_phrases(["dog"])
    word = slots.token_vectors(["dog"])
    for text, name in phrases.of([0]):
        read, meant = slots.fill([text], word), slots.read([text.replace("{}", name)])
        torch.testing.assert_close(read, meant, atol=1e-4, rtol=0)


def test_the_command_trains_and_its_card_says_how(encoder, tmp_path, capsys):
    (tmp_path / "lines.txt").write_text("\n".join(CAPTIONS * 3))
    out, address = tmp_path / "mine", encoder.card.address
    line = ["train", "phi", "--method", "lincir", "--model", address, "--out", str(out),
            "--data", str(tmp_path / "lines.txt"), "--steps", "2", "--hidden", "8"]  # fmt: skip
    assert needlepoint_command([*line, "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["steps_done"], told["recipe"]["plan"]["rate"]) == (2, 1e-4)
    words = "--data lines.txt --out mine --method lincir --model hf:model --steps 2 --hidden 8"
    assert json.loads((out / "training.json").read_text())["command"].endswith(words)
    assert needlepoint_command([*line, "--quiet"]) == 2  # a run is there already
    assert "resume it" in capsys.readouterr().err
    assert load_phi(out, "lincir", encoder.card).shape.hidden == 8
    line[3] = "magic"
    assert needlepoint_command([*line, "--quiet"]) == 2
    assert "pic2word, searle or lincir, received 'magic'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["pic2word", "searle", "lincir"])
def test_the_networks_of_a_checkout_fit_its_compact_encoder(kind):
    root = Path(__file__).parents[2] / "weights"
    card = open_encoder(f"open_clip:local-dir:{root / 'compact'}").card
    assert find_weights("", kind, card) == root / "composed" / f"{kind}-s0"
    for seed in range(3):
        folder = root / "composed" / f"{kind}-s{seed}"
        assert load_phi(folder, kind, card).shape.dim == card.dim
        assert (folder / "phi.safetensors").stat().st_size < 2_000_000
        facts = json.loads((folder / "training.json").read_text())
        assert f"--method {kind}" in facts["command"]
        assert facts["recipe"]["plan"]["seed"] == seed
        assert facts["loss"]["last"] < facts["loss"]["first"]
        assert f"    {facts['command']}\n" in (folder / "README.md").read_text()
