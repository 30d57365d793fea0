"""What every loader shares: finding and reading files, and the notes a reader must know."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError


def need_file(card: DatasetCard, folder: Path, *others: str) -> Path:
    """The annotation file of a dataset, or the first of ``others`` that is there.

    Raises:
        UsageError: none of them is there; the message says where the file comes from.
    """
    return named_file(card, folder, card.file, *others)


def named_file(card: DatasetCard, folder: Path, *names: str) -> Path:
    """The first of ``names`` that is there, for datasets with a file a split; as ``need_file``."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(
        f"dataset {card.name} needs {' or '.join(names)} in {folder}, which is not there. "
        f"It comes from: {card.source}."
    )


def read_json(path: Path, card: DatasetCard) -> Any:
    """A JSON file; ``UsageError`` when it is none."""
    try:
        with path.open(encoding="utf-8") as file:
            return json.load(file)
    except (ValueError, OSError) as error:
        raise UsageError(f"dataset {card.name}: {path} cannot be read: {error}") from None


def read_rows(path: Path, card: DatasetCard) -> list[Any]:
    """A JSON file that must hold a list which is not empty."""
    rows = read_json(path, card)
    if not isinstance(rows, list) or not rows:
        raise UsageError(
            f"dataset {card.name}: {path} must hold a list of entries. Received: {rows!r:.80}."
        )
    return rows


def read_lines(path: Path, card: DatasetCard) -> list[str]:
    """The lines of a text file that hold something, stripped; ``UsageError`` when there is none."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (ValueError, OSError) as error:
        raise UsageError(f"dataset {card.name}: {path} cannot be read: {error}") from None
    found = [line for line in lines if line]
    if not found:
        raise UsageError(f"dataset {card.name}: {path} is empty.")
    return found


def picture_folder(card: DatasetCard, folder: Path, places: Sequence[str] = ()) -> Path:
    """Where the pictures are: the first of ``places`` that is there, else ``folder``.

    Without ``places`` those of the card are taken.
    """
    for name in places or card.pictures:
        if (folder / name).is_dir():
            return folder / name
    return folder


def field(row: Any, name: str, kind: type | tuple[type, ...], card: DatasetCard, place: str) -> Any:
    """A field of one entry; ``UsageError`` names the entry where it is absent or of another kind.

    Example:
        >>> from needlepoint.bench.datasets.cards import CARDS
        >>> field({"id": 3}, "id", int, CARDS[0], "images[0]")
        3
    """
    value = row.get(name) if isinstance(row, Mapping) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UsageError(
            f"dataset {card.name}: {place} has no usable {name!r} in {card.file}. "
            f"Received: {value!r:.80}. The file must come from: {card.source}."
        )
    return value


def check_split(card: DatasetCard, split: str) -> None:
    """``UsageError`` for a split the dataset does not have."""
    if split not in card.splits:
        raise UsageError(
            f"split of dataset {card.name} must be one of {', '.join(card.splits)}. "
            f"Received: {split!r}."
        )


def check_options(card: DatasetCard, given: Mapping[str, str]) -> dict[str, str]:
    """Every option of the dataset with the value given for it, or its first.

    Raises:
        UsageError: an option or a value that the dataset does not have.
    """
    known = "; ".join(f"{name}={'|'.join(values)}" for name, values in card.options.items())
    for name, value in given.items():
        if value not in card.options.get(name, ()):
            raise UsageError(
                f"options of dataset {card.name}: {known or 'none'}. Received: {name}={value}."
            )
    return {name: given.get(name, values[0]) for name, values in card.options.items()}


def titled(task: str, options: Mapping[str, str]) -> str:
    """The name of a protocol with the options it was read with, which every figure must show.

    Example:
        >>> titled("fashioniq/dress", {"gallery": "split", "captions": "and"})
        'fashioniq/dress[gallery=split,captions=and]'
    """
    told = ",".join(f"{name}={value}" for name, value in options.items())
    return f"{task}[{told}]" if told else task


def caption_notes(captions: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What repeated captions do to figures with one right picture a caption.

    The same words give the same ranking, so of the pictures that share a caption only k can be
    among the first k: that bounds R@k whatever the method.

    Args:
        captions: pairs of caption and the id of its picture.

    Example:
        >>> caption_notes([("a dog", "1"), ("a dog", "2")])[-1]
        'with one right picture a caption, equal captions leave at most R@1 50.00 %, R@5 100.00 %'
    """
    pictures: dict[str, Counter[str]] = {}
    total = 0
    for caption, picture in captions:
        pictures.setdefault(caption, Counter())[picture] += 1
        total += 1
    if not total or len(pictures) == total:
        return ()
    most, where = max(pictures.items(), key=lambda item: (item[1].total(), item[0]))
    bounds = [
        sum(sum(count for _, count in held.most_common(k)) for held in pictures.values()) / total
        for k in (1, 5)
    ]
    return (
        f"{total} captions, {len(pictures)} distinct ({100 * len(pictures) / total:.2f} %)",
        f"most repeated, {where.total()} times for {len(where)} pictures: {most!r}",
        "with one right picture a caption, equal captions leave at most "
        f"R@1 {100 * bounds[0]:.2f} %, R@5 {100 * bounds[1]:.2f} %",
    )


def count_notes(card: DatasetCard, split: str, gallery: int, questions: int) -> tuple[str, ...]:
    """How many pictures and questions were read, and the official numbers where they differ."""
    notes = [f"{gallery} pictures, {questions} questions"]
    official = card.counts.get(split)
    if official is not None:
        pairs = zip(("pictures", "questions"), (gallery, questions), official, strict=True)
        if other := [f"{count} {name}" for name, seen, count in pairs if count and seen != count]:
            notes.append(f"official: {', '.join(other)} ({card.counted})")
    return tuple(notes)


def missing_pictures(protocol: Protocol) -> list[str]:
    """Files the protocol names that are not in its folder, each once, in order.

    A missing picture must be reported, never left out of the gallery in silence: that would make
    the task easier than the published one.
    """
    folder = Path(protocol.folder)
    files = [item.file for item in protocol.gallery]
    files += [question.file for question in protocol.questions if question.file]
    return [file for file in dict.fromkeys(files) if not (folder / file).is_file()]
