"""Settings: which of flag, environment, project file, user file and default wins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_library import FakeLibrary, Ran

from needlepoint.cli.config import KEYS, Settings
from needlepoint.errors import UsageError

Call = Callable[..., Ran]


def user_file() -> Path:
    file = Settings().user_file
    assert file is not None
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def test_precedence(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def k() -> int:
        needlepoint("search", "x")
        return int(library.asked[-1][1]["k"])

    assert k() == 20
    user_file().write_text("k = 3")
    assert k() == 3
    Path("needlepoint.toml").write_text("k = 4")
    assert k() == 4
    monkeypatch.setenv("NEEDLEPOINT_K", "5")
    assert k() == 5
    needlepoint("search", "x", "-k", "6")
    assert library.asked[-1][1]["k"] == 6


def test_show_tells_every_origin(needlepoint: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("needlepoint.toml").write_text('format = "paths"\nlibrary = "lib"')
    monkeypatch.setenv("NEEDLEPOINT_MODEL", "builtin")
    told = json.loads(needlepoint("config", "show", "--origin", "--json", "--quiet").out)
    assert set(told) == set(KEYS)
    project = str(Path("needlepoint.toml").absolute())
    assert told["format"] == {"value": "paths", "origin": project}
    assert told["library"]["value"] == str(Path("lib").absolute()), "relative to its file"
    assert told["model"]["origin"] == "NEEDLEPOINT_MODEL"
    assert told["quiet"]["origin"] == "flag"
    assert told["k"] == {"value": 20, "origin": "default"}
    text = needlepoint("config", "show", "--origin").text
    assert 'format = "paths"' in text
    assert project in text


def test_the_printed_settings_are_a_settings_file(needlepoint: Call) -> None:
    Path("needlepoint.toml").write_text('format = "paths"\nk = 7\nquiet = true')
    printed = needlepoint("config", "show", "--origin").text
    Path("needlepoint.toml").write_text(printed)
    again = needlepoint("config", "show").text
    assert (
        again
        == "\n".join(line.split("  #")[0].rstrip() for line in printed.splitlines()[:-2]) + "\n"
    )


def test_the_nearest_project_file_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "needlepoint.toml").write_text("k = 1")
    assert Settings({}, deep)["k"] == 1
    (tmp_path / "a" / "needlepoint.toml").write_text("k = 2")
    assert Settings({}, deep)["k"] == 2


def test_unknown_names_warn_with_the_nearest(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("needlepoint.toml").write_text("formt = 1")
    monkeypatch.setenv("NEEDLEPOINT_LIBARY", "/x")
    ran = needlepoint("search", "x")
    assert ran.code == 0
    assert "unknown setting 'formt' is ignored; did you mean 'format'?" in ran.err
    assert "NEEDLEPOINT_LIBARY is ignored; did you mean 'NEEDLEPOINT_LIBRARY'?" in ran.err
    assert ran.err.count("formt") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("k = 0", "k must be a whole number"),
        ("k = [1]", "single value"),
        ('format = "jsno"', "did you mean 'json'"),
        ('offline = "perhaps"', "true or false"),
        ('regions = "all"', "dense:R"),
        ("k = ", "cannot be read as TOML"),
    ],
)
def test_bad_values_name_file_and_setting(needlepoint: Call, text: str, told: str) -> None:
    Path("needlepoint.toml").write_text(text)
    ran = needlepoint("search", "x")
    assert ran.code == 2
    assert "needlepoint.toml" in ran.err
    assert told in ran.err


def test_bad_variables_are_named(needlepoint: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLEPOINT_K", "x")
    with pytest.raises(UsageError, match="NEEDLEPOINT_K: k must be"):
        Settings()
    assert needlepoint("info").code == 2


def test_offline_comes_from_the_hub_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings({})["offline"]
    assert Settings({"HF_HUB_OFFLINE": "1"})["offline"]
    assert not Settings({"HF_HUB_OFFLINE": "0"})["offline"]
    assert Settings({"NEEDLEPOINT_OFFLINE": "yes"})["offline"]


def test_home_is_expanded_in_the_library_path(tmp_path: Path) -> None:
    (tmp_path / "needlepoint.toml").write_text('library = "~/lib"')
    assert Settings({}, tmp_path)["library"] == str(Path.home() / "lib")
