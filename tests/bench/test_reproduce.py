"""Published tables: their figures, what is missing, and a run on small data with a toy encoder."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from toy_encoder import ToyEncoder

from needlepoint.bench import metrics
from needlepoint.bench.datasets import find_dataset, open_dataset
from needlepoint.bench.published import LARE, TABLES, published_table
from needlepoint.bench.reproduce import reproduce, write_boxes
from needlepoint.cli.bench_reproduce import reproduce as command
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.methods.objects import open_objects
from needlepoint.picture import Picture

FIXTURES = Path(__file__).parent / "fixtures"


def paint(protocol):
    """Pictures for every file a protocol names."""
    rng = np.random.default_rng(3)
    files = [item.file for item in protocol.gallery] + [q.file for q in protocol.questions]
    for file in filter(None, files):
        path = Path(protocol.folder) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        small = rng.integers(0, 255, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize((240, 200), Image.Resampling.NEAREST).save(path)


@pytest.fixture
def data(tmp_path):
    """COCO and COCO-Dense with pictures, Flickr30k without, VoxDet with."""
    root = tmp_path / "data"
    for name, fixture in [
        ("coco", "coco"),
        ("coco-dense", "coco_dense"),
        ("flickr30k", "flickr30k"),
        ("voxdet", "voxdet"),
    ]:
        shutil.copytree(FIXTURES / fixture, root / name)
        if name != "flickr30k":
            paint(open_dataset(name, root / name)[0])
    return root


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_tables_name_what_exists(table):
    for row in table.rows:
        assert row.encoder in table.encoders
        assert row.split in find_dataset(row.dataset).splits
        assert row.protocol.startswith(f"{row.dataset}/")
        assert all(0 < figure < 100 for figure in row.published.values())
    with pytest.raises(UsageError, match="did you mean 'lare'"):
        published_table("lrae")


def test_published_figures_are_those_of_the_paper():
    """Means over Table 3 and RESULTS.md, added up by hand from the sources."""
    paper = [row for row in LARE.rows if row.source == "paper, Table 3"]
    first = {(row.label, row.dataset): row.published["R@1"] for row in paper}
    assert len(first) == 24
    assert first["LARE SigLIP 2 So/16", "coco-dense"] == 31.00
    assert first["CLIP L/14", "flickr30k-dense"] == 3.48
    gains = [
        first[f"LARE {name}", "coco-dense"] - first[name, "coco-dense"] for name in LARE.encoders
    ]
    assert gains == pytest.approx([5.18, 3.33, 3.44])
    repository = [row for row in LARE.rows if row.source == "repository, RESULTS.md"]
    assert all("csls" in row.method for row in repository if row.label.startswith("LARE"))
    assert not any("csls" in row.method for row in paper)


def test_what_is_here_is_run_and_the_rest_says_what_lacks(data, tmp_path):
    encoder = ToyEncoder()

    def opened(address):
        if "SigLIP2" in address:
            raise ModelUnavailable(f"model '{address}': no weights on this machine")
        return encoder

    outcomes = reproduce(LARE, data, tmp_path / "out", opened=opened)
    assert [outcome.row for outcome in outcomes] == list(LARE.rows)
    by = {(o.row.label, o.row.dataset, o.row.source): o for o in outcomes}
    whole = by["CLIP L/14", "coco-dense", "paper, Table 3"]
    assert whole.missing == ()
    protocol = open_dataset("coco-dense", data / "coco-dense")[0]
    pictures = [np.asarray(Image.open(f"{protocol.folder}/{i.file}")) for i in protocol.gallery]
    vectors = encoder.image_features(pictures).vector
    hits = []
    for question in protocol.questions:
        scores = vectors @ encoder.text_features([question.text]).vector[0]
        order = metrics.rank_by_score(scores, range(len(scores)))
        ids = [protocol.gallery[place].id for place in order]
        hits.append(metrics.hit_at_k(ids, question.relevant, 1))
    assert whole.ours["R@1"][0] == pytest.approx(100 * np.mean(hits), abs=0.01)
    assert whole.ours["R@5"][0] == 100.0
    lare = by["LARE SigLIP So/14", "coco-dense", "repository, RESULTS.md"]
    assert lare.missing[0].startswith("toy lacks ")
    lacking = by["SigLIP 2 So/16", "coco", "paper, Table 3"].missing[0]
    assert "no weights on this machine" in lacking
    (flickr,) = by["CLIP L/14", "flickr30k", "paper, Table 3"].missing
    assert flickr.startswith("2 pictures of flickr30k, first ")
    (dense,) = by["CLIP L/14", "flickr30k-dense", "paper, Table 3"].missing
    assert "needs flickr30k_dense.json" in dense
    assert "AbdulmalikDS/LARE" in dense


def test_unpublished_weights_are_named_and_can_be_given(data, tmp_path):
    people = published_table("calibclip")
    for dataset, fixture in [("cuhk-pedes", "cuhk"), ("icfg-pedes", "icfg")]:
        shutil.copytree(FIXTURES / fixture, data / dataset)
        (data / dataset / "imgs").mkdir()
        paint(open_dataset(dataset, data / dataset)[0])
    outcomes = reproduce(people, data, tmp_path / "out", opened=lambda address: ToyEncoder())
    assert all("which are not published" in outcome.missing[-1] for outcome in outcomes)
    given = {"CLIP B/16 fine-tuned on cuhk-pedes": "toy"}
    outcomes = reproduce(
        people, data, tmp_path / "out", models=given, opened=lambda address: ToyEncoder()
    )
    first = outcomes[0]
    assert first.address == "toy"
    assert set(first.ours) == {"R@1", "R@5", "R@10", "mAP"}
    with pytest.raises(UsageError, match="has no encoder 'CLIP'"):
        reproduce(people, data, tmp_path / "out", models={"CLIP": "toy"})


def test_annotated_boxes_are_handed_to_methods(data, tmp_path):
    protocol = open_dataset("voxdet", data / "voxdet")[0]
    path = write_boxes(protocol, tmp_path)
    source = open_objects(f"annotations:{path}")
    second = protocol.gallery[1].file
    pixels = np.asarray(Image.open(f"{protocol.folder}/{second}"))
    (found,) = source.find(ToyEncoder(), [Picture.from_pixels(pixels, second)])
    assert sorted(found.boxes.tolist()) == [[2, 2, 5, 6], [12, 2, 5, 6], [20, 3, 4, 4]]


def test_detected_objects_must_be_named(data, tmp_path):
    outcomes = reproduce(
        published_table("mao"),
        data,
        tmp_path / "out",
        models={"DINOv2 B/14 fine-tuned": "toy"},
        opened=lambda address: ToyEncoder(),
    )
    wild = outcomes[-1]
    assert "a source of detected objects" in wild.missing[0]
    plain = next(o for o in outcomes if o.row.label == "CLIP" and o.row.dataset == "voxdet")
    assert plain.missing == ()
    assert 0 < plain.ours["mAP"][0] <= 100


def call(*words):
    return CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)


def test_the_command_prints_and_writes_the_table(data, tmp_path):
    out = tmp_path / "out"
    flags = ["--data", data, "--out", out]
    for name in LARE.encoders:
        flags += ["--model", f"{name}=builtin"]
    done = call("lare", *flags, "--limit-questions", "3", "--json")
    assert done.exception is None
    assert done.return_value == 0
    rows = json.loads(done.stdout)
    assert len(rows) == 3 * len(LARE.rows)
    with (out / "reproduce-lare.csv").open() as file:
        assert [row["line"] for row in csv.DictReader(file)] == [row["line"] for row in rows]
    ours = [row["ours"] for row in rows if row["data"] == "coco-dense/captions test"]
    assert all(value is not None for value in ours)
    assert all(row["low"] <= row["ours"] <= row["high"] for row in rows if row["ours"] is not None)
    assert "a trial, not a reproduction" in done.stderr


def test_nothing_here_is_told_and_ends_with_1(tmp_path):
    done = call("mao", "--data", tmp_path, "--out", tmp_path / "out")
    assert done.return_value == 1
    assert "needs anns.pt" in done.stdout
    assert "pihash2k/VoxDet-SoIR" in done.stdout
    assert done.stdout.count("needs anns.pt") == 1
    wrong = call("mao", "--data", tmp_path, "--model", "CLIP")
    assert isinstance(wrong.exception, UsageError)
