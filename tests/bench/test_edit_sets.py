"""Needle edits: the same bytes, answers that are answers, half-truths that are none, splits."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest
from PIL import Image

from needlepoint.bench.data import read_data
from needlepoint.bench.needle.edit_graph import KINDS
from needlepoint.bench.needle.edit_pack import edit_pack
from needlepoint.bench.needle.edit_plan import AMOUNTS, plan_family
from needlepoint.bench.needle.edit_protocols import edit_protocol
from needlepoint.bench.needle.edit_scene import make_picture
from needlepoint.bench.needle.edit_truth import load_edits
from needlepoint.bench.needle.edits import build_edits
from needlepoint.bench.needle.words import CROWD_SPLITS, held_out
from needlepoint.errors import UsageError

SEED = 11
TURNED = ("back", "above")


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dev")
    return folder, build_edits(folder, split="dev", seed=SEED, families=2)


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    return folder, build_edits(folder, split="train", seed=SEED, families=2)


@pytest.fixture(scope="module")
def packs():
    return {split: edit_pack(split) for split in CROWD_SPLITS}


def things_of(picture, without=()):
    """What lies in a picture, as rows of the file tell it."""
    rows = [row["thing"] for row in picture["things"]]
    return Counter(json.dumps(row, sort_keys=True) for row in rows if row["word"] not in without)


def changed(picture, word, **fields):
    """The things of a picture, those of a word with other fields."""
    rows = [row["thing"] for row in picture["things"]]
    rows = [{**row, **fields} if row["word"] == word else row for row in rows]
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


def is_answer(reference, change, picture, places):
    """Written apart from the generator: what was said holds, and all else is as it was."""
    kind, word, value = change["kind"], change["subject"], change["value"]
    ground = picture["ground"] == reference["ground"]
    style = picture["style"] == reference["style"]
    view = picture["view"] == reference["view"]
    look = ground and style and view
    before, after = things_of(reference), things_of(picture)
    count = Counter(row["thing"]["word"] for row in picture["things"])
    meant = sum(row["thing"]["word"] == word for row in reference["things"])
    if kind == "background":
        return style and view and before == after and places[picture["ground"]] == value
    if kind == "style":
        return ground and view and before == after and picture["style"] == value
    if kind == "viewpoint" and value not in TURNED:
        return ground and style and before == after and picture["view"] == value
    if not look:
        return False
    if kind in ("replace", "add"):
        gone = (word,) if kind == "replace" else ()
        new = [row["thing"] for row in picture["things"] if row["thing"]["word"] == value]
        same = things_of(picture, (value,)) == things_of(reference, gone)
        untouched = all(not row["size"] and not row["turned"] for row in new)
        return same and untouched and len(new) == (meant if gone else 1)
    if kind == "remove":
        return count[word] == 0 and after == things_of(reference, (word,))
    if kind == "count":
        others = things_of(picture, (word,)) == things_of(reference, (word,))
        alike = (
            len(
                {
                    json.dumps(r["thing"])
                    for r in picture["things"] + reference["things"]
                    if r["thing"]["word"] == word
                }
            )
            == 1
        )
        return others and alike and count[word] == {"one": 1, "three": 3}[value]
    if kind == "move":
        boxes = [row["box"] for row in picture["things"] if row["thing"]["word"] == word]
        far = {
            "left": [x + w / 2 for x, _, w, _ in boxes],
            "right": [480 - x - w / 2 for x, _, w, _ in boxes],
            "top": [(y + h / 2) * 4 / 3 for _, y, _, h in boxes],
            "bottom": [(360 - y - h / 2) * 4 / 3 for _, y, _, h in boxes],
        }[value]
        return before == after and all(place < 480 * 0.35 for place in far)
    field = {"recolour": "colour", "resize": "size", "viewpoint": "turned"}[kind]
    return after == changed(reference, word, **{field: value})


@pytest.mark.parametrize("split", ["dev", "train"])
def test_what_is_labelled_answers_and_nothing_else_does(split, request):
    folder, _ = request.getfixturevalue(split)
    facts = json.loads((folder / "edits.json").read_text())
    pictures = {row["file"]: row for row in facts["pictures"]}
    for question in facts["questions"]:
        reference = pictures[question["reference"]]
        right = {
            file
            for file, picture in pictures.items()
            if is_answer(reference, question["change"], picture, facts["places"])
        }
        assert right == {*question["relevant"], *question["near"]}, question["id"]
        assert not set(question["relevant"]) & set(question["near"])
        assert not right & set(question["halves"])


def test_every_kind_occurs_with_several_answers_and_every_half_of_the_truth(dev):
    _, truth = dev
    assert Counter(row.change.kind for row in truth.questions) == dict.fromkeys(KINDS, 2)
    for row in truth.questions:
        assert 2 <= len(row.relevant) <= 8
        assert row.near
        assert {"reference", "unchanged", "other change", "other scene"} == set(row.halves.values())


def test_other_scenes_of_a_family_fit_the_words(dev):
    _, truth = dev
    pictures = {row.file: row for row in truth.pictures}
    for row in truth.questions:
        others = [pictures[file] for file, half in row.halves.items() if half == "other scene"]
        if row.change.kind == "recolour":
            assert any(
                laid.thing.word == row.change.subject and laid.thing.colour == row.change.value
                for picture in others
                for laid in picture.things
            )
        elif row.change.kind == "style":
            assert any(picture.style == row.change.value for picture in others)
        elif row.change.kind == "background":
            assert any(truth.places[picture.ground] == row.change.value for picture in others)


def test_training_labels_one_answer_and_never_a_planted_one(train):
    _, truth = train
    targets = {row.target for row in truth.questions}
    assert all(row.relevant == (row.target,) for row in truth.questions)
    planted = {file for row in truth.questions for file in row.near}
    assert planted
    assert not planted & targets
    assert not planted & {row.reference for row in truth.questions}


def test_a_change_says_the_difference_and_not_the_scene(dev):
    _, truth = dev
    pictures = {row.file: row for row in truth.pictures}
    for row in truth.questions:
        said = {row.change.subject, row.change.value}
        kept = {laid.thing.word for laid in pictures[row.reference].things} - said
        for text in row.texts:
            assert not any(f" {word} " in f" {text} " for word in kept), text


def test_the_protocol_asks_with_pictures_of_its_gallery(dev):
    folder, truth = dev
    protocol = edit_protocol(folder)
    assert (protocol.name, protocol.split) == ("edits/composed", "dev")
    assert [item.file for item in protocol.gallery] == [row.file for row in truth.pictures]
    files = {item.id for item in protocol.gallery}
    for question, row in zip(protocol.questions, truth.questions, strict=True):
        assert question.kind == "composed"
        assert question.file in files - question.relevant
        assert question.changes == row.texts[:1]
        assert question.aspects == (row.change.kind, row.tier)
        assert question.target in question.relevant
    assert read_data([str(folder)], folder, print) == [protocol]


def test_the_facts_come_back_as_written_and_pictures_have_their_size(dev):
    folder, truth = dev
    assert load_edits(folder) == truth
    for picture in truth.pictures[::7]:
        with Image.open(folder / picture.file) as image:
            assert image.size == truth.size == (480, 360)
        for row in picture.things:
            x, y, w, h = row.box
            assert x >= 0 <= y
            assert x + w <= 480
            assert y + h <= 360
            assert row.visible > 0.3


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(train, tmp_path):
    folder, _ = train
    build_edits(tmp_path, split="train", seed=SEED, families=2, workers=2)
    for path in sorted(folder.rglob("*.*")):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_a_picture_depends_on_nothing_made_before(dev, packs, tmp_path):
    folder, truth = dev
    (tmp_path / "pictures").mkdir()
    base = build_seeds("dev")
    family = plan_family(packs["dev"], AMOUNTS["dev"], [*base, 1], 1)
    picture = make_picture(packs["dev"], tmp_path, family.shots[5], [*base, 2])
    assert picture in truth.pictures
    assert (tmp_path / picture.file).read_bytes() == (folder / picture.file).read_bytes()


def test_splits_share_no_thing_no_ground_and_no_combination(packs):
    plans = {
        split: [plan_family(pack, AMOUNTS[split], [SEED], number) for number in range(6)]
        for split, pack in packs.items()
    }
    combined = ("replace", "add", "recolour", "move", "background", "style", "viewpoint")
    pairs = {
        split: {
            (
                asked.change.kind,
                plan.shots[asked.reference].content.things[-1].word,
                asked.change.value,
            )
            for plan in rows
            for asked in plan.asked
            if asked.change.kind in combined
        }
        for split, rows in plans.items()
    }
    for one, two in itertools.combinations(CROWD_SPLITS, 2):
        assert not packs[one].things.keys() & packs[two].things.keys()
        assert not packs[one].grounds.keys() & packs[two].grounds.keys()
        assert not pairs[one] & pairs[two]
    for plan in plans["train"]:
        for shot in plan.shots:
            assert not any(held_out(thing.word, thing.colour) for thing in shot.content.things)


def test_training_comes_with_captions_whose_boxes_lie_in_the_pictures(train):
    folder, truth = train
    rows = [json.loads(line) for line in (folder / "captions.jsonl").open()]
    assert {row["file"] for row in rows} == {picture.file for picture in truth.pictures}
    assert {row["kind"] for row in rows} == {"whole", "thing"}
    for row in rows:
        x, y, w, h = row["box"] or (0, 0, *truth.size)
        assert x + w <= truth.size[0]
        assert y + h <= truth.size[1]
    texts = (folder / "captions.txt").read_text().splitlines()
    assert len(texts) == len(set(texts)) > 10_000


def test_what_cannot_be_made_is_said(tmp_path):
    with pytest.raises(UsageError, match="split='fit' is not known"):
        build_edits(tmp_path, split="fit")
    with pytest.raises(UsageError, match="at least 1"):
        build_edits(tmp_path, families=0)
    with pytest.raises(UsageError, match=r"holds no index\.json"):
        edit_pack("dev", folder=tmp_path)
    with pytest.raises(UsageError, match="bench build edits"):
        load_edits(tmp_path)
    (tmp_path / "edits.json").write_text('{"version": 99}')
    with pytest.raises(UsageError, match="build the set again"):
        load_edits(tmp_path)


def build_seeds(split):
    """The seeds that a set's families and pictures start from."""
    import zlib

    return [SEED, zlib.crc32(f"edits/{split}".encode())]
