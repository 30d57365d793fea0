"""Files for the servers of CIRR and CIRCO: written, read back, and refused where a server would."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from needlepoint.bench.composed_results import Answered, ComposedRun, save_composed
from needlepoint.bench.datasets import open_dataset
from needlepoint.bench.metrics import composed_scores
from needlepoint.bench.submissions import read_submission, write_submission
from needlepoint.cli.bench_submit import submit
from needlepoint.errors import UsageError

FIXTURES = Path(__file__).parent / "fixtures"
SIZE = 60


@pytest.fixture
def cirr(tmp_path):
    """The folder of CIRR with enough pictures in its test split."""
    shutil.copytree(FIXTURES / "cirr", tmp_path / "cirr")
    path = tmp_path / "cirr/image_splits/split.rc2.test1.json"
    names = json.loads(path.read_text())
    names |= {f"test1-{n}-3-img0": f"./test1/test1-{n}-3-img0.png" for n in range(SIZE)}
    path.write_text(json.dumps(names))
    return tmp_path / "cirr"


@pytest.fixture
def circo(tmp_path):
    """The folder of CIRCO with enough pictures."""
    shutil.copytree(FIXTURES / "circo", tmp_path / "circo")
    path = tmp_path / "circo/COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"
    info = json.loads(path.read_text())
    row = info["images"][0]
    info["images"] = [row | {"id": n, "file_name": f"{n:012d}.jpg"} for n in range(11, 11 + SIZE)]
    path.write_text(json.dumps(info))
    return tmp_path / "circo"


def everything(protocol):
    """The whole gallery as the answer to each question."""
    ids = [item.id for item in protocol.gallery]
    return [ids for _ in protocol.questions]


def test_cirr_takes_fifty_names_without_the_reference(cirr, tmp_path):
    recall, _ = open_dataset("cirr", cirr, "test1")
    path = write_submission(recall, everything(recall), tmp_path / "out")
    assert path.name == "cirr-recall-test1.json"
    told = json.loads(path.read_text())
    assert (told["version"], told["metric"]) == ("rc2", "recall")
    assert set(told) == {"version", "metric", "950", "951"}
    expected = [item.id for item in recall.gallery if item.id != "test1-1-0-img1"]
    assert told["951"] == expected[:50]


def test_cirr_subset_takes_three_of_the_five_others(cirr, tmp_path):
    _, subset = open_dataset("cirr", cirr, "test1")
    path = write_submission(subset, everything(subset), tmp_path)
    told = json.loads(path.read_text())
    assert told["metric"] == "recall_subset"
    assert told["950"] == [f"test1-{n}-0-img{n % 2}" for n in (1, 2, 3)]


def test_circo_takes_fifty_numbers(circo, tmp_path):
    (protocol,) = open_dataset("circo", circo, "test")
    path = write_submission(protocol, everything(protocol), tmp_path)
    assert path.name == "circo-changes-test.json"
    assert json.loads(path.read_text()) == {"0": [*range(11, 61)], "1": [*range(11, 61)]}


def test_what_was_written_reads_back_and_is_scored(circo, tmp_path):
    (protocol,) = open_dataset("circo", circo, "val")
    rankings = everything(protocol)
    path = write_submission(protocol, rankings, tmp_path)
    assert read_submission(path, protocol) == [one[:50] for one in rankings]
    assert composed_scores(protocol, read_submission(path, protocol)) == composed_scores(
        protocol, [one[:50] for one in rankings]
    )


def test_a_ranking_that_is_too_short_writes_nothing(cirr, tmp_path):
    recall, _ = open_dataset("cirr", cirr, "test1")
    short = [one[:50] for one in everything(recall)]  # the reference among them
    with pytest.raises(UsageError, match="must hold 50 pictures and holds 49"):
        write_submission(recall, short, tmp_path / "out")
    with pytest.raises(UsageError, match="rankings has 1 entries"):
        write_submission(recall, short[:1], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_protocol_without_a_server_is_refused(tmp_path):
    (dress,) = open_dataset("fashioniq", FIXTURES / "fashioniq", "dress-val")
    (named,) = open_dataset("circo", FIXTURES / "circo", "test", {"gallery": "named"})
    for protocol in (dress, named):
        with pytest.raises(UsageError, match="no server takes answers"):
            write_submission(protocol, everything(protocol), tmp_path)


def reference(told):
    told["950"][7] = "test1-0-0-img0"


def outside(told):
    told["950"][7] = "test1-99-9-img1"


def doubled(told):
    told["951"][7] = told["951"][6]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (reference, "question 950 holds its own reference, test1-0-0-img0"),
        (outside, "question 950 holds test1-99-9-img1, which the gallery lacks"),
        (doubled, "question 951 holds .* twice"),
        (lambda told: told["951"].append("test1-55-3-img0"), "must hold 50 pictures and holds 51"),
        (lambda told: told.pop("951"), "There are 1 missing, for instance '951'"),
        (lambda told: told.update({"952": []}), "There are 1 unknown, for instance '952'"),
        (lambda told: told.update(version="rc1"), "'version' must be 'rc2'. Received: 'rc1'"),
        (lambda told: told.update(metric="recall_subset"), "'metric' must be 'recall'"),
        (lambda told: told.update({"950": "test1-1-0-img1"}), "must be a list of texts"),
    ],
)
def test_what_a_server_refuses_is_told(spoil, reason, cirr, tmp_path):
    recall, _ = open_dataset("cirr", cirr, "test1")
    path = write_submission(recall, everything(recall), tmp_path)
    told = json.loads(path.read_text())
    spoil(told)
    path.write_text(json.dumps(told))
    with pytest.raises(UsageError, match=reason):
        read_submission(path, recall)


def test_subset_names_must_be_of_the_set(cirr, tmp_path):
    _, subset = open_dataset("cirr", cirr, "test1")
    path = write_submission(subset, everything(subset), tmp_path)
    told = json.loads(path.read_text())
    told["950"][0] = "test1-9-3-img0"
    path.write_text(json.dumps(told))
    with pytest.raises(UsageError, match="which is not of its set"):
        read_submission(path, subset)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "must be one object"),
        ("{", "cannot be read"),
        ('{"0": [], "0": []}', "the key '0' stands there twice"),
        ('{"0": ["11"], "1": []}', "must be a list of numbers"),
        ('{"0": [true], "1": []}', "must be a list of numbers"),
    ],
)
def test_what_is_no_submission_is_told(text, reason, circo, tmp_path):
    (protocol,) = open_dataset("circo", circo, "test")
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=reason):
        read_submission(path, protocol)


def ran(protocol, folder, revision=None):
    """A run of the suite that answers with the gallery in its order."""
    key = dict.fromkeys(("encoder", "fingerprint", "data", "pool", "recipe", "fusion"), "x")
    key |= {"protocol": protocol.name, "split": protocol.split, "method": "tried"}
    key |= {"revision": revision or protocol.revision(), "limit": None}
    top = tuple((place, -float(place)) for place in range(len(protocol.gallery)))[:51]
    answers = tuple(
        Answered(q.id, q.group, ranks=(), found=(), top=top, alone=False)
        for q in protocol.questions
    )
    return save_composed(ComposedRun(key, {}, {}, answers), folder / "composed")


def invoked(*words):
    return CliRunner().invoke(submit, [str(word) for word in words])


def test_the_command_writes_runs_and_looks_files_over(cirr, tmp_path):
    data, out = f"cirr:test1={cirr}", tmp_path / "results"
    recall, subset = open_dataset("cirr", cirr, "test1")
    ran(recall, out)
    told = invoked(data, "cirr-recall tried", "--out", out, "--to", tmp_path / "sub")
    assert told.exit_code == 0, told.output
    written = tmp_path / "sub/cirr-recall-test1.json"
    assert told.stdout.strip() == str(written)
    assert len(read_submission(written, recall)) == 2
    looked = invoked(data, "--check", written)
    assert "a submission for cirr/recall test1" in looked.stdout
    ran(subset, out, revision="another")
    wrong = invoked(data, "cirr-subset tried", "--out", out)
    assert isinstance(wrong.exception, UsageError)
    assert "answered cirr/subset test1, which is not in cirr:test1=" in str(wrong.exception)
