"""Triplets of a composed benchmark as vectors: reference, change in words, target.

Shapes: Q questions, G pictures (galleries and references), N texts, D numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.train.negatives import Keys, Mask
from needlepoint.train.ragged import Lists, Rows

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Triplets:
    """Questions about galleries, all as vectors of one encoder.

    ``gallery`` float32 ``[G, D]`` and ``texts`` float32 ``[N, D]`` have unit length;
    ``gallery_lengths`` ``[G]`` and ``text_lengths`` ``[N]`` are those the encoder gave them (1
    where it tells none). ``same`` int64 ``[G]``: pictures of one number are the same picture.

    Of each question: ``references`` and ``targets`` int64 ``[Q]``, rows of the gallery;
    ``wordings`` lists rows of the texts; ``answers`` all pictures labelled right, the target among
    them; ``junk`` those left out of its ranking; ``near`` right ones that nobody labelled, for
    measuring only; ``sets`` int64 ``[Q]``, which of ``members`` is its gallery; ``groups`` int64
    ``[Q]``, what it is about; ``aspects`` int64 ``[Q]``, which kinds of change, as in ``kinds``.
    ``keys`` uint64 ``[G]`` and ``question_keys`` uint64 ``[Q]`` tell pictures and questions apart.
    """

    gallery: Floats
    gallery_lengths: Floats
    same: Rows
    keys: Keys
    texts: Floats
    text_lengths: Floats
    references: Rows
    targets: Rows
    wordings: Lists
    answers: Lists
    junk: Lists
    near: Lists
    members: Lists
    sets: Rows
    groups: Rows
    aspects: Rows
    kinds: tuple[str, ...]
    question_keys: Keys
    name: str = "triplets"
    fingerprint: str = ""
    encoder: str = ""

    def __post_init__(self) -> None:
        count = len(self.targets)
        if not count:
            raise UsageError(f"triplets {self.name}: there is no composed question")
        for name in ("references", "wordings", "answers", "junk", "near", "sets", "groups"):
            if len(getattr(self, name)) != count:
                raise UsageError(
                    f"triplets {self.name}: {name} must be {count}, one for each target, received "
                    f"{len(getattr(self, name))}"
                )
        if self.texts.shape[1] != self.gallery.shape[1]:
            raise UsageError(
                f"triplets {self.name}: words of {self.texts.shape[1]} numbers and pictures of "
                f"{self.gallery.shape[1]} are in no common space; choose another --model"
            )
        if not self.wordings.lengths().all():
            raise UsageError(f"triplets {self.name}: a question has no words")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def dim(self) -> int:
        """Numbers D of a vector."""
        return int(self.gallery.shape[1])

    def right(self, questions: Rows, pictures: Rows) -> Mask:
        """Which of P pictures answer each of B questions, bool ``[B, P]``: what is labelled, and
        any picture that is the same as one of these.

        Args:
            questions: int64 ``[B]``.
            pictures: int64 ``[P]``, rows of the gallery.
        """
        asked, place = np.unique(self.same[pictures], return_inverse=True)
        rows, values = self.answers.flat(questions)
        kinds = self.same[values]
        found = np.minimum(np.searchsorted(asked, kinds), len(asked) - 1)
        hit = asked[found] == kinds
        mask = np.zeros((len(questions), len(asked)), bool)
        mask[rows[hit], found[hit]] = True
        return mask[:, place]

    def eligible(self, questions: Rows, candidates: str = "gallery") -> Mask:
        """What each of B questions may be trained against, bool ``[B, G]``.

        Of its gallery, all but the answers, the reference and what is left out of the ranking,
        and whatever is the same picture as one of those.

        Args:
            questions: int64 ``[B]``.
            candidates: ``gallery``, or ``targets``: only pictures that are a target somewhere.
        """
        barred = self.answers.mask(questions, len(self.gallery))
        barred |= self.junk.mask(questions, len(self.gallery))
        barred[np.arange(len(questions)), self.references[questions]] = True
        allowed = self.members.mask(self.sets[questions], len(self.gallery)) & ~self._alike(barred)
        if candidates == "targets":
            allowed &= np.isin(np.arange(len(self.gallery)), self.targets)
        return allowed

    def ranked(self, questions: Rows) -> Mask:
        """What is ranked for each of B questions, bool ``[B, G]``: its gallery without junk."""
        mask = self.members.mask(self.sets[questions], len(self.gallery))
        return mask & ~self.junk.mask(questions, len(self.gallery))

    def split(self, share: float, seed: int) -> tuple[Rows, Rows]:
        """Questions to learn from and those held out, int64, by a draw over their groups."""
        groups = np.unique(self.groups)
        order = np.random.default_rng([seed, 9]).permutation(len(groups))
        held = np.isin(self.groups, groups[order[: round(share * len(groups))]])
        return np.flatnonzero(~held), np.flatnonzero(held)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file that ``load`` reads, whole or not at all."""
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Lists):
                arrays[f"{field.name}/offsets"] = value.offsets
                arrays[f"{field.name}/values"] = value.values
            else:
                arrays[field.name] = np.asarray(value)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part.npz")
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Triplets:
        """Read what ``save`` wrote.

        Raises:
            UsageError: no such file, or none of this kind.
        """
        try:
            with np.load(path, allow_pickle=False) as held:
                found: dict[str, object] = {}
                for field in fields(cls):
                    if f"{field.name}/offsets" in held:
                        pair = (held[f"{field.name}/{part}"] for part in ("offsets", "values"))
                        found[field.name] = Lists(*pair)
                    elif field.name == "kinds":
                        found["kinds"] = tuple(held["kinds"].tolist())
                    elif held[field.name].ndim == 0:
                        found[field.name] = str(held[field.name])
                    else:
                        found[field.name] = held[field.name]
                return cls(**found)  # type: ignore[arg-type]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UsageError(f"data: {path} holds no triplets ({error})") from error

    def _alike(self, mask: Mask) -> Mask:
        """A mask ``[B, G]`` with every picture that is the same as one in it."""
        rows, columns = np.nonzero(mask)
        kinds = np.zeros((len(mask), int(self.same.max()) + 1), bool)
        kinds[rows, self.same[columns]] = True
        return kinds[:, self.same]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where answers stand: ``target`` int64 ``[Q]`` from 1; ``precision`` float ``[Q]``, the
    average precision over all labelled answers; ``found`` float ``[Q, 3]``, whether any labelled
    answer is among the first 1, 5 and 10."""

    target: Rows
    precision: Numbers
    found: Numbers

    def recall(self, k: int) -> Numbers:
        """Whether the target is among the first k, float ``[Q]``."""
        return (self.target <= k).astype(np.float64)

    def figures(self) -> dict[str, float | int]:
        """Means; the target's recall, and mAP over all labelled answers."""
        if not len(self.target):
            return {}
        told = {f"R@{k}": round(float(self.recall(k).mean()), 4) for k in (1, 5, 10, 50)}
        return {"questions": len(self.target), **told} | {
            "mAP": round(float(self.precision.mean()), 4)
        }


def rank_answers(queries: Floats, questions: Rows, data: Triplets) -> Ranks:
    """Rank the gallery for queries float32 ``[B, D]`` of B questions; equal scores by place."""
    return rank_scores(lambda block: queries[block] @ data.gallery.T, questions, data)


def rank_scores(scores_of: Callable[[slice], Floats], questions: Rows, data: Triplets) -> Ranks:
    """Rank the gallery by scores; equal ones by place.

    Args:
        scores_of: a slice of ``questions`` to scores float32 ``[b, G]``, which are written over.
        questions: int64 ``[B]``.
        data: their galleries and answers.
    """
    ranks, precisions, found = [], [], []
    for start in range(0, len(questions), 256):
        block = slice(start, start + 256)
        some = questions[block]
        scores = scores_of(block)
        scores[~data.ranked(some)] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.arange(1, order.shape[1] + 1)[None], 1)
        for row, number in enumerate(some):
            ranks.append(place[row, data.targets[number]])
            right = np.sort(place[row, data.answers[int(number)]])
            precisions.append(float(np.mean(np.arange(1, len(right) + 1) / right)))
            found.append([right[0] <= k for k in (1, 5, 10)])
    return Ranks(
        np.array(ranks, np.int64),
        np.array(precisions, np.float64),
        np.array(found, np.float64).reshape(-1, 3),
    )


def mixed_queries(data: Triplets, questions: Rows, share: float) -> Floats:
    """The weighted sum of picture and words (mean of the wordings) float32 ``[B, D]``, unit."""
    said = mean_words(data, questions)
    mixed = (1 - share) * data.gallery[data.references[questions]] + share * said
    found: Floats = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return found


def mean_words(data: Triplets, questions: Rows) -> Floats:
    """The mean of each question's wordings, float32 ``[B, D]``, not normalised."""
    rows = [data.texts[data.wordings[int(number)]].mean(0) for number in questions]
    return np.stack(rows).astype(np.float32)


def sequence_codes(names: Sequence[str]) -> Rows:
    """A number for each name, the same for the same name, int64 ``[N]``."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)
