"""WeiCom: the picture's and the words' scores, made comparable over the gallery, then added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.composing import Again, Change, Composed, Sight, reference_probe
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.parts import Floats
from needlepoint.query import Part, Query
from needlepoint.store.base import Ids, Probe

NAMES = ("the picture", "the words")
_CONSTANT = 1e-6  # float32 cosines of equal vectors differ by less
_ALL = 2**62


@dataclass(frozen=True, slots=True)
class Options:
    """``weicom:lam=0.5,fusion=calibrated``.

    ``lam`` is the share (0 to 1) of the words. ``fusion`` may be one of the paper's baselines on
    plain cosines instead: ``sum`` (shared out by ``lam``), ``product`` and ``minimum``.
    """

    lam: float = 0.5
    fusion: Literal["calibrated", "sum", "product", "minimum"] = "calibrated"

    def __post_init__(self) -> None:
        if not 0 <= self.lam <= 1:
            raise UsageError(f"method weicom: lam is {self.lam}. Allowed: 0 to 1.")


class WeiCom:
    """``s = (1 - lam) c(a) + lam c(b)``: ``a`` the cosines with the picture, ``b`` with the words.

    ``c`` standardises a score by mean and deviation (N - 1) over the gallery and takes the share of
    a normal distribution below it. Scores are added, not vectors: pictures and words may live in
    spaces of their own. One half alone (``lam`` 0 or 1) keeps its cosines: ``c`` would leave their
    order but for the best of them, which in float32 all get 1.
    """

    def __init__(self, options: Options) -> None:
        self._options = options

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """Two branches a question; the picture alone where nothing is to change."""
        return [self._one(change, view) for change in changes]

    def _one(self, change: Change, view: Sight) -> Composed:
        picture = reference_probe(change, view)
        if not change.text:
            return Composed((picture,), NAMES[:1])
        (words,) = view.probes(Query((Part("text", change.text),)))
        plain = [replace(probe, weight=1.0, mean=0.0, std=1.0) for probe in (picture, words)]
        if self._options.fusion in ("product", "minimum"):
            return self._multiplied(plain, view)
        shares = (1 - self._options.lam, self._options.lam)
        branches = [
            (replace(probe, weight=share), name)
            for probe, share, name in zip(plain, shares, NAMES, strict=True)
            if share
        ]
        told = [(name, f"weight {probe.weight:g}") for probe, name in branches]
        if self._options.fusion == "calibrated" and len(branches) > 1:
            spreads = [view.spread(probe) for probe, _ in branches]
            branches = [
                (calibrated(probe, *spread), name)
                for (probe, name), spread in zip(branches, spreads, strict=True)
            ]
            told = [
                (name, f"{text}, cosines {mean:.3f} ± {std:.3f} over the pictures")
                for (name, text), (mean, std) in zip(told, spreads, strict=True)
            ]
        probes, names = zip(*branches, strict=True)
        return Composed(probes, names, tuple(told))

    def _multiplied(self, plain: list[Probe], view: Sight) -> Composed:
        """All pictures in order of a product or a minimum, which no sum over probes can give."""
        scores = [_by_id(probe, view) for probe in plain]
        how = np.multiply if self._options.fusion == "product" else np.minimum

        def again(ids: Ids, found: Floats) -> Floats:
            one, other = (
                np.array([table[n] for n in ids.tolist()], np.float32) for table in scores
            )
            joined: Floats = how(one, other)
            return joined

        told = (("score", f"{self._options.fusion} of the cosines with picture and words"),)
        return Composed(tuple(plain), NAMES, told, Again(again, shortlist=0))


def calibrated(probe: Probe, mean: float, std: float) -> Probe:
    """The probe with a score from 0 to 1: how much of a gallery of this spread lies below it.

    A gallery that scores alike everywhere (its deviation is rounding) gives 0.5 throughout.

    Example:
        >>> probe = calibrated(Probe(0, np.float32([1, 0])), 0.2, 0.0)
        >>> probe.mean, probe.std, probe.curve
        (0.2, 1.0, 'gaussian')
    """
    return replace(probe, mean=mean, std=std if std > _CONSTANT else 1.0, curve="gaussian")


def _by_id(probe: Probe, view: Sight) -> dict[int, float]:
    """The cosine of every picture."""
    ids, scores = view.search([probe], max(len(view.sample(_ALL, probe.space)), 1))
    return dict(zip(ids.tolist(), scores.tolist(), strict=True))


def composer(options: str, helpers: Helpers) -> WeiCom:
    """The method with its options; no model is needed beside the library's encoder."""
    return WeiCom(read_options(Options, options, "weicom"))


CARD = register(
    Method(
        MethodCard(
            name="weicom",
            title="WeiCom: calibrated scores of picture and words",
            paper="Psomas et al., Composed Image Retrieval for Remote Sensing, IGARSS 2024 "
            "(arXiv 2405.15587)",
            year=2024,
            task="composed",
            parts=(
                "composer: one branch for the picture, one for the words",
                "scorer: each branch through the normal distribution of its scores over the "
                "gallery, then a weighted sum",
            ),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="one of the text tower a question, and two readings of the gallery for its "
            "mean and deviation",
            evidence="authors' code",
            parameters={
                "lam": "share of the words, 0.5 (the code's default; the authors' best on "
                "PatternCom is 0.3 for CLIP ViT-L/14 and 0.6 for RemoteCLIP ViT-L/14)",
                "fusion": "calibrated; sum, product, minimum: the paper's baselines on plain "
                "cosines. The last two score every picture anew",
            },
            disagreements=(
                "The deviation over the gallery has N - 1 below it, as in the code.",
                "A gallery without any spread would divide by zero in the formula; here every "
                "picture then gets 0.5 (ours).",
                "In a library of more than 500 pictures mean and deviation come from 500 of "
                "them, spread evenly (ours); the benchmark takes them all.",
                "Where regions are kept, a picture's cosine is that of its best region (ours); the "
                "paper has whole pictures only.",
                "With lam 0 or 1 scores stay cosines, whose order is the same (ours).",
                "A product of two cosines below zero is above zero; as a baseline it is left so.",
            ),
        ),
        composer=composer,
    )
)
