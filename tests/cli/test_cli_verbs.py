"""The verbs that do not ask: what they print, where, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from fake_library import FakeLibrary, Ran

from needlepoint.cli import main as door
from needlepoint.cli.talk import Talk
from needlepoint.errors import LibraryBusy
from needlepoint.methods import measured

Call = Callable[..., Ran]


def test_index_reports_on_stderr(library: FakeLibrary, needlepoint: Call) -> None:
    ran = needlepoint("index", "/pics", "--regions", "dense:8", "--detail", "2x", "--workers", "2")
    assert (ran.code, ran.out) == (0, b"")
    assert "indexing: 1 of 3\nneedlepoint: indexing: 3 of 3" in ran.err
    assert "3 added (0.5 s)" in ran.err
    sources, options = library.indexed[0]
    assert sources == ["/pics"]
    assert options["regions"] == "dense:8"
    assert (options["detail"], options["workers"], options["model"]) == ("2x", 2, None)
    assert library.opened["create"]


def test_index_json_is_data(library: FakeLibrary, needlepoint: Call) -> None:
    ran = needlepoint("index", "/pics", "--json", "--quiet")
    assert json.loads(ran.out)["added"] == 3
    assert ran.err == ""
    assert library.indexed[0][1]["progress"] is None


def test_index_of_unreadable_pictures_is_exit_code_5(
    library: FakeLibrary, needlepoint: Call
) -> None:
    library.skips = [(f"/pics/{n}.jpg", "truncated") for n in range(25)]
    ran = needlepoint("index", "/pics")
    assert ran.code == 5
    assert ran.err.count("warning: /pics/") == 20
    assert "and 5 more; needlepoint info --skipped lists all" in ran.err
    assert "25 unreadable" in ran.err
    assert needlepoint("index", "/pics", "-v").err.count("warning: /pics/") == 25


def test_index_without_folders_looks_at_the_known_ones(
    library: FakeLibrary, needlepoint: Call
) -> None:
    assert needlepoint("index").code == 0
    assert library.indexed[0][0] == ["/pics"]
    assert not library.opened["create"]


def test_index_dry_run_makes_no_library(library: FakeLibrary, needlepoint: Call) -> None:
    library.missing = True
    ran = needlepoint("index", "--dry-run", "/pics")
    assert ran.code == 0
    assert "would read 3 pictures" in ran.err
    assert "nothing was written" in ran.err
    assert not os.path.exists(library.opened["path"]), "the stand-in folder is gone"


def test_busy_library_is_exit_code_3(library: FakeLibrary, needlepoint: Call) -> None:
    library.fails = LibraryBusy("another process is writing")
    assert needlepoint("index", "/pics").code == 3


def test_info(library: FakeLibrary, needlepoint: Call) -> None:
    text = needlepoint("info").text
    assert "12,345" in text
    assert "2.5 MB" in text
    assert "/pics (online yes)" in text
    assert json.loads(needlepoint("info", "--json").out) == library.info()
    assert library.opened["read_only"]
    assert needlepoint("info", "--skipped").text == "/pics/\\xff.jpg: truncated\n"
    row = json.loads(needlepoint("info", "--skipped", "--json").out)[0]
    assert os.fsencode(row["path"]) == b"/pics/\xff.jpg"


def test_models(library: FakeLibrary, needlepoint: Call) -> None:
    text = needlepoint("models").text
    assert "in the library: dense:32@1x: 7 pictures, answers words and pictures; lare: 3" in text
    told = json.loads(needlepoint("models", "--json").out)
    assert told == json.loads(needlepoint("models", "list", "--json").out)
    mine = {model["address"]: model for model in told}
    assert [one["pictures"] for one in mine["builtin"]["library"]] == [7, 3]
    assert len(mine) > 1
    library.missing = True
    told = json.loads(needlepoint("models", "--json").out)
    assert all(model["library"] is None for model in told)


def test_models_use(library: FakeLibrary, needlepoint: Call) -> None:
    assert needlepoint("models", "use", "builtin", "--for", "text").code == 0
    assert library.used == [("builtin", "text")]


def test_models_fetch_is_exit_code_4_when_offline(library: FakeLibrary, needlepoint: Call) -> None:
    ran = needlepoint("models", "fetch", "hf:a/b", "--offline")
    assert (ran.code, ran.out) == (4, b"")


def test_methods(library: FakeLibrary, needlepoint: Call) -> None:
    told = json.loads(needlepoint("methods", "--json").out)
    assert "dense" in [card["name"] for card in told]
    assert "dense" in needlepoint("methods", "list", "den*").text
    told = json.loads(needlepoint("methods", "show", "dense", "--json").out)
    assert (told["name"], told["how_to"]["index"]) == (
        "dense",
        "needlepoint index --regions dense FOLDER",
    )
    assert needlepoint("methods", "show", "desne").code == 2


def test_the_card_of_a_method_says_all_it_knows(needlepoint: Call) -> None:
    card = json.loads(needlepoint("methods", "show", "lare", "--json").out)
    text = " ".join(needlepoint("methods", "show", "lare").text.split())
    for key in ("title", "paper", "evidence", "stores", "passes"):
        assert " ".join(card[key].split()) in text
    for name, source in card["parameters"].items():
        assert f"{name} {' '.join(source.split())}" in text
    for one in card["disagreements"]:
        assert " ".join(one.split()) in text
    assert "needlepoint index --method lare --model ADDR FOLDER" in text
    assert "needlepoint search --method lare QUESTION" in text
    every = json.loads(needlepoint("methods", "list", "*", "--json").out)
    assert card in every
    lines = needlepoint("methods").text.splitlines()
    assert len(lines) == len(every)


def test_methods_of_a_task_tell_their_evidence_and_their_figure(
    needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"suite": "composed", "data": "edits test", "encoder": "compact", "line": "whole"}
    row |= {"measure": "R@1", "value": 0.5, "low": 0.25, "high": 0.75, "questions": 8}
    monkeypatch.setattr(measured, "_rows", lambda: {"weighted_sum": row})
    cards = json.loads(needlepoint("methods", "--task", "composed", "--json").out)
    told = {card["name"]: card for card in cards}
    assert told["weighted_sum"]["measured"] == row
    assert all(card["task"] == "composed" and card["evidence"] for card in cards)
    assert all(card["measured"] is None for name, card in told.items() if name != "weighted_sum")
    assert set(told) == {card["name"] for card in _every(needlepoint) if card["task"] == "composed"}
    some = json.loads(needlepoint("methods", "list", "w*", "--task", "composed", "--json").out)
    assert [card["name"] for card in some] == [name for name in told if name.startswith("w")]
    text = needlepoint("methods", "show", "weighted_sum").text
    assert "R@1 50.0 % (25.0 to 75.0) of 8 questions, edits test, compact" in " ".join(text.split())
    assert "no figure" in needlepoint("methods", "show", "lare").text
    refused = needlepoint("methods", "--task", "composd")
    assert refused.code == 2
    assert "did you mean 'composed'" in refused.err


def test_methods_are_listed_where_torch_is_not_installed() -> None:
    call = "import sys; sys.modules['torch'] = None\n"
    call += "from needlepoint.cli.main import run\nsys.exit(run(['methods', '--task', 'composed']))"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"weighted_sum" in done.stdout


def _every(needlepoint: Call) -> list[dict[str, Any]]:
    cards: list[dict[str, Any]] = json.loads(needlepoint("methods", "--json").out)
    return cards


def test_what_to_index_by_comes_from_flags_before_settings(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(*flags: str, **settings: str) -> dict[str, object]:
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(f"NEEDLEPOINT_{name.upper()}", value)
            assert needlepoint("index", "/pics", *flags).code == 0
        told = library.indexed[-1][1]
        names = ("method", "regions", "detail", "keep_map")
        return {name: told[name] for name in names if told[name]}

    assert kept() == {}
    assert kept("--method", "lare:n=7") == {"method": "lare:n=7"}
    assert kept("--method", "lare", regions="dense") == {"method": "lare"}
    assert kept("--detail", "2x", method="lare") == {"detail": "2x"}
    assert kept("--keep-map", method="lare") == {"keep_map": True}
    assert kept(method="lare", regions="dense") == {"method": "lare"}
    assert kept(method="whole", regions="windows:4") == {"regions": "windows:4"}
    # two flags that exclude each other are for the library to refuse
    assert kept("--method", "lare", "--regions", "none") == {"method": "lare", "regions": "none"}


def test_gc_and_snapshot(library: FakeLibrary, needlepoint: Call) -> None:
    assert json.loads(needlepoint("gc", "--dry-run", "--json").out)["dry"] == 1
    assert "removed: pictures 2" in needlepoint("gc").err
    assert needlepoint("snapshot", "/backup").out == b"/backup\n"


def test_completion_of_every_shell(needlepoint: Call) -> None:
    for shell in ("bash", "zsh", "fish"):
        ran = needlepoint("completion", shell)
        assert ran.code == 0
        assert b"_NEEDLEPOINT_COMPLETE" in ran.out


def test_completion_completes_verbs() -> None:
    environment = {
        **os.environ,
        "_NEEDLEPOINT_COMPLETE": "bash_complete",
        "COMP_WORDS": "needlepoint sim",
        "COMP_CWORD": "1",
    }
    code = "from needlepoint.cli.main import main; main([])"
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert ran.stdout == b"plain,similar\n"


@pytest.mark.parametrize("verb", sorted(door.VERBS))
def test_every_verb_has_help_and_the_common_options(verb: str, needlepoint: Call) -> None:
    ran = needlepoint(verb, "--help")
    assert ran.code == 0
    if verb not in ("config", "bench", "train"):  # their own verbs have them
        for option in ("--library", "--quiet", "--verbose", "--offline"):
            assert option in ran.text


def test_help_is_quick_and_light() -> None:
    code = (
        "import sys; from needlepoint.cli.main import run; run(['search', '--help']); "
        "heavy = {'numpy.random', 'rich', 'onnxruntime', 'torch', 'PIL', 'lark', 'watchfiles', "
        "'huggingface_hub', 'pandas'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_progress_is_a_bar_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Talk().lively
    assert not Talk(quiet=True).lively
    monkeypatch.setenv("TERM", "dumb")
    assert not Talk().lively


def test_doctor_names_what_is_missing(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from needlepoint.cli import checks

    Path("lib").mkdir()
    sqlite3.connect("lib/library.sqlite3").execute("VACUUM")
    monkeypatch.setenv("NEEDLEPOINT_LIBRARY", "lib")
    have = checks._version
    monkeypatch.setattr(checks, "_version", lambda n: None if n == "rawpy" else have(n))
    monkeypatch.setattr(checks, "_model", lambda: checks.Check("built-in model", "ok", "there"))
    ran = needlepoint("doctor")
    assert "pip install 'needlepoint[raw]'" in ran.text
    library.missing = True
    found = {c["name"]: c for c in json.loads(needlepoint("doctor", "--json").out)}
    assert found["library"]["state"] == "optional"
    assert "needlepoint index" in found["library"]["fix"]
    monkeypatch.setattr(checks, "_version", lambda n: None if n == "onnxruntime" else have(n))
    ran = needlepoint("doctor")
    assert ran.code == 4
    assert "PROBLEM" in ran.text


def test_doctor_finds_a_damaged_database(tmp_path: Path) -> None:
    from needlepoint.cli.checks import _sound

    (tmp_path / "library.sqlite3").write_bytes(b"SQLite format 3\0" + b"rubbish" * 400)
    check = _sound(tmp_path)
    assert (check.state, check.exit_code) == ("problem", 3)


def test_abort_of_a_prompt_is_130(monkeypatch: pytest.MonkeyPatch, needlepoint: Call) -> None:
    def abort(*_: object, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr(door.cli, "main", abort)
    assert needlepoint("info").code == 130


def test_sigint_has_its_default_meaning() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
