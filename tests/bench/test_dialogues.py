"""Conversations in the published formats, from small files of self-made content."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from needlepoint.bench.datasets import find_dataset, open_dataset, open_dialogues
from needlepoint.bench.dialogues import Dialogues, Recorded, Round, split_round
from needlepoint.bench.protocol import Item
from needlepoint.errors import UsageError
from needlepoint.methods.dialogue import Turn

FIXTURES = Path(__file__).parent / "fixtures"
OF = {"chatir": "chatir", "plugir": "plugir", "visdial": "visdial", "multiturn-fashioniq": "mtfiq"}


@pytest.fixture
def chatir(tmp_path):
    return Path(shutil.copytree(FIXTURES / "chatir", tmp_path / "chatir"))


def rewrite(path, change):
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def test_chatir_asks_more_in_every_round_and_of_all_targets():
    protocols = open_dataset("chatir", FIXTURES / "chatir")
    assert [one.name for one in protocols] == [f"chatir/round-0{turn}" for turn in range(4)]
    first, last = protocols[0].questions[0], protocols[3].questions[0]
    assert first.text == "a drum on a shelf"
    assert last.text == (
        "a drum on a shelf, is it red? yes, are there people? no, big? or small? small"
    )
    for one in protocols:
        assert len(one.gallery) == 7
        assert [question.id for question in one.questions] == [f"{n:05d}" for n in range(5)]
        assert one.questions[0].relevant == {"unlabeled2017/000000000015.jpg"}
    assert "official: 50000 pictures, 2064 questions" in " ".join(protocols[0].notes)


def test_a_method_hears_questions_apart_from_answers():
    told = open_dialogues("chatir", FIXTURES / "chatir")
    turns = told.turns(told.talks[0])
    assert turns[0] == Turn("a drum on a shelf")
    assert turns[1] == Turn("yes", "is it red?")
    assert turns[3] == Turn("or small? small", "big?")
    assert split_round("nothing was asked ") == ("", "nothing was asked")


def test_plugir_asks_each_round_alone():
    told = open_dialogues("plugir", FIXTURES / "plugir")
    assert told.rounds == 3
    texts = [one.questions[0].text for one in told.protocols()]
    assert texts[1:] == ["A red drum on a shelf.", "A small red drum on a shelf, without people."]
    assert told.turns(told.talks[0])[1] == Turn("A red drum on a shelf.")


@pytest.mark.parametrize(
    "path",
    [
        "./unlabeled2017/000000000011.jpg",
        "/pictures/coco/unlabeled2017/000000000011.jpg",
        "unlabeled2017\\000000000011.jpg",
        "000000000011.jpg",
    ],
)
def test_paths_of_another_machine_mean_the_same_picture(chatir, path):
    file = chatir / "dialogues" / "VisDial_v1.0_queries_val.json"
    rewrite(file, lambda rows: rows[0].update(img=path))
    told = open_dialogues("chatir", chatir)
    assert told.talks[0].target == "unlabeled2017/000000000011.jpg"


def test_a_target_outside_the_search_space_is_refused(chatir):
    file = chatir / "dialogues" / "VisDial_v1.0_queries_val.json"
    rewrite(file, lambda rows: rows[1].update(img="unlabeled2017/000000000099.jpg"))
    with pytest.raises(UsageError, match=r"000000000099.*not in the search space of 7"):
        open_dataset("chatir", chatir)
    space = chatir / "ChatIR_Protocol" / "Search_Space_val_50k.json"
    rewrite(space, lambda rows: rows.extend(["a/1.jpg", "b/1.jpg"]))
    rewrite(file, lambda rows: rows[1].update(img="1.jpg"))
    with pytest.raises(UsageError, match="more than once"):
        open_dataset("chatir", chatir)


def test_a_missing_rendering_drops_its_target_from_every_round(chatir):
    made = chatir / "generated"
    made.mkdir()
    for stem in ("000000000015", "000000000011"):
        for turn in range(4):
            (made / f"{stem}_{turn}.jpg").touch()
    (made / "000000000013_0.jpg").touch()  # of another target, one round alone
    protocols = open_dataset("genir", chatir)
    assert len(protocols) == 4
    for turn, one in enumerate(protocols):
        targets = [next(iter(question.relevant)) for question in one.questions]
        assert targets == ["unlabeled2017/000000000015.jpg", "unlabeled2017/000000000011.jpg"]
        assert one.questions[0].kind == "image"
        assert one.questions[0].file == str(made / f"000000000015_{turn}.jpg")
    assert "2 targets with all renderings, 3 left out" in protocols[0].notes
    (made / "000000000015_3.jpg").unlink()
    assert {len(one.questions) for one in open_dataset("genir", chatir)} == {1}
    shutil.rmtree(made)
    with pytest.raises(UsageError, match="for none of the 5 targets"):
        open_dataset("genir", chatir)


def test_dialogues_of_ones_own(chatir):
    (chatir / "ChatIR_Protocol" / "Search_Space_val_50k.json").rename(chatir / "search_space.json")
    source = chatir / "dialogues" / "VisDial_v1.0_queries_val.json"
    shutil.copy(source, chatir / "dialogues" / "joined.json")
    source.rename(chatir / "dialogues" / "rewritten.json")
    joined, rewritten = (open_dialogues("dialogues", chatir, s) for s in ("joined", "rewritten"))
    assert joined.text(joined.talks[2], 1) == "a boat, is there water? no"
    assert rewritten.text(rewritten.talks[2], 1) == "is there water? no"


def test_visdial_looks_words_up_and_leaves_the_unanswered_out():
    told = open_dialogues("visdial", FIXTURES / "visdial")
    assert told.text(told.talks[0], 9) == "a drum on a shelf, is it red? yes, are there people? no"
    assert told.talks[1].rounds[2] == Round("is it a photo? i can't tell")
    assert [item.file for item in told.gallery] == [
        "VisualDialog_val2018/VisualDialog_val2018_000000000185.jpg",
        "VisualDialog_val2018/VisualDialog_val2018_000000090210.jpg",
    ]
    test = open_dialogues("visdial", FIXTURES / "visdial", "test")
    assert test.text(test.talks[0], 5) == "two owls, is it red? no"


def test_visdial_train_has_pictures_of_two_folders(tmp_path):
    shutil.copy(FIXTURES / "visdial/visdial_1.0_val.json", tmp_path / "visdial_1.0_train.json")
    other = tmp_path / "val2014" / "COCO_val2014_000000090210.jpg"
    other.parent.mkdir()
    other.touch()
    files = [item.file for item in open_dialogues("visdial", tmp_path, "train").gallery]
    assert files == [
        "train2014/COCO_train2014_000000000185.jpg",
        "val2014/COCO_val2014_000000090210.jpg",
    ]


def test_multiturn_fashioniq_keeps_the_order_of_the_rounds():
    told = open_dialogues("multiturn-fashioniq", FIXTURES / "mtfiq")
    assert [item.id for item in told.gallery] == ["B1", "B2", "B3", "B4", "B5", "B6"]
    first, second = told.talks
    assert first.target == "B1"
    assert first.rounds == (
        Round("is longer, has a red belt", "B2.jpg"),
        Round("is darker", "B3.jpg"),
    )
    assert len(second.rounds) == 3
    assert "records by rounds: 1 of 2, 1 of 3" in told.notes
    last = list(told.protocols())[2].questions
    assert last[0].text == "is longer, has a red belt, is darker"  # it ended a round before
    assert len(open_dialogues("multiturn-fashioniq", FIXTURES / "mtfiq", "dress-train").talks) == 1


def test_a_target_that_the_list_of_pictures_lacks_is_refused(tmp_path):
    folder = Path(shutil.copytree(FIXTURES / "mtfiq", tmp_path / "mtfiq"))
    rewrite(folder / "image_splits" / "split.all.val.json", lambda rows: rows.remove("B4"))
    with pytest.raises(UsageError, match=r"targets \['B4'\] are not in"):
        open_dialogues("multiturn-fashioniq", folder)


def test_conversations_must_fit_their_gallery():
    talk = Recorded("1", "a.jpg", (Round("a dog"),))
    Dialogues("d", "", ".", (Item("a.jpg", "a.jpg"),), (talk,))
    with pytest.raises(UsageError, match="not among the 0 pictures"):
        Dialogues("d", "", ".", (), (talk,))
    with pytest.raises(UsageError, match="an id names two"):
        Dialogues("d", "", ".", (Item("a.jpg", "a.jpg"),), (talk, talk))
    with pytest.raises(UsageError, match="no rounds"):
        Dialogues("d", "", ".", (Item("a.jpg", "a.jpg"),), (Recorded("1", "a.jpg", ()),))


def test_single_questions_are_no_conversations():
    with pytest.raises(UsageError, match="holds single questions"):
        open_dialogues("coco", FIXTURES / "coco")


@pytest.mark.parametrize("name", sorted(OF))
def test_a_file_of_another_format_is_told(name, tmp_path):
    folder = Path(shutil.copytree(FIXTURES / OF[name], tmp_path / "set"))
    for content in (b'{"data": {"questions": 3}}', b"[4]", b"not json"):
        (folder / find_dataset(name).file).write_bytes(content)
        with pytest.raises(UsageError, match=name):
            open_dataset(name, folder)
