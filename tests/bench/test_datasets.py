"""Loaders against small files of self-made content in the exact published formats."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from needlepoint.bench.datasets import (
    find_dataset,
    list_datasets,
    missing_pictures,
    open_dataset,
)
from needlepoint.bench.datasets.permir import square_share
from needlepoint.bench.metrics import hit_at_k
from needlepoint.errors import UsageError

FIXTURES = Path(__file__).parent / "fixtures"
OF = {
    "coco": "coco",
    "flickr30k": "flickr30k",
    "coco-dense": "coco_dense",
    "voxdet": "voxdet",
    "instre-xs": "instre",
    "instre-xxs": "instre",
    "cuhk-pedes": "cuhk",
    "icfg-pedes": "icfg",
    "rstpreid": "rstp",
}


def only(name, split=None, folder=None):
    (protocol,) = open_dataset(name, folder or FIXTURES / OF[name], split)
    return protocol


def by_text(protocol):
    return {question.text: question for question in protocol.questions}


def test_coco_takes_every_sentence_of_the_split_and_nothing_of_the_others():
    test = only("coco")
    assert [item.file for item in test.gallery] == [
        "val2014/COCO_val2014_000000000101.jpg",
        "val2014/COCO_val2014_000000000105.jpg",
    ]
    assert Counter(question.group for question in test.questions) == {"0": 6, "4": 5}
    assert by_text(test)["One drum beside a cup."].relevant == {"4"}
    assert "official: 5000 pictures, 25010 questions" in " ".join(test.notes)
    assert [item.id for item in only("coco", "val").gallery] == ["1"]


def test_coco_in_folds_of_a_thousand(tmp_path):
    content = json.loads((FIXTURES / "coco/dataset_coco.json").read_text())
    row = content["images"][0]
    content["images"] = [{**row, "imgid": n, "filename": f"{n}.jpg"} for n in range(2500)]
    (tmp_path / "dataset_coco.json").write_text(json.dumps(content))
    folds = open_dataset("coco", tmp_path, "test-1k")
    assert [len(fold.gallery) for fold in folds] == [1000, 1000, 500]
    assert [fold.name for fold in folds] == [f"coco/captions-fold-{n}" for n in (1, 2, 3)]
    assert folds[1].gallery[0].file == "val2014/1000.jpg"


def test_flickr30k_and_what_equal_captions_allow():
    test = only("flickr30k")
    assert [item.file for item in test.gallery] == ["1000001.jpg", "1000003.jpg"]
    assert "10 captions, 9 distinct (90.00 %)" in test.notes
    assert "most repeated, 2 times for 2 pictures: 'A dog on a table.'" in test.notes
    assert test.notes[-1].endswith("leave at most R@1 90.00 %, R@5 100.00 %")


def test_the_bound_on_recall_is_reached_by_the_best_ranking_and_not_beaten():
    """For every order of the pictures under equal captions, R@1 stays within the note."""
    single, _ = open_dataset("coco-dense", FIXTURES / "coco_dense")
    note = next(note for note in single.notes if "R@1" in note)
    bound = float(note.split("R@1 ")[1].split(" %")[0])
    best = 0.0
    for first in single.gallery:
        ranking = [first.id] + [item.id for item in single.gallery if item is not first]
        hits: dict[str, list[float]] = {}
        for question in single.questions:
            hits.setdefault(question.text, []).append(hit_at_k(ranking, question.relevant, 1))
        best_of_text = {text: sum(values) for text, values in hits.items()}
        best = (
            {**best_of_text} if not best else {t: max(best[t], v) for t, v in best_of_text.items()}
        )
    reached = 100 * sum(best.values()) / len(single.questions)
    assert reached == pytest.approx(bound, abs=0.005)


def test_dense_set_with_one_right_picture_and_with_all_of_an_equal_caption():
    single, equal = open_dataset("coco-dense", FIXTURES / "coco_dense")
    assert (single.name, equal.name) == ("coco-dense/captions", "coco-dense/captions-equal")
    assert [len(p.gallery) for p in (single, equal)] == [4, 4]
    assert [len(q.relevant) for q in single.questions] == [1] * 6
    assert by_text(equal)["a photo of a small dog"].relevant == {"1", "2", "3"}
    assert by_text(equal)["A photo of a  small dog"].relevant == {"1", "2", "3"}
    assert by_text(equal)["a clock on a wall"].relevant == {"3"}
    assert "6 captions, 4 distinct (66.67 %)" in single.notes
    assert "1 pictures without a caption" in single.notes
    assert "3 questions have several right pictures, because captions are equal" in equal.notes


def test_dense_set_boxes_are_the_truth_of_where(tmp_path):
    content = json.loads((FIXTURES / "coco_dense/coco_dense.json").read_text())
    content["annotations"][4]["bbox"] = [1, 2, 3, 4]
    (tmp_path / "dense_set.json").write_text(json.dumps(content))
    for protocol in open_dataset("dense-set", tmp_path):
        boxes = {question.id: dict(question.boxes) for question in protocol.questions}
        assert boxes.pop("3-1") == {"3": ((1.0, 2.0, 3.0, 4.0),)}
        assert not any(boxes.values())


@pytest.mark.parametrize(
    ("name", "pictures", "captions", "persons"),
    [("cuhk-pedes", 3, 7, 2), ("icfg-pedes", 3, 3, 2), ("rstpreid", 3, 5, 2)],
)
def test_any_picture_of_the_person_is_right(name, pictures, captions, persons):
    test = only(name)
    assert (len(test.gallery), len(test.questions)) == (pictures, captions)
    groups = {question.group: question.relevant for question in test.questions}
    assert sorted(len(files) for files in groups.values()) == [1, 2]
    assert len(groups) == persons
    for question in test.questions:
        assert question.relevant == groups[question.group]
    assert f"{persons} persons; any picture of the person is right" in test.notes


def test_person_splits_and_empty_captions():
    assert [item.file for item in only("cuhk-pedes", "train").gallery] == ["cam_a/001_45.bmp"]
    assert only("cuhk-pedes", "val").questions[0].group == "11004"
    assert "1 empty captions are left out" in only("rstpreid").notes
    with pytest.raises(UsageError, match=r"split of dataset icfg-pedes must be one of test, train"):
        only("icfg-pedes", "val")


def test_one_picture_of_two_persons_is_refused(tmp_path):
    rows = json.loads((FIXTURES / "rstp/data_captions.json").read_text())
    rows[2]["img_path"], rows[2]["id"] = rows[1]["img_path"], 3999
    (tmp_path / "data_captions.json").write_text(json.dumps(rows))
    with pytest.raises(UsageError, match="second person"):
        only("rstpreid", folder=tmp_path)


def test_caption_all_is_read_only_where_it_names_splits(tmp_path):
    rows = json.loads((FIXTURES / "cuhk/reid_raw.json").read_text())
    (tmp_path / "caption_all.json").write_text(json.dumps(rows))
    assert only("cuhk-pedes", folder=tmp_path).questions == only("cuhk-pedes").questions
    for row in rows:
        del row["split"]
    (tmp_path / "caption_all.json").write_text(json.dumps(rows))
    with pytest.raises(UsageError, match=r"names no split. reid_raw.json"):
        only("cuhk-pedes", folder=tmp_path)


def test_voxdet_scenes_and_videos():
    test = only("voxdet")
    assert test.name == "voxdet/robotools"
    assert [item.file for item in test.gallery] == [
        f"RoboTools/test/scene_{n}/rgb/{n:06d}.png" for n in (0, 1, 2)
    ]
    questions = {question.id: question for question in test.questions}
    mug = questions["RoboTools/test_video/mug_1/rgb/000.png"]
    second = "RoboTools/test/scene_1/rgb/000001.png"
    assert mug.relevant == {"RoboTools/test/scene_0/rgb/000000.png", second}
    assert mug.boxes[second] == ((2.0, 2.0, 5.0, 6.0), (12.0, 2.0, 5.0, 6.0))
    assert mug.box == (3.0, 5.0, 5.0, 6.0)
    assert mug.group == "1"
    assert "2 questions have no right picture in the gallery and no score" in test.notes
    owid = only("voxdet", "owid")
    assert {item.file for item in owid.gallery} == {
        "OWID/P2/images/000000.jpg",
        "OWID/P2/images/000001.jpg",
    }


def test_instre_paths_of_another_machine_and_several_objects(tmp_path):
    xs = only("instre-xs")
    assert [item.file for item in xs.gallery][:1] == ["INSTRE-S1/01a_book/002.jpg"]
    book, cup = xs.questions
    both = "INSTRE-M/01/005.jpg"
    assert book.relevant == {"INSTRE-S1/01a_book/002.jpg", both}
    assert book.box == (10.0, 10.0, 50.0, 40.0)
    assert cup.boxes == {both: ((20.0, 20.0, 10.0, 20.0),)}
    shutil.copy(FIXTURES / "instre/annotations.pt", tmp_path)
    picture = tmp_path / "INSTRE/INSTRE-S1/01a_book/001.jpg"
    picture.parent.mkdir(parents=True)
    picture.touch()
    nested = only("instre-xs", folder=tmp_path)
    assert nested.questions[0].file == "INSTRE/INSTRE-S1/01a_book/001.jpg"
    assert len(missing_pictures(nested)) == 4
    assert nested.questions[0].file not in missing_pictures(nested)


def mask(x, w, size=(40, 60)):
    made = np.zeros(size, bool)
    made[10:30, x : x + w] = True
    return made


def video(folder, masks):
    folder.mkdir()
    for number in range(len(masks)):
        (folder / f"{number}.jpg").touch()
    np.save(folder / "masks.npz", [{7: each} for each in masks])


def test_permir_folders_follow_the_published_choice(tmp_path):
    video(tmp_path / "0", [mask(20, 5), mask(20, 10), mask(0, 7)])
    video(tmp_path / "4", [mask(20, 20), mask(20, 10), mask(20, 10)])
    tiny = np.zeros((40, 60), bool)
    tiny[20, 30:33] = True  # 3 of 1600: below half a percent
    video(tmp_path / "9", [mask(20, 10), tiny, mask(20, 10)])
    permir = only("permir", folder=tmp_path)
    assert [item.file for item in permir.gallery] == ["0/0.jpg", "0/2.jpg", "4/1.jpg", "4/2.jpg"]
    first, second = permir.questions
    assert (first.file, second.file) == ("0/1.jpg", "4/0.jpg")
    assert first.relevant == {"0/0.jpg", "0/2.jpg"}
    assert first.box == (20.0, 10.0, 10.0, 20.0)
    assert first.boxes["0/2.jpg"] == ((0.0, 10.0, 7.0, 20.0),)
    assert missing_pictures(permir) == []


def test_the_square_moves_to_hold_the_object():
    middle = mask(25, 10)
    assert square_share(middle) == 200 / 1600
    assert square_share(mask(0, 10)) == 200 / 1600
    assert square_share(mask(50, 10)) == 200 / 1600
    assert square_share(np.zeros((4, 6), bool)) == 0.0
    assert square_share(mask(0, 60)) == pytest.approx(20 * 40 / 1600)


@pytest.mark.parametrize("card", list_datasets(), ids=lambda card: card.name)
def test_a_missing_file_is_named_with_its_source(card, tmp_path):
    with pytest.raises(UsageError) as caught:
        open_dataset(card.name, tmp_path)
    assert card.file in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert card.source in str(caught.value)


@pytest.mark.parametrize("name", sorted(OF))
def test_a_file_of_another_format_is_told(name, tmp_path):
    card = find_dataset(name)
    for content in (b'{"images": [3], "annotations": []}', b"[4]", b"not json"):
        (tmp_path / card.file).write_bytes(content)
        with pytest.raises(UsageError, match=rf"{card.name}|{card.file}"):
            open_dataset(name, tmp_path)


def test_pictures_beside_the_file_are_looked_for_in_the_usual_folders(tmp_path):
    shutil.copy(FIXTURES / "flickr30k/dataset_flickr30k.json", tmp_path)
    assert only("flickr30k", folder=tmp_path).folder == str(tmp_path)
    (tmp_path / "flickr30k-images").mkdir()
    assert only("flickr30k", folder=tmp_path).folder == str(tmp_path / "flickr30k-images")


def test_cards_are_complete_and_unknown_names_are_told():
    for card in list_datasets():
        assert card.title
        assert card.licence
        assert set(card.counts) <= set(card.splits)
        assert card.counted or not card.counts
    with pytest.raises(UsageError, match="did you mean 'rstpreid'"):
        find_dataset("rstpried")
