"""From what stands behind ``--data`` to protocols of composed questions, and trained parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from needlepoint.bench.data import read_data
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError

WEIGHTS = Path(__file__).resolve().parents[3] / "weights" / "composed"
"""Trained parts that come with a checkout."""


def read_composed(
    texts: Sequence[str], needle: Path, report: Callable[[str], None]
) -> list[Protocol]:
    """The protocols of all data that ask with a picture and a change.

    Args:
        texts: as in ``read_data``.
        needle: folder for generated sets.
        report: told what is done where nothing was given.

    Raises:
        UsageError: no data there, or none with composed questions.
    """
    protocols = read_data(texts, needle, report)
    found = [one for one in protocols if {q.kind for q in one.questions} == {"composed"}]
    if not found:
        raise UsageError(
            "--data holds no composed questions. Give a set of `needlepoint bench build edits`, or "
            "a dataset that asks with a picture and a change (needlepoint bench list)."
        )
    return found
