"""From what stands behind ``--data`` of a training to protocols of composed questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from needlepoint.bench.data import read_data
from needlepoint.bench.needle.edit_protocols import edit_protocol
from needlepoint.bench.needle.edit_truth import EDITS_FILE, load_edits
from needlepoint.bench.protocol import Protocol


def training_protocols(texts: Sequence[str]) -> list[Protocol]:
    """The protocols to learn from; questions of needle edits come with all their wordings.

    Args:
        texts: each ``FOLDER`` or ``edits=FOLDER`` with a set of needle edits, or
            ``DATASET[:SPLIT][,option=value...]=FOLDER`` as the bench reads it.

    Raises:
        UsageError: no data there.
    """
    found: list[Protocol] = []
    for text in texts:
        folder = Path(text.removeprefix("edits=")).expanduser()
        if (folder / EDITS_FILE).is_file() or text.startswith("edits="):
            found.append(_worded(folder))
        else:
            found += read_data([text], folder, lambda told: None)
    return found


def _worded(folder: Path) -> Protocol:
    """A set of needle edits, each question in all its wordings and not in the first alone."""
    protocol = edit_protocol(folder)
    wordings = {row.id: row.texts for row in load_edits(folder).questions}
    questions = tuple(replace(q, changes=wordings[q.id]) for q in protocol.questions)
    return replace(protocol, questions=questions)
