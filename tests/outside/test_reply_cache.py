"""Replies kept on disk: what is kept, what a key hangs on, and disks that fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from needlepoint.outside import reply_cache
from needlepoint.outside.chat import Message
from needlepoint.outside.reply_cache import KeptReplies


class Counting:
    """Answers with the number of the call."""

    name = "counting"

    def __init__(self) -> None:
        self.calls = 0

    def reply(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        most: int = 400,
    ) -> str:
        self.calls += 1
        return f"{self.calls} ünï \ud800"


ASK = [Message("user", "hello \udcff")]


def test_the_same_question_is_asked_once(tmp_path: Path) -> None:
    model = Counting()
    first = KeptReplies(model, tmp_path / "new")
    assert {first.reply(ASK) for _ in range(3)} == {"1 ünï \ud800"}
    assert KeptReplies(model, tmp_path / "new").reply(ASK) == "1 ünï \ud800"
    assert (model.calls, first.spent.kept, first.name) == (1, 2, "counting")
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".json"]


def test_a_key_hangs_on_everything(tmp_path: Path) -> None:
    model = Counting()
    kept = KeptReplies(model, tmp_path, always=True)
    kept.reply(ASK)
    kept.reply([Message("system", ASK[0].text)])
    kept.reply([*ASK, *ASK])
    kept.reply([Message("user", ASK[0].text, (b"a picture",))])
    kept.reply(ASK, schema={"type": "object"})
    kept.reply(ASK, temperature=0.5)
    kept.reply(ASK, most=10)
    model.name = "another"
    kept.reply(ASK)
    assert (model.calls, kept.spent.kept) == (8, 0)


def test_replies_of_chance_are_kept_only_when_asked(tmp_path: Path) -> None:
    model = Counting()
    for always, calls in ((False, 2), (True, 3)):
        kept = KeptReplies(model, tmp_path, always=always)
        kept.reply(ASK, temperature=0.7)
        kept.reply(ASK, temperature=0.7)
        assert model.calls == calls


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"reply": 3}', b"\xff"])
def test_a_damaged_file_is_asked_anew(tmp_path: Path, damage: bytes) -> None:
    model = Counting()
    kept = KeptReplies(model, tmp_path)
    kept.reply(ASK)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert kept.reply(ASK).startswith("2")
    assert kept.reply(ASK).startswith("2")


def test_a_disk_that_fails_only_stops_the_keeping(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = KeptReplies(Counting(), tmp_path / "file")
    assert [kept.reply(ASK)[0], kept.reply(ASK)[0]] == ["1", "2"]


def test_the_number_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_cache, "MOST", 10)
    kept = KeptReplies(Counting(), tmp_path)
    for n in range(25):
        kept.reply([Message("user", str(n))])
    assert 5 <= len(list(tmp_path.iterdir())) <= 10
