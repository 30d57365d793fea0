"""Loaders of composed questions against self-made files in the exact published formats."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from needlepoint.bench.data import read_data
from needlepoint.bench.datasets import list_datasets, missing_pictures, open_dataset
from needlepoint.errors import UsageError

FIXTURES = Path(__file__).parent / "fixtures"


def opened(name, split=None, **options):
    return open_dataset(name, FIXTURES / name, split, options)


def only(name, split=None, **options):
    (protocol,) = opened(name, split, **options)
    return protocol


def by_id(protocol):
    return {question.id: question for question in protocol.questions}


def test_fashioniq_has_a_protocol_for_each_category_named_by_its_conventions():
    protocols = opened("fashioniq")
    told = "[gallery=split,captions=and,reference=kept]"
    assert [one.name for one in protocols] == [
        f"fashioniq/{category}{told}" for category in ("dress", "shirt", "toptee")
    ]
    assert [one.split for one in protocols] == ["val"] * 3
    assert [len(one.gallery) for one in protocols] == [5, 4, 3]
    dress = protocols[0].questions
    assert [one.file for one in dress] == ["Z0000DR001.jpg"] * 2
    assert [one.target for one in dress] == ["Z0000DR002", "Z0000DR003"]
    assert [one.relevant for one in dress] == [{"Z0000DR002"}, {"Z0000DR003"}]
    assert [one.kind for one in dress] == ["composed"] * 2
    assert [one.group for one in dress] == ["Z0000DR001"] * 2
    assert only("fashioniq", "dress-val") == protocols[0]
    assert only("fashioniq", "dress-train").gallery[0].id == "Z0000DR011"


def test_fashioniq_joins_captions_as_it_is_told():
    """Marks at the ends go, as in the published programs; a caption that says nothing too."""
    assert [one.changes for one in only("fashioniq", "dress-val").questions] == [
        ("is longer and has a bow and Is green, with no belt",),
        ("has dots and more buttons",),
    ]
    both = only("fashioniq", "dress-val", captions="both-orders").questions
    assert both[1].changes == ("has dots and more buttons", "more buttons and has dots")
    apart = only("fashioniq", "dress-val", captions="apart").questions
    assert apart[1].changes == ("has dots", "more buttons")
    for captions in ("and", "both-orders", "apart"):
        toptee = only("fashioniq", "toptee-val", captions=captions)
        assert toptee.questions[0].changes == ("is lighter",)
        assert any(note.startswith("1 pairs have a caption that says") for note in toptee.notes)


def test_fashioniq_galleries_keep_the_order_of_the_list():
    union = only("fashioniq", "dress-val", gallery="union")
    assert [item.id for item in union.gallery] == ["Z0000DR003", "Z0000DR002", "Z0000DR001"]
    assert "a smaller gallery" in " ".join(union.notes)
    split = only("fashioniq", "dress-val")
    assert [item.id for item in split.gallery] == [f"Z0000DR00{n}" for n in (5, 4, 3, 2, 1)]


def test_fashioniq_leaves_the_reference_out_where_it_is_told():
    kept, removed = (only("fashioniq", "dress-val", reference=one) for one in ("kept", "removed"))
    assert [one.junk for one in kept.questions] == [frozenset()] * 2
    assert [one.junk for one in removed.questions] == [{"Z0000DR001"}] * 2
    assert "reference=removed" in removed.name


def test_every_convention_gives_other_figures_and_so_another_revision():
    revisions = {
        only("fashioniq", "dress-val", gallery=g, captions=c, reference=r).revision()
        for g in ("split", "union")
        for c in ("and", "both-orders", "apart")
        for r in ("kept", "removed")
    }
    assert len(revisions) == 12


def test_fashioniq_takes_the_ending_that_its_pictures_have(tmp_path):
    shutil.copytree(FIXTURES / "fashioniq", tmp_path / "fiq")
    (tmp_path / "fiq/images").mkdir()
    (tmp_path / "fiq/images/Z0000DR005.png").touch()
    (protocol,) = open_dataset("fashioniq", tmp_path / "fiq", "dress-val")
    assert protocol.gallery[0].file == "Z0000DR005.png"
    assert protocol.questions[0].file == "Z0000DR001.png"
    assert missing_pictures(protocol) == [f"Z0000DR00{n}.png" for n in (4, 3, 2, 1)]


@pytest.mark.parametrize("captions", [["one"], ["", " . "], "words"])
def test_fashioniq_refuses_a_pair_without_words(captions, tmp_path):
    shutil.copytree(FIXTURES / "fashioniq", tmp_path / "fiq")
    path = tmp_path / "fiq/captions/cap.dress.val.json"
    rows = json.loads(path.read_text())
    rows[1]["captions"] = captions
    path.write_text(json.dumps(rows))
    with pytest.raises(UsageError, match=r"entry 1 of cap\.dress\.val\.json"):
        open_dataset("fashioniq", tmp_path / "fiq", "dress-val")


def test_cirr_ranks_the_split_and_the_five_others_of_a_set():
    recall, subset = opened("cirr")
    assert (recall.name, subset.name) == ("cirr/recall", "cirr/subset")
    assert len(recall.gallery) == len(subset.gallery) == 8
    assert recall.gallery[0].file == "dev/dev-0-0-img0.png"
    wide, narrow = by_id(recall)["902"], by_id(subset)["902"]
    assert wide.file == "dev/dev-3-0-img1.png"
    assert wide.junk == narrow.junk == {"dev-3-0-img1"}
    assert wide.target == narrow.target == "dev-1-0-img1"
    assert wide.relevant == {"dev-1-0-img1"}
    assert not wide.among
    assert narrow.among == {f"dev-{n}-0-img{n % 2}" for n in (0, 1, 2, 4, 5)}
    assert wide.near == {"dev-4-0-img0"}
    assert wide.group == by_id(recall)["901"].group != by_id(recall)["905"].group
    assert recall.revision() != subset.revision()
    assert "the five others of its set are ranked" in subset.notes
    assert "the five others of its set are ranked" not in recall.notes


def test_cirr_test_has_questions_without_answers():
    for protocol in opened("cirr", "test1"):
        assert [one.id for one in protocol.questions] == ["950", "951"]
        assert not any(one.relevant or one.target for one in protocol.questions)
        assert "targets are hidden: no figures, only submissions" in protocol.notes


def test_cirr_gives_a_trainer_every_question_once():
    train = only("cirr", "train")
    assert train.name == "cirr/recall"
    assert train.gallery[1].file == "train/7/train-1-0-img1.png"


def test_cirr_refuses_a_reference_that_is_not_of_its_set(tmp_path):
    shutil.copytree(FIXTURES / "cirr", tmp_path / "cirr")
    path = tmp_path / "cirr/captions/cap.rc2.val.json"
    rows = json.loads(path.read_text())
    rows[2]["reference"] = "dev-0-0-img0"
    path.write_text(json.dumps(rows))
    with pytest.raises(UsageError, match="not a member of its set"):
        open_dataset("cirr", tmp_path / "cirr")


def test_circo_has_several_right_pictures_and_one_target():
    circo = only("circo")
    assert circo.name == "circo/changes[gallery=unlabeled]"
    assert [item.id for item in circo.gallery] == [str(n) for n in range(11, 21)]
    assert circo.gallery[0].file == "000000000011.jpg"
    first = circo.questions[0]
    assert first.file == "000000000011.jpg"
    assert first.relevant == {"12", "13", "15"}
    assert first.target == "12"
    assert first.aspects == ("cardinality", "negation")
    assert not first.junk
    assert "official: 123403 pictures" in circo.notes[1]


def test_circo_by_the_pictures_it_names_needs_no_list_of_pictures(tmp_path):
    shutil.copytree(FIXTURES / "circo/annotations", tmp_path / "annotations")
    (named,) = open_dataset("circo", tmp_path, "val", {"gallery": "named"})
    assert [item.id for item in named.gallery] == ["11", "12", "13", "14", "15", "16"]
    assert "no official figure" in " ".join(named.notes)
    with pytest.raises(UsageError, match=r"image_info_unlabeled2017.json"):
        open_dataset("circo", tmp_path, "val")


def test_circo_test_has_questions_without_answers():
    circo = only("circo", "test")
    assert [one.relevant for one in circo.questions] == [frozenset()] * 2
    assert circo.questions[0].changes == ("has a lid",)


def test_options_are_checked_and_shown():
    with pytest.raises(UsageError) as caught:
        opened("fashioniq", gallery="whole")
    assert "gallery=split|union; captions=and|both-orders|apart" in str(caught.value)
    assert "Received: gallery=whole" in str(caught.value)
    with pytest.raises(UsageError, match=r"dataset cirr: none\. Received: gallery=split"):
        opened("cirr", gallery="split")
    for card in list_datasets():
        assert all(len(values) > 1 for values in card.options.values())


def test_data_names_a_dataset_a_split_and_conventions(tmp_path):
    folder = tmp_path / "a,gallery=split"
    shutil.copytree(FIXTURES / "fashioniq", folder)
    text = f"fashioniq:dress-val,gallery=union,captions=apart={folder}"
    (protocol,) = read_data([text], tmp_path, print)
    assert protocol.name == "fashioniq/dress[gallery=union,captions=apart,reference=kept]"
    assert protocol.folder == str(folder)
    assert len(read_data([f"fashioniq={folder}"], tmp_path, print)) == 3
    with pytest.raises(UsageError, match="Received: gallery=all"):
        read_data([f"fashioniq,gallery=all={folder}"], tmp_path, print)
