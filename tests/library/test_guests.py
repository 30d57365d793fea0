"""What people may not name who do not own the machine."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

import needlepoint.methods
from needlepoint.errors import UsageError
from needlepoint.library.guests import admit_method
from needlepoint.methods.options import FILE_OPTIONS

WORDS = {
    *("size", "sizes", "steps", "regions", "template", "prompt", "tap", "tau", "objects", "tokens"),
    *("domain", "over", "mode"),
}
"""Options that are text and never the name of a file."""


@pytest.mark.parametrize(
    "method",
    [
        "searle:weights=/etc",
        "pdv:over=searle:weights=mine,,oti=yes,beta=0.5",
        "freedom: words = list.txt",
        "weimocir:captions=a.json",
        "truth-crops:file=x",
        "mao:objects=annotations:/x",
        "detector-crops:objects=owlv2:/x+sam:/y",
        "calibclip:corpus=/etc/passwd",
    ],
)
def test_options_that_name_files_are_refused(method: str) -> None:
    with pytest.raises(UsageError, match="names a file of this machine"):
        admit_method(method)


@pytest.mark.parametrize("method", [None, "weicom:lam=0.3", "mao:objects=ncut", "pdv:over=oti"])
def test_all_others_are_let_through(method: str | None) -> None:
    admit_method(method)


def test_every_option_that_is_text_is_known_to_be_a_file_or_not() -> None:
    package = needlepoint.methods
    for found in pkgutil.walk_packages(package.__path__, "needlepoint.methods."):
        kinds = vars(importlib.import_module(found.name)).get("Options")
        if kinds is None or not is_dataclass(kinds):
            continue
        hints = get_type_hints(kinds)
        texts = {field.name for field in fields(kinds) if hints[field.name] is str}
        assert texts <= FILE_OPTIONS | WORDS, (found.name, texts - FILE_OPTIONS - WORDS)
