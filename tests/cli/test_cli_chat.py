"""The verb chat with a real library: turns through a pipe, and a person at a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_library import Ran

from chat_stand_in import Answer, serving
from needlepoint.library import Library

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "pictures"
NAMES = ("photo-cat", "photo-coffee", "photo-dogs", "photo-wine", "desk-00", "yard-00", "toys-08")
CODE = "from needlepoint.cli.main import main; main()"

Talk = Callable[..., tuple[Ran, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("chat")
    (place / "pictures").mkdir()
    for name in NAMES:
        shutil.copy(SAMPLES / f"{name}.jpg", place / "pictures")
    with Library.open(place / "library", create=True) as library:
        library.index(place / "pictures")
    return place / "library"


@pytest.fixture
def talk(folder: Path, needlepoint: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> Talk:
    """``talk(line, …, args=[…])`` → what ran, and its answers."""

    def call(*lines: str, args: tuple[str, ...] = ()) -> tuple[Ran, list[dict[str, Any]]]:
        data = io.TextIOWrapper(io.BytesIO("".join(f"{x}\n" for x in lines).encode()))
        monkeypatch.setattr(sys, "stdin", data)
        ran = needlepoint("--library", str(folder), "chat", *args)
        return ran, [json.loads(line) for line in ran.out.splitlines()]

    return call


def ids(told: dict[str, Any]) -> list[int]:
    return [hit["id"] for hit in told["answer"]["hits"]]


def test_turns_through_a_pipe(talk: Talk) -> None:
    ran, told = talk("a cat", "", "+ @2 @3 - @5", "@4#xywh=percent:10,20,50,50", args=("-k", "3"))
    assert ran.code == 0
    assert [turn["line"] for turn in told] == [
        "a cat",
        "+ @2 @3 - @5",
        "@4#xywh=percent:10,20,50,50",
    ]
    assert all(len(ids(turn)) == 3 for turn in told)
    assert told[1]["more"] == [{"id": 2, "box": None}, {"id": 3, "box": None}]
    assert told[1]["less"] == [{"id": 5, "box": None}]
    (mark,) = told[2]["more"]
    with Library.open(Path(told[2]["answer"]["hits"][0]["source"]["library"])) as library:
        facts = library.picture(4)
    width, height = facts["width"], facts["height"]
    assert mark["box"] == pytest.approx([width * 0.1, height * 0.2, width * 0.5, height * 0.5])
    assert set(told[1]["moved"]) == {str(n) for n in ids(told[1])}


def test_commands_in_a_pipe(talk: Talk) -> None:
    ran, told = talk("a cat", "+ @2", "/why", "/undo", "/show", "/undo", "/show", "/quit", "a dog")
    first, second, why, undone, shown, empty, refused = told
    assert [row["id"] for row in why["why"]] == ids(second)
    assert [r["part"] for r in why["why"][0]["why"]] == ["a cat", "more like these"]
    assert undone["answer"] == shown["answer"] == first["answer"]
    assert empty == {"line": "/undo", "turns": 0}
    assert refused["error"]["message"] == "nothing has been said yet"
    assert ran.code == 2


@pytest.mark.parametrize("line", ["/nothing", "x +", "+ @999", "/undo", "- @3"])
def test_a_bad_line_does_not_end_the_run(talk: Talk, line: str) -> None:
    ran, (refused, answered) = talk(line, "a cat")
    assert (ran.code, refused["error"]["code"]) == (2, 2)
    assert ids(answered)


@pytest.mark.parametrize(
    ("args", "code"),
    [(("--method", "windows"), 2), (("--where", "year >"), 2), (("-k", "0"), 2)],
)
def test_what_cannot_be_begun(talk: Talk, args: tuple[str, ...], code: int) -> None:
    ran, told = talk("a cat", args=args)
    assert (ran.code, told) == (code, [])
    assert ran.err.startswith("needlepoint: error:")


def test_nothing_said_finds_nothing(talk: Talk) -> None:
    ran, told = talk()
    assert (ran.code, told) == (1, [])


class Person:
    """A terminal in which ``needlepoint chat`` runs."""

    def __init__(self, library: Path) -> None:
        self.mine, theirs = pty.openpty()
        self.ran = subprocess.Popen(
            [sys.executable, "-c", CODE, "--library", str(library), "chat", "-k", "4"],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "dumb"},
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def until(self, end: str) -> str:
        """What is shown up to ``end``, since the last time."""
        limit = time.monotonic() + 120
        while not self.seen.endswith(end):
            assert time.monotonic() < limit, self.seen
            if select.select([self.mine], [], [], 1)[0]:
                self.seen += os.read(self.mine, 65536).decode()
        shown, self.seen = self.seen, ""
        return shown

    def type(self, line: str) -> str:
        os.write(self.mine, f"{line}\n".encode())
        return self.until("> ")


@pytest.fixture
def person(folder: Path) -> Iterator[Person]:
    person = Person(folder)
    yield person
    if person.ran.poll() is None:
        os.killpg(person.ran.pid, signal.SIGKILL)
    person.ran.wait(60)
    os.close(person.mine)


def test_a_person_at_a_terminal(person: Person) -> None:
    assert "/help" in person.until("> ")
    first = person.type("a cat")
    assert "photo-cat.jpg" in first
    assert "▲" not in first
    refined = person.type("+ @7")
    assert "▲" in refined or "new" in refined
    assert "more like these" in person.type("/why")
    assert "photo-cat.jpg" in person.type("/undo")
    assert "there is no command /nonsense" in person.type("/nonsense")
    assert "#xywh=" in person.type("/help")
    os.write(person.mine, b"/quit\n")
    assert person.ran.wait(60) == 0


def test_ctrl_c_is_130(person: Person) -> None:
    person.until("> ")
    for _ in range(12):
        # one that comes between the prompt and the reading is only seen at the next key
        os.killpg(person.ran.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            person.ran.wait(5)
            break
    assert person.ran.wait(1) == 130


def test_a_model_asks_through_a_pipe(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    with serving([Answer("Is it grey?"), Answer("Where is it?")]) as server:
        args = ("--method", "chatir", "--chat", f"openai:{server.url}#toy", "-k", "2")
        ran, told = talk("a cat", "yes - very", "+ @2", args=(*args, "--chat-price", "1,2"))
        assert ran.code == 0
        assert [turn["question"] for turn in told] == ["Is it grey?", *["Where is it?"] * 2]
        assert told[1]["understood"] == "a cat, Is it grey? yes - very"
        assert told[2]["more"] == [{"id": 2, "box": None}]
        assert f"openai:{server.url}#toy: 2 calls, 1 from the cache, 20 + 6 tokens" in ran.err
        assert "cost 0.0000" in ran.err
        monkeypatch.setenv("NEEDLEPOINT_CHAT", f"openai:{server.url}#toy")
        again, _ = talk("a cat", args=("--method", "chatir"))
        assert "0 calls, 1 from the cache" in again.err


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--method", "chatir"), 4, "--chat openai:BASE_URL#MODEL"),
        (("--method", "genir"), 4, "--generator"),
        (("--chat", "gpt-4"), 2, "openai:BASE_URL#MODEL"),
        (("--chat-seconds", "never"), 2, "--chat-seconds must be"),
        (("--chat-price", "1"), 2, "--chat-price must be"),
        (("--chat-pictures",), 2, "set `chat` too"),
    ],
)
def test_models_that_are_not_there(
    talk: Talk, args: tuple[str, ...], code: int, message: str
) -> None:
    ran, told = talk("a cat", args=args)
    assert (ran.code, told) == (code, [])
    assert message in ran.err


def test_doctor_tells_of_the_chat_model(needlepoint: Callable[..., Ran], folder: Path) -> None:
    pytest.importorskip("openai")

    def told() -> dict[str, Any]:
        checks = json.loads(needlepoint("--library", str(folder), "doctor", "--json").out)
        return next(check for check in checks if check["name"] == "chat model")

    assert told()["state"] == "ok"
    with serving([Answer("hi")]) as server:
        for model, state, word in (("toy", "ok", "answers"), ("other", "optional", "but toy")):
            Path("needlepoint.toml").write_text(f'chat = "openai:{server.url}#{model}"')
            check = told()
            assert check["state"] == state
            assert word in check["told"]
    check = told()
    assert check["state"] == "optional"
    assert "cannot be reached" in check["told"]
