"""Protocols to triplets as vectors, and what may be a negative of what."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.cli.main import run
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.parts import ImageFeatures
from needlepoint.train.triplet_features import read_triplets, worded
from needlepoint.train.triplets import Triplets, mixed_queries, rank_answers
from sight_kit import DIM, Reader, bag, unit
from triplet_kit import attribute_triplets

NAMES = ("red", "green", "blue", "white")


class Eye(Reader):
    """A reader that sees the mean colour of a picture too, and counts what it looks at."""

    def __init__(self):
        super().__init__()
        self.looked = 0

    def image_features(self, pictures, *, want=frozenset(), block=-1):
        self.looked += len(pictures)
        rows = [np.resize(one.mean((0, 1)) + 1, DIM) for one in pictures]
        return ImageFeatures(vector=unit(np.stack(rows)))


@pytest.fixture
def folder(tmp_path):
    """Four colours as pictures, the second red one the same as the first."""
    for name, colour in zip(
        (*NAMES, "again"), ("red", "lime", "blue", "white", "red"), strict=True
    ):
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{name}.png")
    return tmp_path


def protocol(folder, **changes):
    questions = (
        Question("q0", frozenset({"green", "blue"}), file="red.png", changes=("a", "b c"),
                 target="green", near=frozenset({"white"}), aspects=("recolour", "plain")),
        Question("q1", frozenset({"red"}), file="blue.png", box=(0, 0, 20, 20), changes=("b c",),
                 junk=frozenset({"blue"})),
        Question("q2", frozenset({"red"}), text="not composed"),
    )  # fmt: skip
    gallery = tuple(Item(name, f"{name}.png") for name in (*NAMES, "again"))
    facts = {"name": "toy/changes", "split": "train", "folder": str(folder), "gallery": gallery}
    return Protocol(**(facts | {"questions": questions} | changes))


def test_pictures_and_wordings_are_encoded_once(folder):
    encoder = Eye()
    data = read_triplets([protocol(folder)], encoder)
    assert len(data) == 2
    assert encoder.looked == len(data.gallery) == 6  # five pictures and a piece
    assert encoder.read == ["a", "b c"]
    assert data.texts[1] == pytest.approx(bag("b c"))
    assert data.references.tolist() == [0, 5]
    assert data.targets.tolist() == [1, 0]
    assert [data.wordings[n].tolist() for n in (0, 1)] == [[0, 1], [1]]
    assert [data.answers[n].tolist() for n in (0, 1)] == [[1, 2], [0]]
    assert [data.near[n].tolist() for n in (0, 1)] == [[3], []]
    assert data.same[4] == data.same[0]
    assert data.kinds == ("plain+recolour", "")
    assert data.fingerprint == encoder.card.fingerprint()


def test_negatives_leave_out_answers_reference_junk_and_whatever_is_the_same_picture(folder):
    data = read_triplets([protocol(folder)], Eye())
    names = np.array([*NAMES, "again", "piece"])
    allowed = data.eligible(np.array([0, 1]))
    assert set(names[allowed[0]]) == {"white"}  # near: nobody labelled it
    assert set(names[allowed[1]]) == {"green", "white"}
    assert set(names[data.eligible(np.array([1]), "targets")[0]]) == {"green"}
    assert set(names[data.right(np.array([1]), np.arange(6))[0]]) == {"red", "again"}
    assert data.right(np.array([0, 1]), np.array([4, 2])).tolist() == [[False, True], [True, False]]
    assert set(names[data.ranked(np.array([1]))[0]]) == {"red", "green", "white", "again"}


def test_each_protocol_is_a_gallery_of_its_own(folder):
    other = protocol(
        folder,
        name="toy/others",
        gallery=(Item("x", "white.png"), Item("y", "again.png")),
        questions=(Question("q0", frozenset({"x"}), file="red.png", changes=("a",)),),
    )
    data = read_triplets([protocol(folder), other], Eye())
    assert np.flatnonzero(data.eligible(np.array([2]))[0]).tolist() == []
    assert np.flatnonzero(data.ranked(np.array([2]))[0]).tolist() == [3, 4]
    assert len(set(data.question_keys.tolist())) == 3
    assert len(set(data.groups.tolist())) == 3


def test_vectors_are_kept_between_runs_until_what_is_asked_changes(folder, tmp_path):
    cache = tmp_path / "cache"
    first = read_triplets([protocol(folder)], Eye(), cache=cache)
    encoder = Eye()
    again = read_triplets([protocol(folder)], encoder, cache=cache)
    assert encoder.looked == 0
    assert (again.gallery == first.gallery).all()
    assert again.near[0].tolist() == first.near[0].tolist()
    assert (again.kinds, again.name, again.encoder) == (first.kinds, first.name, first.encoder)
    read_triplets([protocol(folder)], encoder, cache=cache, joining="four ways")
    assert encoder.looked == 6


def test_two_captions_are_joined_four_ways():
    assert len(worded(["x", "y"], "four ways")) == 4
    assert worded(["x", "y", "z"], "four ways") == ["x", "y", "z"]
    assert worded(["x", "y"], "as asked") == ["x", "y"]


def test_ranks_are_those_of_the_ranking_written_out():
    data = attribute_triplets(30, twins=2)
    rows = np.arange(30)
    queries = mixed_queries(data, rows, 0.5)
    found = rank_answers(queries, rows, data)
    for row in rows:
        scores = data.gallery @ queries[row]
        order = [n for n in np.argsort(-scores, kind="stable") if n != data.references[row]]
        assert found.target[row] == order.index(data.targets[row]) + 1
        assert found.precision[row] == pytest.approx(1 / found.target[row])
    assert found.figures()["R@5"] == pytest.approx((found.target <= 5).mean(), abs=1e-4)


def test_what_cannot_be_learnt_from_is_refused(folder, tmp_path):
    plain = protocol(folder, questions=(Question("q", frozenset({"red"}), text="x"),))
    with pytest.raises(UsageError, match="no composed question"):
        read_triplets([plain], Eye())
    lost = protocol(folder, questions=(Question("q", frozenset(), file="red.png", changes=("a",)),))
    with pytest.raises(UsageError, match="no answer to learn from"):
        read_triplets([lost], Eye())
    with pytest.raises(UsageError, match="references must be 20"):
        attribute_triplets(20, references=np.zeros(3, np.int64))
    with pytest.raises(UsageError, match="in no common space"):
        attribute_triplets(20, texts=np.zeros((12, 5), np.float32))
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="holds no triplets"):
        Triplets.load(tmp_path / "x.npz")


@pytest.mark.torch
@pytest.mark.parametrize("method", ["combiner", "dqe-cir"])
def test_the_commands_train_and_write_a_card(folder, tmp_path, capfd, monkeypatch, method):
    pytest.importorskip("torch")
    from needlepoint.encoders import address
    from needlepoint.encoders.combiner import load_combiner
    from needlepoint.train import triplet_data

    monkeypatch.setattr(address, "open_encoder", lambda name, threads=None: Eye())
    monkeypatch.setattr(triplet_data, "read_data", lambda *_: [protocol(folder)])
    out = tmp_path / "mine"
    args = ["train", method, "--data", "toy:train=x", "--model", "toy", "--out", str(out)]
    args += ["--steps", "4", "--batch", "2", "--projection", "8", "--hidden", "8"]
    if method == "dqe-cir":
        args += ["--refresh", "1", "--held-out", "0", "--negatives", "hardest"]
    assert run(args) == EXIT_HITS
    printed = json.loads(capfd.readouterr().out)
    facts = json.loads((out / "training.json").read_text())
    assert printed["recipe"] == facts["recipe"]
    assert facts["command"].startswith(f"needlepoint train {method} --data toy:train=x")
    page = (out / "README.md").read_text()
    assert f"{'combiner' if method == 'combiner' else 'dqe_cir'}:weights=FOLDER" in page
    model, told = load_combiner(out)
    assert told["features"]["fingerprint"] == Eye().card.fingerprint()
    assert (model.attributes is None) == (method == "combiner")
    assert ("unlabelled" in page or "nobody labelled" in page) == (method == "dqe-cir")
