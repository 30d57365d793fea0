"""The list of nouns: first names of classes, none for kinds of people."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from nouns import KEPT, main, nouns  # noqa: E402

LIST = ROOT / "src" / "needlepoint" / "methods" / "composed" / "nouns.txt"


def test_first_names_once_and_no_kinds_of_people() -> None:
    names = {"n01": "duck, drake", "n09700000": "Dubliner", "n02": "car", "n03": "duck, canvas"}
    assert nouns(["n01", "n09700000", "n02", "n03"], names) == ["duck", "car", *KEPT]


def test_the_list_of_the_package_is_what_the_tool_writes(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    if timm.__version__ != "1.0.31":
        pytest.skip("the list is that of timm 1.0.31")
    source = Path(timm.__file__).parent / "data" / "_info"
    main([str(source), str(tmp_path / "nouns.txt")], standalone_mode=False)
    assert (tmp_path / "nouns.txt").read_bytes() == LIST.read_bytes()
