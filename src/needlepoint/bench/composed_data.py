"""From what stands behind ``--data`` to protocols of composed questions, and their facts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from needlepoint.bench.data import read_data
from needlepoint.bench.needle.edit_protocols import edit_protocol
from needlepoint.bench.needle.edit_truth import EDITS_FILE, load_edits
from needlepoint.bench.needle.edits import build_edits
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError

_SEED = 20261121
_SPLIT = "test"

WEIGHTS = Path(__file__).resolve().parents[3] / "weights" / "composed"
"""Trained parts that come with a checkout."""

NEAR = "as good"
"""What a picture is that answers though nobody labelled it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a set says beyond its protocol.

    ``captions`` of the pictures, in the order of the gallery; ``kinds`` of each question, by
    heading; ``firsts`` tells of each question what a picture is that is no answer to it, such as
    one where only half of what was asked is true.
    """

    captions: tuple[str, ...] = ()
    kinds: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    firsts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def facts_of(protocol: Protocol) -> Facts:
    """What is known of a protocol; of needle edits everything, of others the kinds of change."""
    folder = Path(protocol.folder)
    if not (folder / EDITS_FILE).is_file():
        named = {one.id: "+".join(sorted(one.aspects)) for one in protocol.questions if one.aspects}
        return Facts(kinds={name: {"change": kind} for name, kind in named.items()})
    truth = load_edits(folder)
    captions = {picture.file: picture.caption for picture in truth.pictures}
    return Facts(
        tuple(captions[item.file] for item in protocol.gallery),
        {row.id: {"change": row.change.kind, "tier": row.tier} for row in truth.questions},
        {row.id: row.halves | dict.fromkeys(row.near, NEAR) for row in truth.questions},
    )


def read_composed(
    texts: Sequence[str], needle: Path, report: Callable[[str], None]
) -> list[Protocol]:
    """The protocols of all data that ask with a picture and a change.

    Args:
        texts: each a folder with needle edits, a folder of such folders, or as in ``read_data``.
            None: the ``test`` edits, generated below ``needle`` where they are not there yet.
        needle: folder for generated sets.
        report: told what is done where nothing was given.

    Raises:
        UsageError: no data there, or none with composed questions.
    """
    if not texts:
        return [edit_protocol(_something(needle, report))]
    found = [one for text in texts for one in _read(text, needle, report)]
    found = [one for one in found if {q.kind for q in one.questions} == {"composed"}]
    if not found:
        raise UsageError(
            "--data holds no composed questions. Give a set of `needlepoint bench build edits`, or "
            "a dataset that asks with a picture and a change (needlepoint bench list)."
        )
    return found


def _something(needle: Path, report: Callable[[str], None]) -> Path:
    """The edits that are asked where no data is given, made once."""
    folder = needle / f"edits-{_SPLIT}-{_SEED}"
    if not (folder / EDITS_FILE).is_file():
        report(f"no --data: generating needle edits in {folder}")
        build_edits(folder, split=_SPLIT, seed=_SEED, workers=os.cpu_count() or 1)
    return folder


def _read(text: str, needle: Path, report: Callable[[str], None]) -> list[Protocol]:
    folder = Path(text).expanduser()
    sets = [folder, *sorted(one.parent for one in folder.glob(f"*/{EDITS_FILE}"))]
    edits = [one for one in sets if (one / EDITS_FILE).is_file()]
    if edits:
        return [edit_protocol(one) for one in edits]
    return read_data([text], needle, report)
