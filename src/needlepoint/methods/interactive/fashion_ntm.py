"""FashionNTM (Pal et al. 2023, arXiv 2308.10170): memories in a cascade hear the turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from needlepoint.errors import LibraryIncompatible, ModelUnavailable, UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers, Mark, Turn, Understood, View
from needlepoint.methods.options import read_options
from needlepoint.parts import Floats
from needlepoint.query import Query
from needlepoint.store.base import Probe

if TYPE_CHECKING:
    from needlepoint.encoders.cascade import Cascade

LEVELS = 3
"""Of features: whole pictures, pieces of them, and words alone."""


@dataclass(frozen=True, slots=True)
class Options:
    """``fashion_ntm:weights=FOLDER``, a model of ``needlepoint train memory``."""

    weights: str = ""


class FashionNtm:
    """The trained memories at work on one conversation; they hear all turns again each time."""

    def __init__(self, model: Cascade) -> None:
        self._model = model

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """One probe in the pictures' space; the words alone until that space is known.

        Raises:
            LibraryIncompatible: the library's vectors have other sizes than the model's.
        """
        import torch

        shape = self._model.shape
        heard = hear(turns, view, shape.picture, shape.words)
        if heard.like is None:
            return Understood(query=Query(tuple(p for turn in turns for p in turn.asks())))
        with torch.inference_mode():
            found = self._model(torch.from_numpy(heard.features[None, :, : shape.stages]))
        vector = found[0, -1].numpy().astype(np.float32)
        probe = Probe(heard.like.space, vector, fusion=heard.like.fusion)
        return Understood((probe,), names=("the conversation",))

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """Nothing: the user leads."""
        return ""


@dataclass(frozen=True, slots=True)
class Heard:
    """Turns as numbers: ``features`` float32 ``[T, LEVELS, P + W]``.

    ``like`` is a probe in the space of pictures, None where the turns tell of none.
    """

    features: Floats
    like: Probe | None


def hear(turns: Sequence[Turn], view: View, picture: int, words: int) -> Heard:
    """What each turn shows and says, as the vectors of the library's encoder.

    Every level ends with the mean of what was said. The first begins with the mean of the pictures
    marked as like, the second with that of the pieces, the third with nothing; a piece counts for
    its picture in the first. Marks of what is unlike are not heard.

    Args:
        turns: the conversation.
        view: the library.
        picture: numbers P of a picture's vector.
        words: numbers W of a text's vector.

    Raises:
        LibraryIncompatible: the library's vectors have other sizes.
    """
    features = np.zeros((len(turns), LEVELS, picture + words), np.float32)
    like: Probe | None = None
    for number, turn in enumerate(turns):
        said: list[Probe] = []
        shown: list[Probe] = []
        for part in turn.asks():
            (probe,) = view.probes(Query((part,)))
            (said if part.kind == "text" else shown).append(probe)
        wholes = [Mark(mark.id) for mark in turn.more]
        shown += view.marked(list(dict.fromkeys(wholes)))
        pieces = view.marked([mark for mark in turn.more if mark.box is not None])
        features[number, :, picture:] = _mean(said, words, "words")
        features[number, 0, :picture] = _mean(shown, picture, "pictures")
        features[number, 1, :picture] = _mean(pieces, picture, "pictures")
        near = shown or pieces or (said if picture == words else [])
        like = near[0] if near and (like is None or shown) else like
    return Heard(features, like)


def _mean(probes: Sequence[Probe], size: int, what: str) -> Floats:
    """The mean direction of probes float32 ``[size]``; zeros where there are none."""
    if not probes:
        return np.zeros(size, np.float32)
    if len(probes[0].vector) != size:
        raise LibraryIncompatible(
            f"this FashionNTM was trained on {what} of {size} numbers; the library's encoder "
            f"gives {len(probes[0].vector)}. Train one on its features, or ask another --model."
        )
    mean = np.mean([probe.vector for probe in probes], axis=0)
    found: Floats = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return found


def dialogue(options: str, helpers: Helpers) -> FashionNtm:
    """The method with its weights.

    Raises:
        UsageError: no weights are named.
        ModelUnavailable: torch is not installed, or there is no model in the folder.
    """
    folder = read_options(Options, options, "fashion_ntm").weights
    if not folder:
        raise UsageError(
            "method fashion_ntm needs trained weights: fashion_ntm:weights=FOLDER, as "
            "`needlepoint train memory` writes it."
        )
    try:
        from needlepoint.encoders.cascade import load_cascade
    except ImportError as error:
        raise ModelUnavailable(
            f"fashion_ntm needs {error.name}, which is not installed: "
            "pip install 'needlepoint[torch]'"
        ) from error
    return FashionNtm(load_cascade(Path(folder).expanduser())[0])


CARD = register(
    Method(
        MethodCard(
            name="fashion_ntm",
            title="FashionNTM (cascaded memory)",
            paper="arXiv 2308.10170 (ICCV 2023)",
            year=2023,
            task="interactive",
            parts=("dialogue", "trainer"),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="none",
            evidence="own reading",
            parameters={
                "weights": "folder of a model of one's own; none is published",
                "stages": "3 (levels: pictures, pieces, words; own reading)",
                "slots": "64 (own reading)",
                "slot": "128 numbers (the paper: as many as the features; own choice)",
                "hidden": "256 (own choice)",
            },
            disagreements=(
                "The paper's features come from a fine-tuned vision-language encoder; here they "
                "are the library's vectors, and only the memories are trained.",
                "The equations of addressing are the standard ones of neural Turing machines; the "
                "paper gives an outline, and no code is published.",
            ),
        ),
        dialogue=dialogue,
    )
)
