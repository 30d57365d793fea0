"""Recorded dialogues asked round by round, from the files to the measures."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toy_encoder import ToyEncoder

from needlepoint.bench.by_round import rounds_of
from needlepoint.bench.datasets import open_dataset
from needlepoint.bench.runner import Bench, Settings
from needlepoint.cli.main import run
from needlepoint.errors import EXIT_HITS, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six pictures and three dialogues of ChatIR's format about them."""
    root = tmp_path_factory.mktemp("recorded")
    (root / "dialogues").mkdir()
    rng = np.random.default_rng(0)
    names = [f"pictures/{number}.png" for number in range(6)]
    (root / "pictures").mkdir()
    for name in names:
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(root / name)
    told = [
        {"img": names[place], "dialog": ["a boat", "is it old? yes", f"what is it? number {place}"]}
        for place in (4, 1, 3)
    ]
    (root / "dialogues" / "joined.json").write_text(json.dumps(told))
    (root / "search_space.json").write_text(json.dumps(names))
    return root


@pytest.fixture(scope="module")
def runs(folder, tmp_path_factory):
    bench = Bench(ToyEncoder(), tmp_path_factory.mktemp("out"), settings=Settings(timed=0))
    # pictures lie where the search space says, seen from the folder of the dialogues
    protocols = [replace(one, folder=str(folder)) for one in open_dataset("dialogues", folder)]
    return bench.run(protocols, lambda protocol: ["whole"])


def test_rounds_become_conversations(runs):
    (told,) = rounds_of(runs)
    assert told.ranks.shape == (3, 3)
    for turn, one in enumerate(runs):
        assert told.ranks[:, turn].tolist() == [answer.ranks[0] for answer in one.answers]
    # all begin with the same words: so do their ranks, which are different pictures of one list
    assert len(set(told.ranks[:, 0].tolist())) == 3
    row = told.row(k=2)
    assert row["Recall@2_0"] == pytest.approx((told.ranks[:, 0] <= 2).mean(), abs=1e-4)
    hits = [row[f"Hits@2_{turn}"] for turn in range(3)]
    assert hits == sorted(hits)
    assert (row["protocol"], row["dialogues"]) == ("dialogues", 3)


def test_a_round_left_out_or_asked_of_others_is_refused(runs):
    assert rounds_of(runs[:1]) == []
    with pytest.raises(UsageError, match=r"only \[0, 2\] were asked"):
        rounds_of([runs[0], runs[2]])
    fewer = replace(runs[1], answers=runs[1].answers[:2])
    with pytest.raises(UsageError, match="different dialogues"):
        rounds_of([runs[0], fewer, runs[2]])


def test_from_the_command_line(folder, tmp_path, capfd):
    (folder / "pictures" / "pictures").symlink_to(folder / "pictures")
    args = ["bench", "run", "--data", f"dialogues={folder}", "--model", "builtin", "--timed", "0"]
    args += ["--method", "whole", "--out", str(tmp_path), "--no-cache"]
    assert run(args) == EXIT_HITS
    assert "dialogues joined · builtin · whole: BRI" in capfd.readouterr().out
    with (tmp_path / "rounds.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["dialogues"] == "3"
    assert float(row["Hits@10_2"]) == 1.0
