"""The verb bench from the command line, on six pictures."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from needlepoint.bench import data as bench_data
from needlepoint.bench.needle.truth import Placed, ScenePicture, SceneQuery, Truth
from needlepoint.cli.main import run
from needlepoint.encoders.address import open_encoder
from needlepoint.errors import EXIT_HITS, EXIT_USAGE, UsageError


@pytest.fixture
def scenes(tmp_path):
    """A generated set in its own format: six pictures, each with one coloured square."""
    folder = tmp_path / "sets" / "small"
    (folder / "pictures").mkdir(parents=True)
    (folder / "queries").mkdir()
    rng = np.random.default_rng(0)
    pictures, queries = [], []
    for number in range(6):
        pixels = rng.integers(90, 110, (120, 160, 3), dtype=np.uint8)
        pixels[40:90, 50:100] = rng.integers(0, 255, 3)
        Image.fromarray(pixels).save(folder / f"pictures/{number}.png")
        Image.fromarray(pixels[40:90, 50:100]).save(folder / f"queries/{number}.png")
        thing = Placed(f"thing {number}", f"t{number}", (50, 40, 50, 50), 0.1, 1.0)
        pictures.append(ScenePicture(f"pictures/{number}.png", 160, 120, "grey", (thing,)))
        queries.append(
            SceneQuery(f"queries/{number}.png", f"t{number}", "x", (f"pictures/{number}.png",))
        )
    truth = Truth("toys", "dev", 1, "CC0-1.0", pictures=tuple(pictures), queries=tuple(queries))
    objects = [_thing(number) for number in range(6)]
    replace(truth, objects=tuple(objects)).save(folder)
    return folder


def _thing(number):
    from needlepoint.bench.needle.truth import SceneObject

    return SceneObject(f"t{number}", f"thing {number}", "a thing", "toys", "dev", "CC0-1.0")


def bench(tmp_path, *args):
    shared = ("--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"))
    return run(["bench", "run", *args, *shared, "--model", "builtin", "--timed", "1"])


def test_a_suite_runs_prints_a_table_and_resumes(scenes, tmp_path, capsysbinary):
    lines = ("--method", "whole", "--method", "grid:n=2+best", "--method", "lare:mode=relesed")
    assert bench(tmp_path, "--data", str(scenes.parent), *lines) == EXIT_HITS
    text = capsysbinary.readouterr().out.decode()
    assert "needle-toys/instance dev · builtin · 6 pictures, 6 questions" in text
    for word in ("R@1", "mAP", "box", "passes", "bytes", "whole", "grid:n=2+best", "["):
        assert word in text
    assert "skipped: needle-toys/instance dev  lare:mode=relesed" in text
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").open()))
    assert {row["method"] for row in rows} == {"lare:mode=relesed", "whole", "grid:n=2+best"}
    assert rows[0]["passes"] == "5.0"
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*--*.json")}
    assert len(before) == 2
    assert bench(tmp_path, "--data", str(scenes), *lines, "--json") == EXIT_HITS
    told = json.loads(capsysbinary.readouterr().out)
    assert [row["method"] for row in told] == ["whole", "grid:n=2+best", "lare:mode=relesed"]
    assert told[1]["mAP"] == float(rows[0]["mAP"])
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_two_runs_are_compared_and_one_is_shown(scenes, tmp_path, capsysbinary):
    bench(tmp_path, "--data", str(scenes), "--method", "whole", "--method", "grid:n=2+best", "-q")
    capsysbinary.readouterr()
    out = ("--out", str(tmp_path / "out"))
    assert run(["bench", "compare", "dev whole", "grid:n=2+best", *out]) == EXIT_HITS
    text = capsysbinary.readouterr().out.decode()
    assert "needle-toys/instance dev · builtin · minus whole" in text
    assert "of 6 questions in 6 groups" in text
    assert text.count("grid:n=2+best") == 4
    assert run(["bench", "compare", "dev whole", *out, "--measure", "R@1"]) == EXIT_HITS
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("grid:n=2+best  R@1")
    assert run(["bench", "compare", "dev whole", *out, "--measure", "R@2"]) == EXIT_USAGE
    assert b"--measure is 'R@2'" in capsysbinary.readouterr().err
    assert run(["bench", "compare", "dev whole", "grid:n=2+best", *out, "--json"]) == EXIT_HITS
    told = json.loads(capsysbinary.readouterr().out)
    assert {row["measure"] for row in told["comparisons"]} == {"R@1", "R@5", "R@10", "mAP"}
    page = tmp_path / "page.html"
    assert run(["bench", "report", "grid", str(page), *out]) == EXIT_HITS
    assert page.read_text().count("<section>") == 6
    assert run(["bench", "compare", "nothing", "grid", *out]) == EXIT_USAGE
    assert b"fits 0 names" in capsysbinary.readouterr().err


def test_what_is_known_is_listed(capsysbinary):
    assert run(["bench", "list", "--json"]) == EXIT_HITS
    told = json.loads(capsysbinary.readouterr().out)
    assert "lare" in told["suites"]["fine-grained"]["lines"]
    assert told["datasets"]["coco"]["file"] == "dataset_coco.json"
    assert told["datasets"]["fashioniq"]["options"]["reference"] == ["kept", "removed"]
    assert run(["bench", "list"]) == EXIT_HITS
    told = capsysbinary.readouterr().out.decode()
    assert "suite fine-grained" in told
    assert "    reference=kept|removed\n" in told


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--data", "/nowhere"), b"bench build needle"),
        (("--data", "cocoa=/nowhere"), b"did you mean 'coco'"),
        (("--suite", "fine"), b"suite 'fine' is not known"),
        (("--corpus", "/nowhere"), b"--corpus /nowhere cannot be read"),
    ],
)
def test_wrong_arguments_say_what_is_right(scenes, tmp_path, capsysbinary, args, told):
    assert bench(tmp_path, "--data", str(scenes), *args) == EXIT_USAGE
    assert told in capsysbinary.readouterr().err


def test_the_encoders_of_a_checkout_are_the_default(monkeypatch, tmp_path):
    first, second = bench_data.default_models()
    assert first == "builtin"
    assert open_encoder(second).card.extra["stem"].startswith("builtin:")
    monkeypatch.setattr(bench_data, "_CHECKOUT", tmp_path)
    assert bench_data.default_models() == ["builtin"]


def test_without_data_a_set_is_built_or_the_samples_serve(tmp_path, monkeypatch, capsysbinary):
    def nothing(*_, **__):
        raise UsageError("no stamps; install tuxpaint-stamps-default")

    monkeypatch.setattr(bench_data, "build_crowd", nothing)
    args = ("--method", "whole", "--limit-questions", "3")
    assert bench(tmp_path, *args) == EXIT_HITS
    out, err = capsysbinary.readouterr()
    assert b"needle-samples/instance" in out
    assert b"needle-samples/name" in out
    assert b"running on the samples" in err
    monkeypatch.setattr(bench_data, "_CHECKOUT", tmp_path)
    assert bench(tmp_path, *args) == EXIT_USAGE
    err = capsysbinary.readouterr().err.decode()
    assert "tuxpaint-stamps-default" in err
    for command in bench_data.COMMANDS:
        assert command in err

    def built(recipe, folder, **_):
        folder.mkdir(parents=True)
        samples = bench_data.Path(__file__).parents[2] / "samples"
        for name in ("pictures", "queries", "truth.json"):
            (folder / name).symlink_to(samples / name)

    monkeypatch.setattr(bench_data, "build_crowd", built)
    assert bench(tmp_path, *args) == EXIT_HITS
    assert b"generating 60 scenes" in capsysbinary.readouterr().err
    assert bench(tmp_path, *args) == EXIT_HITS
    assert b"60 generated scenes in" in capsysbinary.readouterr().err
