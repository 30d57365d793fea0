"""Building a set of needle edits: pictures, composed questions, and everything known about them."""

from __future__ import annotations

import multiprocessing
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from needlepoint.bench.needle.edit_captions import write_edit_captions
from needlepoint.bench.needle.edit_graph import answers, told
from needlepoint.bench.needle.edit_pack import EditPack, edit_pack
from needlepoint.bench.needle.edit_plan import AMOUNTS, Asked, Family, Shot, plan_family
from needlepoint.bench.needle.edit_scene import SIZE, make_picture
from needlepoint.bench.needle.edit_truth import EditPicture, EditQuestion, EditTruth
from needlepoint.bench.needle.edit_words import wordings
from needlepoint.errors import UsageError

_TEXTS = 12_000
_working: list[tuple[EditPack, Path, list[int]]] = []


def build_edits(
    folder: str | Path,
    *,
    split: str = "dev",
    seed: int = 0,
    families: int | None = None,
    roots: Sequence[str | Path] = (),
    pack: EditPack | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> EditTruth:
    """Generate references, targets, half-truths and composed questions into a folder.

    Args:
        folder: where ``pictures/``, ``edits.json`` and, for ``train``, ``captions.jsonl`` and
            ``captions.txt`` go; made if missing.
        split: ``train``, ``dev`` or ``test``: they share no thing, no photograph, no pattern in a
            colour, and no combination of what is changed and what it becomes.
        seed: the same seed, materials and library versions give the same bytes.
        families: families of scenes, ten questions each, instead of the split's number.
        roots: folders that hold a ``usr/share`` with the packages; none takes the pack of the
            repository.
        pack: materials at hand, instead of both.
        workers: processes that make pictures; changes nothing but the time.
        progress: called with pictures done and in all.

    Returns:
        The facts, as saved.

    Raises:
        UsageError: unknown split, or materials that are missing or too few.
    """
    amounts = AMOUNTS.get(split, AMOUNTS["dev"])
    if families is not None:
        amounts = replace(amounts, families=families)
    if amounts.families < 1 or workers < 1:
        raise UsageError(
            f"families={amounts.families!r} and workers={workers!r} must be at least 1"
        )
    held = edit_pack(split, roots) if pack is None else pack
    target = Path(folder)
    (target / "pictures").mkdir(parents=True, exist_ok=True)
    salt = zlib.crc32(f"edits/{split}".encode())
    base = [seed, salt]
    planned = [plan_family(held, amounts, [*base, 1], n) for n in range(amounts.families)]
    shots = [shot for family in planned for shot in family.shots]
    pictures: list[EditPicture] = []
    for picture in _made(held, target, shots, [*base, 2], workers):
        pictures.append(picture)
        if progress is not None:
            progress(len(pictures), len(shots))
    used = {picture.ground for picture in pictures}
    places = {name: held.grounds[name].place for name in held.grounds}
    questions: list[EditQuestion] = []
    start = 0
    for number, family in enumerate(planned):
        mine = pictures[start : start + len(family.shots)]
        start += len(family.shots)
        rng = np.random.default_rng([*base, 3, number])
        questions += _questions(family, mine, places, split, rng)
    things = {row.thing.object_id for picture in pictures for row in picture.things}
    licences = {held.things[one].licence for one in things}
    licences |= {held.grounds[name].licence for name in used}
    truth = EditTruth(
        split=split,
        seed=seed,
        licence=" AND ".join(sorted(licences)),
        size=SIZE,
        places={name: places[name] for name in sorted(used)},
        pictures=tuple(pictures),
        questions=tuple(
            replace(row, id=f"{row.change.kind}-{number:04d}")
            for number, row in enumerate(questions)
        ),
    )
    truth.save(target)
    if split == "train":
        write_edit_captions(target, held, pictures, [*base, 4], _TEXTS)
    return truth


def _questions(
    family: Family,
    pictures: Sequence[EditPicture],
    places: dict[str, str],
    split: str,
    rng: np.random.Generator,
) -> Iterator[EditQuestion]:
    for asked in family.asked:
        reference = pictures[asked.reference]
        right = {
            picture.file
            for picture in pictures
            if answers(
                reference.content, asked.change, picture.content, places, picture.middles(SIZE)
            )
        }
        near = tuple(pictures[number].file for number in asked.near)
        labelled = [pictures[number].file for number in asked.labelled]
        # What turned out right by chance is labelled as well, but for training.
        spare = sorted(right - {*near, *labelled})
        if split == "train":
            near = (*near, *spare)
        else:
            labelled += spare
        before = sum(thing.word == asked.change.subject for thing in reference.content.things)
        texts = wordings(asked.change, before, learnt=split == "train")
        yield EditQuestion(
            id="",
            family=reference.family,
            tier=asked.tier,
            reference=reference.file,
            change=asked.change,
            texts=tuple(texts[int(place)] for place in rng.permutation(len(texts))),
            target=labelled[0],
            relevant=tuple(labelled),
            near=near,
            halves=_halves(family, asked, pictures, {*near, *labelled}, places),
        )


def _halves(
    family: Family,
    asked: Asked,
    pictures: Sequence[EditPicture],
    right: set[str],
    places: dict[str, str],
) -> dict[str, str]:
    """The pictures of the family that are right by half, and in which way."""
    reference = pictures[asked.reference]
    scene = family.shots[asked.reference].scene
    rows = {}
    for shot, picture in zip(family.shots, pictures, strict=True):
        if picture.file in right:
            continue
        if picture.file == reference.file:
            rows[picture.file] = "reference"
        elif shot.scene == scene and picture.content == reference.content:
            rows[picture.file] = "unchanged"
        elif shot.scene == scene:
            rows[picture.file] = "other change"
        elif told(asked.change, picture.content, places, picture.middles(SIZE)):
            rows[picture.file] = "other scene"
    return rows


def _made(
    pack: EditPack, target: Path, shots: Sequence[Shot], seed: list[int], workers: int
) -> Iterator[EditPicture]:
    if workers == 1:
        yield from (make_picture(pack, target, shot, seed) for shot in shots)
        return
    with ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(pack, target, seed),
    ) as pool:
        yield from pool.map(_work, shots, chunksize=16)


def _start(pack: EditPack, target: Path, seed: list[int]) -> None:
    _working[:] = [(pack, target, seed)]


def _work(shot: Shot) -> EditPicture:
    pack, target, seed = _working[0]
    return make_picture(pack, target, shot, seed)
