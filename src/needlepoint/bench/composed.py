"""Composed questions asked: the lines of a suite, their controls, and what makes a ranking.

Shapes: Q questions, G pictures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from needlepoint.bench.array_view import ArrayView
from needlepoint.bench.gallery import Album
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.bench.spec import Spec, read_spec
from needlepoint.errors import UsageError
from needlepoint.methods.composing import (
    Change,
    Composed,
    Composer,
    Sight,
    query_probe,
    reference_probe,
)
from needlepoint.methods.dialogue import Helpers
from needlepoint.parts import EncoderCard, Floats
from needlepoint.picture import Picture
from needlepoint.query import Part, Query
from needlepoint.regions.focus import cut
from needlepoint.regions.question import QUESTION_SIDE
from needlepoint.search.fusion import Fusion
from needlepoint.search.topk import top_k

WEIGHTS = "{weights}"
"""Stands for the folder of trained parts that come with a checkout."""

_TRAINED = re.compile(r"\{weights\}/(?P<name>[\w.-]+?)-s(?P<seed>\d+)(?![\w.-])")


class ReferenceOnly:
    """Control: the picture alone, whatever is to change."""

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """The reference of each question."""
        return [Composed((reference_probe(change, view),)) for change in changes]


class TextOnly:
    """Control: the words alone, whatever they change."""

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """The change of each question, asked as any words are."""
        asked = [Query((Part("text", change.text),)) for change in changes]
        return [Composed(tuple(view.probes(query))) for query in asked]


CONTROLS: dict[str, Callable[[], Composer]] = {
    "reference-only": ReferenceOnly,
    "text-only": TextOnly,
}
"""Each half of a question alone: what either finds needs no composing."""


@dataclass(frozen=True, slots=True)
class ComposedLine:
    """One line of the suite.

    ``weights`` is the folder of the trained parts that its options name, ``seed`` the seed they
    were trained with, ``pool`` the line with that seed left out: lines of one pool are one method.
    """

    text: str
    spec: Spec
    control: str = ""
    weights: Path | None = None
    seed: int | None = None
    pool: str = ""

    def fusion(self, card: EncoderCard) -> Fusion:
        """How whole and regions make a score."""
        return self.spec.how(card)

    def composer(self, helpers: Helpers) -> Composer:
        """The method at work.

        Raises:
            UsageError: a method that composes nothing, or options it does not know.
            ModelUnavailable: it needs what is not there.
        """
        if self.control:
            return CONTROLS[self.control]()
        made = self.spec.found().composer
        if made is None:
            raise UsageError(
                f"method {self.spec.method} answers no picture with a change. Those that do: "
                f"{', '.join(CONTROLS)} and needlepoint methods --task composed."
            )
        return made(self.spec.options, helpers)


def read_composed_line(text: str, weights: Path | None = None) -> ComposedLine:
    """Read ``METHOD[:OPTIONS][ on RECIPE][+whole|+best]``.

    METHOD is a composer or a control (``reference-only``, ``text-only``). ``{weights}`` in OPTIONS
    becomes the folder ``weights``; ``{weights}/NAME-s0`` names what was trained with seed 0.

    Raises:
        UsageError: what ``read_spec`` refuses, or trained parts that are not there.

    Example:
        >>> read_composed_line("weighted_sum:alpha=0.3+best").spec.options
        'alpha=0.3'
        >>> read_composed_line("text-only").control
        'text-only'
    """
    text = text.strip()
    name = re.split(r"[: +]", text, maxsplit=1)[0]
    if name in CONTROLS:
        spec = read_spec(f"whole{text.removeprefix(name)}")
        return ComposedLine(text, spec, control=name, pool=text)
    trained = _TRAINED.search(text)
    if WEIGHTS in text:
        if weights is None or (trained and not (weights / _folder(trained)).is_dir()):
            raise UsageError(
                f"{_folder(trained) if trained else text} is not among the trained parts of this "
                "copy; train it (needlepoint train) or use a checkout"
            )
        spec = read_spec(text.replace(WEIGHTS, str(weights).replace(",", ",,")))
    else:
        spec = read_spec(text)
    if spec.csls:
        raise UsageError(f"composed line {text!r}: +csls is not offered here. Leave it out.")
    if trained is None or weights is None:
        return ComposedLine(text, spec, pool=text)
    pool = text.replace(trained[0], f"{WEIGHTS}/{trained['name']}")
    return ComposedLine(text, spec, "", weights / _folder(trained), int(trained["seed"]), pool)


def _folder(trained: re.Match[str]) -> str:
    return f"{trained['name']}-s{trained['seed']}"


class Pieces(Album):
    """An album in which a gallery's pieces of pictures are pictures of their own."""

    def __init__(self, protocol: Protocol) -> None:
        super().__init__()
        root = Path(protocol.folder)
        self.files = [_place(root, item) for item in protocol.gallery]
        self._boxed = {
            place: item
            for place, item in zip(self.files, protocol.gallery, strict=True)
            if item.box is not None
        }
        self._root = root

    def load(self, path: Path, at_least: int) -> Picture:
        """As ``Album.load``; of a piece, the piece."""
        item = self._boxed.get(path)
        if item is None or item.box is None:
            return super().load(path, at_least)
        whole = super().load(self._root / item.file, 0)
        return Picture.from_pixels(cut(whole, item.box), str(path))


def _place(root: Path, item: Item) -> Path:
    """Where a picture is; a piece has a name of its own."""
    if item.box is None:
        return root / item.file
    return root / f"{item.file}#xywh={','.join(f'{side:g}' for side in item.box)}"


def changes_of(
    question: Question, held: Mapping[tuple[str, object], int], album: Album, folder: Path
) -> list[Change]:
    """The wordings of a question, each as a composer is given it.

    Args:
        question: a composed one.
        held: place in the gallery by file and box; a reference that is in it is an item.
        album: where a reference from elsewhere is decoded.
        folder: where its file is.
    """
    number = held.get((question.file, question.box))
    if number is not None:
        part = Part("item", str(number))
    else:
        side = QUESTION_SIDE if question.box is None else 0
        picture = album.load(folder / question.file, side)
        part = Part("picture", question.file, box=question.box, picture=picture)
    return [Change((part,), text) for text in question.changes]


def scores_of(wordings: Sequence[Composed], view: ArrayView) -> Floats:
    """The score of every picture for one question, float32 ``[G]``.

    Several wordings of plain query vectors are averaged as vectors; branches and what puts pictures
    in order again cannot be, so that their scores are averaged.
    """
    if len(wordings) > 1 and all(_plain(one) for one in wordings):
        vectors = [one.probes[0].vector for one in wordings]
        first = wordings[0].probes[0]
        mean: Floats = np.mean(vectors, axis=0, dtype=np.float32)
        return view.scores([query_probe(first, mean, fusion=first.fusion)])
    found: Floats = np.mean([_scores(one, view) for one in wordings], axis=0, dtype=np.float64)
    return found.astype(np.float32)


def ranked(scores: Floats, question: Question, index: Mapping[str, int]) -> npt.NDArray[np.int32]:
    """Places in the gallery, best first: without junk, and only those the question is among.

    Equal scores come in the order of the gallery.
    """
    order = np.argsort(-scores, kind="stable").astype(np.int32)
    if question.among:
        order = order[np.isin(order, [index[one] for one in question.among])]
    if question.junk:
        order = order[~np.isin(order, [index[one] for one in question.junk])]
    return order


def _plain(one: Composed) -> bool:
    """Whether an answer is one query vector whose cosine is the score."""
    if len(one.probes) != 1 or one.again is not None:
        return False
    probe = one.probes[0]
    return probe.weight > 0 and (probe.mean, probe.std, probe.curve) == (0.0, 1.0, "linear")


def _scores(one: Composed, view: ArrayView) -> Floats:
    found = view.scores(one.probes)
    if one.again is None:
        return found
    ids = np.arange(len(found), dtype=np.int64)
    first = top_k(found, ids, one.again.shortlist or len(found))
    fresh = one.again.scores(ids[first], found[first])
    rest = np.setdiff1d(ids, first)
    again = found.astype(np.float64)
    if len(rest):  # behind the shortlist the order stays, below all of it
        again[rest] += float(fresh.min()) - 1.0 - float(found[rest].max())
    again[first] = fresh
    return again.astype(np.float32)
