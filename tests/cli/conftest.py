"""A clean world for the command, the fake library in its place, and a way to call it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_library import FakeLibrary, Ran

from needlepoint.cli.door import Door
from needlepoint.cli.main import run
from needlepoint.errors import LibraryMissing


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("NEEDLEPOINT_", "HF_HUB", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):  # --offline sets variables for the whole process
        del os.environ[name]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    fake = FakeLibrary()

    def opened(door: Door, *, create: bool = False, read_only: bool = False) -> FakeLibrary:
        fake.opened = {"path": door.settings["library"], "create": create, "read_only": read_only}
        if fake.missing and not create:
            raise LibraryMissing(
                "no library at /lib. Make one with: needlepoint index YOUR_PICTURES"
            )
        return fake

    monkeypatch.setattr(Door, "open", opened)
    return fake


@pytest.fixture
def needlepoint(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Ran]:
    def call(*args: str) -> Ran:
        capfdbinary.readouterr()
        code = run(args)
        caught = capfdbinary.readouterr()
        return Ran(code, caught.out, caught.err.decode())

    return call
