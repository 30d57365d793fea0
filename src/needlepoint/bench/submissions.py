"""Files for the servers that keep the answers of CIRR and CIRCO, written and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from needlepoint.bench.metrics.composed import left_of
from needlepoint.bench.protocol import Protocol, Question
from needlepoint.bench.results import write_text
from needlepoint.errors import UsageError


@dataclass(frozen=True, slots=True)
class Form:
    """What a server expects: so many names a question, and what stands at the head of the file.

    ``numbers``: pictures are JSON numbers, not texts.
    """

    count: int
    head: Mapping[str, str] = field(default_factory=dict)
    numbers: bool = False


FORMS = {
    "cirr/recall": Form(50, {"version": "rc2", "metric": "recall"}),
    "cirr/subset": Form(3, {"version": "rc2", "metric": "recall_subset"}),
    "circo/changes[gallery=unlabeled]": Form(50, numbers=True),
}
"""By name of the protocol."""


def write_submission(protocol: Protocol, rankings: Sequence[Sequence[str]], folder: Path) -> Path:
    """Write the first places of every ranking as the server of the protocol reads them.

    CIRR takes two files, of ``cirr/recall`` (50 names a question) and of ``cirr/subset`` (3);
    CIRCO one (50).

    Args:
        protocol: Q questions, of any split: a server takes only those of its test split.
        rankings: Q rankings of gallery ids, best first; junk and what the question is not among
            may be there and are left out.
        folder: where the file goes; it is made.

    Returns:
        The file, ``DATASET-TASK-SPLIT.json``.

    Raises:
        UsageError: a protocol that no server takes, not Q rankings, or one that is too short,
            names a picture twice, or one that the gallery lacks.
    """
    form = _form(protocol)
    if len(rankings) != len(protocol.questions):
        raise UsageError(
            f"rankings has {len(rankings)} entries; protocol {protocol.name} asks "
            f"{len(protocol.questions)} questions: give one ranking a question"
        )
    told: dict[str, Any] = dict(form.head)
    for question, ranking in zip(protocol.questions, rankings, strict=True):
        names = list(left_of(question, ranking)[: form.count])
        told[question.id] = [int(name) for name in names] if form.numbers else names
    _check(told, protocol, form, "rankings")
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{protocol.name.partition('[')[0].replace('/', '-')}-{protocol.split}.json"
    write_text(folder / name, json.dumps(told))
    return folder / name


def read_submission(path: Path, protocol: Protocol) -> list[list[str]]:
    """The rankings of a submission, in the order of the questions, if a server would take it.

    Where the answers are known, ``composed_scores`` scores them.

    Raises:
        UsageError: no such file, or one with another head, with questions missing or unknown,
            with too few or too many names, a name twice, a picture that the gallery lacks, that
            the question is not among, or CIRR's reference.
    """
    form = _form(protocol)
    try:
        told = json.loads(path.read_text("utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError) as error:
        raise UsageError(f"submission {path} cannot be read: {error}") from None
    _check(told, protocol, form, f"submission {path}")
    return [[str(name) for name in told[question.id]] for question in protocol.questions]


def _form(protocol: Protocol) -> Form:
    if protocol.name not in FORMS:
        raise UsageError(
            f"no server takes answers to {protocol.name}. Taken are {', '.join(FORMS)}."
        )
    return FORMS[protocol.name]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; one that says a key twice is refused, of which readers keep the last."""
    told = dict(pairs)
    if len(told) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return told


def _check(told: Any, protocol: Protocol, form: Form, place: str) -> None:
    if not isinstance(told, dict):
        raise UsageError(f"{place} must be one object of JSON. Received: {told!r:.60}.")
    for key, value in form.head.items():
        if told.get(key) != value:
            raise UsageError(f"{place}: {key!r} must be {value!r}. Received: {told.get(key)!r}.")
    ids = {question.id for question in protocol.questions}
    for kind, wrong in (
        ("unknown", told.keys() - ids - form.head.keys()),
        ("missing", ids - told.keys()),
    ):
        if wrong:
            raise UsageError(
                f"{place} must answer the {len(ids)} questions of {protocol.name} "
                f"{protocol.split}. There are {len(wrong)} {kind}, for instance {min(wrong)!r}."
            )
    gallery = {item.id for item in protocol.gallery}
    for question in protocol.questions:
        if reason := _wrong(told[question.id], question, gallery, form):
            raise UsageError(f"{place}: the answer to question {question.id} {reason}.")


def _wrong(names: Any, question: Question, gallery: set[str], form: Form) -> str:
    """What is wrong with the answer to a question; nothing, where it will do."""
    kind = int if form.numbers else str
    if not isinstance(names, list) or not all(type(name) is kind for name in names):
        return f"must be a list of {'numbers' if form.numbers else 'texts'}"
    if len(names) != form.count:
        return f"must hold {form.count} pictures and holds {len(names)}"
    texts = [str(name) for name in names]
    if len(set(texts)) != len(texts):
        return f"holds {next(one for one in texts if texts.count(one) > 1)} twice"
    for name in texts:
        if name not in gallery:
            return f"holds {name}, which the gallery lacks"
        if name in question.junk:
            return f"holds its own reference, {name}"
        if question.among and name not in question.among:
            return f"holds {name}, which is not of its set"
    return ""
