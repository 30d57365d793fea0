"""The server and what goes wrong around it: the quick ones of ``benchmarks/serve_faults.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from fault_world import prepared, suffer
from serve_faults import FAULTS

QUICK = (
    "kill -9 while indexing",
    "kill -9 while searching",
    "library deleted under the server",
    "folder of pictures unmounted",
    "picture files deleted, cut and replaced",
    "no more files may be opened",
    "clients hang up in mid answer",
    "SIGTERM during requests",
    "more uploads than are kept",
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures and their library, put back after every fault."""
    return prepared(tmp_path_factory.mktemp("faults") / "world")


@pytest.mark.parametrize("fault", QUICK)
def test_it_answers_or_says_why_and_loses_nothing(fault: str, template: Path) -> None:
    assert fault in FAULTS
    assert suffer(fault, template)
