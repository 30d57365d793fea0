"""Loaders of GeneCIS, PatternCom and the sets of domains against self-made files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from needlepoint.bench.datasets import find_dataset, open_dataset
from needlepoint.errors import UsageError

FIXTURES = Path(__file__).parent / "fixtures"


def only(name, split, folder=None):
    (protocol,) = open_dataset(name, folder or FIXTURES / name, split)
    return protocol


def asked(protocol):
    return {(one.file, *one.changes): set(one.relevant) for one in protocol.questions}


def test_genecis_has_four_tasks_with_a_gallery_a_question():
    tasks = open_dataset("genecis", FIXTURES / "genecis")
    assert [one.name for one in tasks] == [
        "genecis/focus-attribute", "genecis/change-attribute",
        "genecis/focus-object", "genecis/change-object",
    ]  # fmt: skip
    question = tasks[2].questions[0]
    assert (question.file, question.changes) == ("000000000020.jpg", ("lamp",))
    assert question.target == "40"
    assert question.relevant == {"40"}
    assert question.among == {str(n) for n in (*range(21, 35), 40)}
    assert "ranks a gallery of its own, 15 to 15 pictures" in tasks[2].notes[-1]


def test_genecis_shares_pictures_between_galleries_and_tells_of_doubled_ones():
    task = only("genecis", "change-object")
    assert len(task.gallery) == len({*range(21, 36), 40, 20})
    assert [len(one.among) for one in task.questions] == [14, 15]
    assert any(note.startswith("1 questions say pictures twice") for note in task.notes)


def test_genecis_pieces_are_cut_with_what_is_around_them():
    """Up and left by 0.7 of the size as far as the picture goes, and 1.7 times as large."""
    task = only("genecis", "focus-attribute")
    question = task.questions[0]
    assert question.file == "900.jpg"
    assert question.box == pytest.approx((0, 0, 170, 85))
    target = next(item for item in task.gallery if item.id == question.target)
    assert target.file == "901.jpg"
    assert target.box == pytest.approx((200 - 0.7 * 40.5, 186, 1.7 * 40.5, 34))
    assert len(question.among) == 10
    change = only("genecis", "change-attribute").questions[0]
    assert len(change.among) == 14
    assert change.group in change.among
    assert "900:300,20,60,60" in change.relevant


def test_genecis_looks_for_pieces_and_wholes_in_their_own_folders(tmp_path):
    shutil.copytree(FIXTURES / "genecis/genecis", tmp_path, dirs_exist_ok=True)
    for name in ("VG_100K_all", "val2017"):
        (tmp_path / name).mkdir()
    assert only("genecis", "focus-object", tmp_path).folder == str(tmp_path / "val2017")
    assert only("genecis", "focus-attribute", tmp_path).folder == str(tmp_path / "VG_100K_all")


def test_genecis_refuses_a_box_of_three_numbers(tmp_path):
    rows = json.loads((FIXTURES / "genecis/genecis/focus_attribute.json").read_text())
    rows[0]["target"]["instance_bbox"] = [1, 2, 3]
    (tmp_path / "focus_attribute.json").write_text(json.dumps(rows))
    with pytest.raises(UsageError, match="a box that is not four numbers"):
        only("genecis", "focus-attribute", tmp_path)


def test_patterncom_asks_with_every_other_value_of_the_class():
    color = only("patterncom", "color")
    assert color.name == "patterncom/color"
    assert len(color.gallery) == 13
    assert color.gallery[0].id == "bridge001.jpg"
    assert color.gallery[0].file == "images/bridge/bridge001.jpg"
    tank = "images/oilgastank/oilgastank001.jpg"
    assert asked(color)[tank, "grey"] == {"oilgastank002.jpg"}
    assert (tank, "white") not in asked(color)  # it is white already
    assert not any(one.junk for one in color.questions)


def test_patterncom_merges_classes_where_answers_are_judged_and_for_some_where_they_are_asked():
    color, context = only("patterncom", "color"), only("patterncom", "context")
    bridge, overpass = ("images/bridge/bridge001.jpg", "images/overpass/overpass001.jpg")
    assert asked(color)[bridge, "grey"] == {"bridge002.jpg", "overpass001.jpg"}
    assert (overpass, "red") not in asked(color)  # no other overpass is red; bridges are not asked
    assert asked(context)[bridge, "over rails"] == {"overpass002.jpg"}
    assert asked(context)[overpass, "over water"] == {"bridge001.jpg"}


def test_patterncom_takes_the_last_value_of_a_picture_named_twice():
    existence = only("patterncom", "existence")
    harbor, ferry = ("images/harbor/harbor001.jpg", "images/ferryterminal/ferryterminal001.jpg")
    assert asked(existence)[harbor, "no boats"] == {"harbor002.jpg"}
    assert asked(existence)[harbor, "with cars"] == {"ferryterminal001.jpg"}
    assert asked(existence)[ferry, "with boats"] == {"harbor001.jpg"}
    assert "1 pictures are named again; the last value counts" in existence.notes
    assert len({one.id for one in existence.questions}) == len(existence.questions)


def test_patterncom_refuses_names_that_patternnet_lacks(tmp_path):
    shutil.copytree(FIXTURES / "patterncom", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "PatternCom/color.csv"
    path.write_text("bridge009.jpg,color,red\n")
    with pytest.raises(UsageError, match=r"names \['bridge009.jpg'\]"):
        only("patterncom", "color", tmp_path)
    path.write_text("bridge001.jpg,color\n")
    with pytest.raises(UsageError, match=r"line 1 of color\.csv"):
        only("patterncom", "color", tmp_path)


def test_domains_ask_for_the_same_class_in_every_other_domain():
    to_old, to_new = open_dataset("ltll", FIXTURES / "domains/ltll")
    assert (to_old.name, to_new.name) == ("ltll/today-to-archive", "ltll/archive-to-today")
    old, new = "Old/images/Mill/mill_1900.jpg", "New/images/Mill/mill_a.jpg"
    assert asked(to_old)[new, "Archive"] == {old}
    assert asked(to_new)[old, "Today"] == {new, "New/images/Mill/mill_b.jpg"}
    assert len(to_old.gallery) == 5
    assert "1 questions have no answer there and count as 0" in to_old.notes


def test_domains_may_keep_queries_apart_from_the_database():
    pairs = open_dataset("nico", FIXTURES / "domains/nico")
    assert len(pairs) == 30
    told = {one.name: one for one in pairs}
    pair = told["nico/autumn-to-dimlight"]
    assert asked(pair) == {
        ("autumn/owl/autumn_01.jpg", "dimlight"): {"dim/owl/dim_02.jpg", "dim/owl/dim_03.jpg"}
    }
    assert not told["nico/rock-to-water"].questions


@pytest.mark.parametrize("line", ["ltll/a.jpg New", "ltll/a.jpg Middle Mill", "a.jpg New Mill"])
def test_domains_refuse_lines_of_another_format(line, tmp_path):
    (tmp_path / "full_files.csv").write_text(f"ltll/b.jpg New Mill\n{line}\n")
    with pytest.raises(UsageError, match=r"line 2 of full_files\.csv"):
        open_dataset("ltll", tmp_path)


FOLDERS = {
    "fashioniq": "fashioniq",
    "cirr": "cirr",
    "circo": "circo",
    "genecis": "genecis",
    "patterncom": "patterncom",
    "ltll": "domains/ltll",
    "nico": "domains/nico",
}
STRANGE = (b'{"images": [3]}', b"[4]", b'[{"candidate": 3}, null]', b"[]", b"", b"\xff\xfe\x00")


@pytest.mark.parametrize("name", FOLDERS)
def test_any_file_of_another_format_is_told(name, tmp_path):
    """Each file that a split cannot do without, one at a time, holds something else."""
    folder = tmp_path / "data"
    shutil.copytree(FIXTURES / FOLDERS[name], folder)
    needed = 0
    for split in find_dataset(name).splits[:2]:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            content = path.read_bytes()
            path.unlink()
            if refused(name, folder, split):
                needed += 1
                for strange in STRANGE:
                    path.write_bytes(strange)
                    assert name in refused(name, folder, split)
            path.write_bytes(content)
    assert needed


def refused(name, folder, split):
    """Why a split cannot be read; nothing where it can."""
    try:
        open_dataset(name, folder, split)
    except UsageError as error:
        return str(error)
    return ""
