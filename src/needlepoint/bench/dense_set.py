"""A Dense-Set of one's own pictures: crowded pictures, and captions of one small thing in each.

After LARE (arXiv 2606.18885), section on Dense-Set: pictures are ranked by the number of things a
detector finds, the densest tenth is kept, then those with a class that occurs exactly once and
small; each such thing gets a caption by a captioner prompted with its class.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from needlepoint import __version__
from needlepoint.bench.datasets.reading import caption_notes
from needlepoint.errors import PictureError, UsageError
from needlepoint.intake.changes import digest
from needlepoint.intake.decode import decode
from needlepoint.intake.walk import walk
from needlepoint.outside.captioner import Captioner
from needlepoint.outside.labels import Thing
from needlepoint.picture import Picture

FILE = "dense_set.json"
Report = Callable[[str], None]


class Detector(Protocol):
    """Says which things a picture shows, by class. No picture may change another's answer."""

    @property
    def name(self) -> str:
        """What its answers hang on; another name makes kept answers void."""
        ...

    def detect(self, pictures: Sequence[Picture]) -> list[list[Thing]]:
        """The things of each of N pictures."""
        ...


class PromptCaptioner:
    """The prompt itself, for a first look without a model: it names the class and no more."""

    name = "prompt"

    def caption(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> list[str]:
        """The prompts."""
        return list(prompts)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is kept.

    ``share`` of the pictures, the densest, rounded up; ``largest`` share of the picture that a
    thing may take; ``least_score`` of a detection that counts (the paper states none).
    ``prompt`` may hold ``{label}`` and ``{a}`` (a or an).
    """

    share: float = 0.10
    largest: float = 0.15
    least_score: float = 0.3
    prompt: str = "a photo of {a} {label}"

    def __post_init__(self) -> None:
        for name in ("share", "largest"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"{name}={getattr(self, name)!r} must be above 0 and at most 1")
        if not 0 <= self.least_score <= 1:
            raise UsageError(f"least_score={self.least_score!r} must be from 0 to 1")
        if "{label}" not in self.prompt:
            raise UsageError(f"prompt={self.prompt!r} must hold {{label}}")

    def prompt_for(self, label: str) -> str:
        """The prompt of a class.

        Example:
            >>> Choice().prompt_for("umbrella")
            'a photo of an umbrella'
        """
        article = "an" if label[:1].casefold() in "aeiou" else "a"
        return self.prompt.replace("{label}", label).replace("{a}", article)


@dataclass(frozen=True, slots=True)
class Built:
    """What was made: ``file``, the numbers of pictures at each step, captions, and notes."""

    file: Path
    considered: int
    unreadable: int
    densest: int
    pictures: int
    captions: int
    notes: tuple[str, ...]


def densest(counts: Mapping[str, int], share: float) -> list[str]:
    """The share of pictures with most things, rounded up; equal counts by name, never without any.

    Example:
        >>> densest({"a": 1, "b": 5, "c": 5, "d": 0}, 0.5)
        ['b', 'c']
    """
    order = sorted(counts, key=lambda file: (-counts[file], file))
    return [file for file in order[: math.ceil(share * len(order))] if counts[file]]


def single_things(things: Sequence[Thing], size: tuple[int, int], largest: float) -> list[Thing]:
    """Things whose class occurs once in the picture and that are no larger than allowed.

    Args:
        things: all that were detected.
        size: width and height of the picture in pixels.
        largest: share of the picture, in 0 to 1.

    Example:
        >>> [t.label for t in single_things(
        ...     [Thing("dog", (0, 0, 2, 2)), Thing("cat", (0, 0, 9, 9)), Thing("cup", (1, 1, 1, 1)),
        ...      Thing("Cup", (5, 5, 1, 1))], (10, 10), 0.15)]
        ['dog']
    """
    often = Counter(thing.label.casefold() for thing in things)
    area = size[0] * size[1]
    return [
        thing
        for thing in things
        if often[thing.label.casefold()] == 1 and thing.box[2] * thing.box[3] <= largest * area
    ]


def build_dense_set(
    pictures: str | os.PathLike[str],
    out: str | os.PathLike[str],
    detector: Detector,
    captioner: Captioner,
    *,
    choice: Choice | None = None,
    batch: int = 8,
    report: Report = lambda text: None,
) -> Built:
    """Make ``dense_set.json``, in COCO's caption format, of a folder of pictures.

    What the detector and the captioner say is kept picture by picture in ``out``; a call that was
    stopped goes on where it was. A kept answer is used again only for the same bytes of the
    picture, the same detector or captioner and the same prompt. The result depends on nothing
    else: the same pictures and parts give the same file, byte for byte.

    Args:
        pictures: folder of pictures, with its sub-folders; they are read, never changed.
        out: folder for the result and what is kept.
        detector: names the things of a picture.
        captioner: continues a prompt.
        choice: what is kept; the paper's shares by default.
        batch: pictures given to a part at once.
        report: told of progress and of pictures that cannot be read.

    Returns:
        Numbers of every step, and what a reader of figures on the set must know.

    Raises:
        UsageError: no picture there, or none with a thing of its own.
    """
    chosen = choice or Choice()
    source, folder = Path(pictures).absolute(), Path(out).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(found.path for found in walk(source, on_skip=lambda path, why: None))
    if not files:
        raise UsageError(f"no pictures in {source}. Give a folder of pictures.")
    seen = _detect_all(source, files, folder / "detected.jsonl", detector, batch, report)
    kept = {
        file: [thing for thing in row.things if thing.score >= chosen.least_score]
        for file, row in seen.items()
    }
    dense = densest({file: len(things) for file, things in kept.items()}, chosen.share)
    wanted = {
        file: single
        for file in sorted(dense)
        if (single := single_things(kept[file], seen[file].size, chosen.largest))
    }
    if not wanted:
        raise UsageError(
            f"none of the {len(dense)} densest of {len(seen)} pictures shows a class once and "
            f"within {chosen.largest:.0%} of its area. Give more pictures, or a larger share."
        )
    tasks = [
        _Task(file, seen[file].digest, chosen.prompt_for(thing.label), thing)
        for file, things in wanted.items()
        for thing in things
    ]
    captions = _caption_all(source, tasks, folder / "captioned.jsonl", captioner, batch, report)
    path = folder / FILE
    provenance = {
        "folder": Path(os.path.relpath(source, folder)).as_posix(),
        "detector": detector.name,
        "captioner": captioner.name,
        "choice": asdict(chosen),
        "considered": len(seen),
        "densest": len(dense),
    }
    _write(path, seen, wanted, tasks, captions, provenance)
    pairs = [(text, task.file) for task, text in zip(tasks, captions, strict=True)]
    return Built(
        path,
        len(seen),
        len(files) - len(seen),
        len(dense),
        len(wanted),
        len(captions),
        caption_notes(pairs),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    digest: str
    size: tuple[int, int]
    things: tuple[Thing, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    file: str
    digest: str
    prompt: str
    thing: Thing


def _detect_all(
    source: Path, files: list[str], journal: Path, detector: Detector, batch: int, report: Report
) -> dict[str, _Seen]:
    known = {
        (row["file"], row["digest"]): row
        for row in _kept(journal)
        if row.get("detector") == detector.name
    }
    seen: dict[str, _Seen] = {}
    digests: dict[str, str] = {}
    for file in files:
        try:
            digests[file] = digest(source / file).hex()
        except PictureError as error:
            report(f"not looked at: {error}")
            continue
        if row := known.get((file, digests[file])):
            before = tuple(Thing(t[0], tuple(t[1]), t[2]) for t in row["things"])
            seen[file] = _Seen(digests[file], tuple(row["size"]), before)
    waiting = [file for file in digests if file not in seen]
    if seen:
        report(f"{len(seen)} of {len(files)} pictures were looked at before")
    for start in range(0, len(waiting), batch):
        loaded = _load(source, waiting[start : start + batch], report)
        found = detector.detect(list(loaded.values()))
        rows = []
        for (file, picture), things in zip(loaded.items(), found, strict=True):
            seen[file] = _Seen(digests[file], picture.size, tuple(things))
            rows.append(
                {
                    "file": file,
                    "digest": digests[file],
                    "detector": detector.name,
                    "size": picture.size,
                    "things": [[t.label, t.box, t.score] for t in things],
                }
            )
        _keep(journal, rows)
        report(f"{min(start + batch, len(waiting))} of {len(waiting)} pictures looked at")
    return {file: seen[file] for file in files if file in seen}


def _caption_all(
    source: Path,
    tasks: list[_Task],
    journal: Path,
    captioner: Captioner,
    batch: int,
    report: Report,
) -> list[str]:
    texts = {
        (row["file"], row["digest"], row["prompt"]): str(row["caption"])
        for row in _kept(journal)
        if row.get("captioner") == captioner.name
    }
    waiting = [task for task in tasks if (task.file, task.digest, task.prompt) not in texts]
    for start in range(0, len(waiting), batch):
        part = waiting[start : start + batch]
        loaded = _load(source, dict.fromkeys(task.file for task in part), report)
        if lost := [task.file for task in part if task.file not in loaded]:
            raise PictureError(str(source / lost[0]), "changed while the set was made")
        written = captioner.caption(
            [loaded[task.file] for task in part], [task.prompt for task in part]
        )
        rows = []
        for task, text in zip(part, written, strict=True):
            texts[task.file, task.digest, task.prompt] = text
            rows.append(
                {
                    "file": task.file,
                    "digest": task.digest,
                    "prompt": task.prompt,
                    "captioner": captioner.name,
                    "caption": text,
                }
            )
        _keep(journal, rows)
        report(f"{min(start + batch, len(waiting))} of {len(waiting)} captions written")
    return [texts[task.file, task.digest, task.prompt] for task in tasks]


def _load(source: Path, files: Iterable[str], report: Report) -> dict[str, Picture]:
    loaded = {}
    for file in files:
        try:
            loaded[file] = decode(source / file)
        except PictureError as error:
            report(f"not looked at: {error}")
    return loaded


def _kept(journal: Path) -> list[dict[str, Any]]:
    """Rows of a journal; one cut short when a call was stopped is left out."""
    rows = []
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _keep(journal: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    fresh = not journal.is_file() or journal.read_bytes()[-1:] in (b"", b"\n")
    with journal.open("a", encoding="utf-8") as file:
        file.write(
            ("" if fresh else "\n")
            + "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        )


def _write(
    path: Path,
    seen: Mapping[str, _Seen],
    wanted: Mapping[str, Sequence[Thing]],
    tasks: Sequence[_Task],
    captions: Sequence[str],
    provenance: Mapping[str, Any],
) -> None:
    numbers = {file: number for number, file in enumerate(wanted, start=1)}
    made = {
        "info": {
            "description": "Captions of one small thing in a crowded picture",
            "version": __version__,
            **provenance,
        },
        "licenses": [{"id": 1, "name": "that of the pictures", "url": ""}],
        "images": [
            {
                "id": number,
                "file_name": file,
                "width": seen[file].size[0],
                "height": seen[file].size[1],
                "license": 1,
            }
            for file, number in numbers.items()
        ],
        "annotations": [
            {
                "id": number,
                "image_id": numbers[task.file],
                "caption": text,
                "category": task.thing.label,
                "bbox": list(task.thing.box),
                "score": task.thing.score,
                "prompt": task.prompt,
            }
            for number, (task, text) in enumerate(zip(tasks, captions, strict=True), start=1)
        ],
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
