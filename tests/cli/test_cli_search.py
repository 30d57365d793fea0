"""search and similar: options, formats, exit codes, and what goes to which stream."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_library import FakeLibrary, Ran

from needlepoint.errors import LibraryIncompatible, ModelUnavailable, UsageError

Call = Callable[..., Ran]


def test_a_table_on_stdout_and_nothing_else(library: FakeLibrary, needlepoint: Call) -> None:
    ran = needlepoint("search", "red bicycle")
    assert ran.code == 0
    lines = ran.text.splitlines()
    assert lines[0].split() == ["score", "where", "id", "picture"]
    assert lines[1].split() == ["1", "0.900", "1,2", "30×40", "@1", "/pics/a.jpg"]
    assert len(lines) == 4
    assert ran.err == ""


def test_options_reach_the_library(library: FakeLibrary, needlepoint: Call) -> None:
    needlepoint(
        *("search", "2:beach - people", "-k", "7", "--where", "year = 2020", "--model", "hf:a/b"),
        *("--method", "dense", "--no-places", "--exact", "--min-score", "0.2", "--library", "/x"),
    )
    query, options = library.asked[0]
    assert str(query) == "2:beach - people"
    assert options == {
        "k": 7,
        "where": "year = 2020",
        "min_score": 0.2,
        "model": "hf:a/b",
        "method": "dense",
        "places": False,
        "mode": "exact",
        "corpus": None,
        "change": "",
    }
    assert library.opened == {"path": "/x", "create": False, "read_only": False}


def test_a_corpus_is_the_lines_of_a_file(library: FakeLibrary, needlepoint: Call) -> None:
    Path("texts.txt").write_text("a cat\n\n  caf\u00e9 \n", "utf-8")
    assert needlepoint("search", "x", "--method", "calibclip", "--corpus", "texts.txt").code == 0
    assert library.asked[0][1]["corpus"] == ["a cat", "caf\u00e9"]
    Path("bytes.txt").write_bytes(b"\xff\xfe")
    for name in ("bytes.txt", "nowhere.txt", "."):
        ran = needlepoint("search", "x", "--corpus", name)
        assert (ran.code, ran.out) == (2, b"")
        assert f"--corpus {name} cannot be read" in ran.err


def test_what_a_method_warns_of_is_told(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = library.search

    def warning(query: Any, **options: Any) -> Any:
        warnings.warn("no captions tell which words are common", stacklevel=2)
        return true(query, **options)

    monkeypatch.setattr(library, "search", warning)
    ran = needlepoint("search", "x")
    assert ran.code == 0
    assert ran.err == "needlepoint: warning: no captions tell which words are common\n"


def test_the_method_may_be_a_setting(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEEDLEPOINT_METHOD", "lare:tau=0.2")
    needlepoint("search", "x")
    needlepoint("similar", "@7")
    needlepoint("search", "x", "--method", "whole")
    methods = [options["method"] for _, options in library.asked]
    assert methods == ["lare:tau=0.2", "lare:tau=0.2", "whole"]


def test_arguments_are_joined_and_files_with_spaces_stay_whole(
    library: FakeLibrary, needlepoint: Call
) -> None:
    Path("my photo.jpg").touch()
    needlepoint("search", "red", "bicycle", "+", "my photo.jpg", "-", "people")
    assert [(p.kind, p.value, p.weight) for p in library.asked[0][0].parts] == [
        ("text", "red bicycle", 1.0),
        ("picture", "my photo.jpg", 1.0),
        ("text", "people", -1.0),
    ]


def test_a_question_may_begin_with_a_dash(library: FakeLibrary, needlepoint: Call) -> None:
    assert needlepoint("search", "- people + beach", "-k", "2").code == 0
    assert str(library.asked[0][0]) == "- people + beach"
    assert library.asked[0][1]["k"] == 2


def test_formats(library: FakeLibrary, needlepoint: Call) -> None:
    assert needlepoint("search", "x", "--format", "paths").out == (
        b"/pics/a.jpg\n/pics/b.jpg\n/pics/c.jpg\n"
    )
    assert needlepoint("search", "x", "-0").out == b"/pics/a.jpg\0/pics/b.jpg\0/pics/c.jpg\0"
    rows = [
        json.loads(line) for line in needlepoint("search", "x", "-f", "jsonl").text.splitlines()
    ]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert set(rows[0]) >= {"rank", "id", "path", "score", "score_kind", "box", "source"}
    told = json.loads(needlepoint("search", "x", "-f", "json").text)
    assert set(told) >= {"query", "hits", "cutoff", "notes", "timings"}
    assert needlepoint("search", "x", "-f", "csv").text.splitlines()[0].startswith("rank,id,")
    page = needlepoint("search", "x", "-f", "html").text
    assert page.startswith("<!doctype html>")


def test_raw_bytes_of_names(library: FakeLibrary, needlepoint: Call) -> None:
    library.paths[0] = os.fsdecode(b"/pics/caf\xe9\n.jpg")
    assert needlepoint("search", "x", "-0", "-k", "1").out == b"/pics/caf\xe9\n.jpg\0"
    row = json.loads(needlepoint("search", "x", "-f", "jsonl", "-k", "1").out)
    assert os.fsencode(row["path"]) == b"/pics/caf\xe9\n.jpg"
    table = needlepoint("search", "x", "-k", "1").text.splitlines()
    assert len(table) == 2


def test_exit_code_1_when_nothing_matches(library: FakeLibrary, needlepoint: Call) -> None:
    library.matches = [False, False, False]
    ran = needlepoint("search", "x", "--format", "paths")
    assert ran.code == 1
    assert len(ran.out.splitlines()) == 3, "the nearest are shown all the same"
    assert "nothing here matches 'x' (cut-off 0.750); the nearest are shown" in ran.err
    ran = needlepoint("search", "x", "--min-score", "auto", "--format", "paths")
    assert (ran.code, ran.out) == (1, b"")
    assert "shown" not in ran.err
    assert needlepoint("search", "x", "--min-score", "2").code == 1
    library.matches = [None, None, None]
    assert needlepoint("search", "x").code == 0, "without calibration rows count as found"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search"], "no question"),
        (["search", "  "], "empty"),
        (["search", "- people"], "at least one part"),
        (["search", "0:x"], "above 0"),
        (["search", "x", "-k", "0"], "-k must be"),
        (["search", "x", "-k", "many"], "-k must be"),
        (["search", "x", "--format", "jsno"], "did you mean 'json'"),
        (["search", "x", "--min-score", "high"], "--min-score must be"),
        (["search", "x", "--min-score", "nan"], "--min-score must be"),
        (["search", "x", "--fromat", "json"], "--format"),
        (["search", "x", "-0", "--format", "json"], "-0"),
        (["search", "x", "--open", "--format", "json"], "--open"),
        (["search", "-", "--format", "csv"], "JSON lines"),
        (["search", "-", "--copy-to", "d"], "JSON lines"),
        (["search", "./"], "needlepoint index ./"),
        (["search", "broken.jpg"], "broken.jpg: not a picture"),
        (["similar", "dog"], "as @1234"),
        (["similar", "@1 + @2"], "as @1234"),
        (["similar", "@404"], "@404"),
        (["index", "--regions", "some"], "dense:R"),
        (["index", "--detail", "3x"], "1x"),
        (["index", "--workers", "-1"], "--workers must be"),
        (["completion", "csh"], "csh"),
    ],
)
def test_exit_code_2_names_the_mistake(
    library: FakeLibrary, needlepoint: Call, arguments: list[str], told: str
) -> None:
    ran = needlepoint(*arguments)
    assert (ran.code, ran.out) == (2, b"")
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_exit_code_3_says_how_to_make_a_library(library: FakeLibrary, needlepoint: Call) -> None:
    library.missing = True
    ran = needlepoint("search", "x")
    assert (ran.code, ran.out) == (3, b"")
    assert "needlepoint index" in ran.err
    library.missing, library.fails = False, LibraryIncompatible("made by a newer needlepoint")
    assert needlepoint("search", "x").code == 3


def test_exit_code_4_passes_on_what_to_do(library: FakeLibrary, needlepoint: Call) -> None:
    library.fails = ModelUnavailable("model hf:a/b: copy model.safetensors to /there")
    ran = needlepoint("search", "x")
    assert ran.code == 4
    assert "/there" in ran.err


def test_exit_code_130_when_interrupted(library: FakeLibrary, needlepoint: Call) -> None:
    library.fails = KeyboardInterrupt()
    ran = needlepoint("search", "x")
    assert (ran.code, ran.out) == (130, b"")
    assert "nothing acknowledged is lost" in ran.err
    assert "resume" in ran.err


def test_a_bug_is_called_a_bug(library: FakeLibrary, needlepoint: Call) -> None:
    library.fails = ZeroDivisionError("oops")
    ran = needlepoint("search", "x")
    assert ran.code == 70
    assert "ZeroDivisionError: oops" in ran.err
    assert "report" in ran.err
    with pytest.raises(ZeroDivisionError):
        needlepoint("search", "x", "-v")


def test_notes_and_timings_go_to_stderr(library: FakeLibrary, needlepoint: Call) -> None:
    library.notes = ["words are \x1b[31mlimited"]
    ran = needlepoint("search", "x", "-f", "paths", "-v")
    assert "needlepoint: words are \\x1b[31mlimited\n" in ran.err
    assert "exact; total 1.0 ms" in ran.err
    assert needlepoint("search", "x", "-q").err == ""
    assert needlepoint("-q", "search", "x").err == ""


def test_output_file(library: FakeLibrary, needlepoint: Call) -> None:
    ran = needlepoint("search", "x", "-f", "paths", "-o", "found.txt")
    assert (ran.code, ran.out) == (0, b"")
    assert Path("found.txt").read_bytes().startswith(b"/pics/a.jpg\n")
    assert [p.name for p in Path().iterdir()] == ["found.txt"], "no half-written file stays"
    Path("mine.jpg").write_bytes(b"picture")
    assert needlepoint("search", "x", "-f", "paths", "-o", "mine.jpg").code == 2
    assert Path("mine.jpg").read_bytes() == b"picture"
    assert needlepoint("search", "x", "-o", "no/such/folder/x").code == 2


def test_open_shows_a_sheet(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    assert needlepoint("search", "x", "--open", "-o", "sheet.html").code == 0
    assert shown == [Path("sheet.html").absolute().as_uri()]
    assert needlepoint("search", "x", "--open").code == 0
    assert shown[1].endswith(".html")
    os.unlink(shown[1].removeprefix("file://"))


def test_copy_to_never_overwrites(library: FakeLibrary, needlepoint: Call) -> None:
    Path("in").mkdir()
    library.paths = []
    for name in ("a.jpg", "b.jpg", "gone.jpg"):
        library.paths.append(str(Path("in", name).absolute()))
    Path("in/a.jpg").write_bytes(b"a")
    Path("in/b.jpg").write_bytes(b"b")
    Path("out").mkdir()
    Path("out/001-a.jpg").write_bytes(b"something else")
    ran = needlepoint("search", "x", "--copy-to", "out", "-f", "paths")
    assert ran.code == 0
    assert "copied 2 of 3" in ran.err
    assert "gone.jpg was not copied" in ran.err
    held = {p.name: p.read_bytes() for p in Path("out").iterdir()}
    expected = {"001-a.jpg": b"something else", "001-a-2.jpg": b"a", "002-b.jpg": b"b"}
    assert held == expected
    ran = needlepoint("search", "x", "--copy-to", "out", "-f", "paths")
    assert "copied 0 of 3" in ran.err, "what is there already is left alone"
    assert {p.name for p in Path("out").iterdir()} == set(expected)


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_questions_from_stdin(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"a dog\r\n\n  \n2:beach - people\ncaf\xe9\nlast")
    ran = needlepoint("search", "-", "-k", "2")
    rows = [json.loads(line) for line in ran.text.splitlines()]
    assert [os.fsencode(row["query"]) for row in rows] == [
        b"a dog",
        b"2:beach - people",
        b"caf\xe9",
        b"last",
    ]
    assert all(len(row["hits"]) == 2 for row in rows)
    assert ran.code == 0


def test_a_bad_line_does_not_end_the_run(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"0:x\nbroken.jpg\na dog\n")
    ran = needlepoint("search", "-")
    rows = [json.loads(line) for line in ran.text.splitlines()]
    assert [row.get("error", {}).get("code") for row in rows] == [2, 2, None]
    assert "above 0" in rows[0]["error"]["message"]
    assert len(rows[2]["hits"]) == 3
    assert ran.code == 2
    library.matches = [False] * 3
    stdin(monkeypatch, b"a dog\n")
    assert needlepoint("search", "-").code == 1


def test_similar(library: FakeLibrary, needlepoint: Call) -> None:
    assert needlepoint("similar", "@7", "-k", "2", "--where", "year=1").code == 0
    assert library.asked[0][1] == {
        "box": None,
        "k": 2,
        "where": "year=1",
        "min_score": None,
        "model": None,
        "method": None,
        "change": "",
    }
    needlepoint("similar", "7#xywh=1,2,3,4")
    assert library.asked[1][1]["box"] == (1, 2, 3, 4)
    needlepoint("similar", "@7#xywh=percent:10,20,30,40")
    assert library.asked[2][1]["box"] == (20, 20, 60, 40), "percent of 200 x 100 pixels"


def test_a_question_without_a_verb_is_asked_below_this_folder(
    library: FakeLibrary, needlepoint: Call
) -> None:
    os.mkdir("it's")
    os.chdir("it's")
    here = os.getcwd()
    assert needlepoint("a dog", "-k", "2", "--where", "year = 2020").code == 0
    assert library.indexed[0][0] == [here]
    options: dict[str, Any] = library.asked[0][1]
    quoted = here.replace("'", "''")
    assert options["where"] == f"folder = '{quoted}' and (year = 2020)"
    assert library.opened["create"]
    assert needlepoint("--library", "/x", "-q", "a dog", "--no-index").code == 0
    assert len(library.indexed) == 1
    assert library.opened == {"path": "/x", "create": False, "read_only": False}


def test_a_mistyped_verb_is_pointed_out(library: FakeLibrary, needlepoint: Call) -> None:
    ran = needlepoint("serch")
    assert "did you mean 'search'" in ran.err
    assert library.asked
    assert "verb" not in needlepoint("dog").err


def test_usage_error_of_the_library_is_shown_whole(library: FakeLibrary, needlepoint: Call) -> None:
    library.fails = UsageError("bad\n  year >\n        ^")
    assert needlepoint("search", "x").err == "needlepoint: error: bad\n  year >\n        ^\n"
