"""Prompt Directional Vectors: another composer's step from reference to answer, made longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.methods.card import Method, MethodCard, find_method, register
from needlepoint.methods.composing import (
    Change,
    Composed,
    Composer,
    Sight,
    query_probe,
    reference_probe,
)
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.store.base import Probe

_BOUND = 100.0


@dataclass(frozen=True, slots=True)
class Options:
    """``pdv:over=searle:weights=DIR,alpha_i=1,alpha_t=1,beta=1``.

    ``over`` is the composer at work underneath, with its own options behind a colon (a comma in
    them is written twice). ``alpha_i`` and ``alpha_t`` scale its step from the reference's picture
    and from the reference in words; ``beta`` is the share (0 to 1) of the latter.
    """

    over: str = "weighted_sum"
    alpha_i: float = 1.0
    alpha_t: float = 1.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        for name in ("alpha_i", "alpha_t"):
            if not -_BOUND <= getattr(self, name) <= _BOUND:
                raise UsageError(
                    f"method pdv: {name} is {getattr(self, name)}. Allowed: {-_BOUND:g} to "
                    f"{_BOUND:g}."
                )
        if not 0 <= self.beta <= 1:
            raise UsageError(f"method pdv: beta is {self.beta}. Allowed: 0 to 1.")


class PDV:
    """``q = n((1 - beta) (r + alpha_i d) + beta (c0 + alpha_t d))`` with ``d = c1 - c0``.

    ``c1`` is what another composer makes of the question, ``c0`` what it makes of the reference
    without any change, ``r`` the reference's own vector; all of unit length.

    Args:
        options: see there.
        inner: the other composer.
    """

    def __init__(self, options: Options, inner: Composer) -> None:
        self._options, self._inner = options, inner

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One query vector a question."""
        asked = self._inner.compose(changes, view)
        if self._options.alpha_t == self._options.beta == 1:
            return asked  # the other composer's own answers, bit for bit
        still = self._inner.compose([replace(change, text="") for change in changes], view)
        return [
            self._one(change, changed, unchanged, view)
            for change, changed, unchanged in zip(changes, asked, still, strict=True)
        ]

    def _one(self, change: Change, changed: Composed, unchanged: Composed, view: Sight) -> Composed:
        to, start = self._single(changed), self._single(unchanged)
        picture = reference_probe(change, view)
        if len({to.space, start.space, picture.space}) > 1:
            raise LibraryIncompatible(
                f"method pdv: over is {self._options.over}, whose vectors of the reference and of "
                f"the question do not share the space of pictures of {view.encoder.card.address}. "
                "Use a model with one space (needlepoint models lists open_clip: and hf: ones)."
            )
        c0, c1, r = (_unit(probe) for probe in (start, to, picture))
        step = c1 - c0
        by_picture = r + self._options.alpha_i * step
        by_words = c0 + self._options.alpha_t * step
        query = (1 - self._options.beta) * by_picture + self._options.beta * by_words
        told = (
            ("over", self._options.over),
            ("step", f"length {np.linalg.norm(step):.3f}"),
            (
                "from the picture",
                f"weight {1 - self._options.beta:.3g}, step × {self._options.alpha_i:g}",
            ),
            (
                "from its words",
                f"weight {self._options.beta:.3g}, step × {self._options.alpha_t:g}",
            ),
            *changed.told,
        )
        return Composed((query_probe(to, query),), ("picture and change",), told)

    def _single(self, composed: Composed) -> Probe:
        """The one query vector of a composer.

        Raises:
            UsageError: it has several branches, or another score than that of a vector.
        """
        if len(composed.probes) != 1 or composed.again is not None:
            raise UsageError(
                f"method pdv: over is {self._options.over}, which answers with branches or a score "
                "of its own and not with one query vector. Allowed: a composer with one, such as "
                "searle, lincir, pic2word, combiner or weighted_sum."
            )
        return composed.probes[0]


def _unit(probe: Probe) -> np.ndarray:
    vector = probe.vector.astype(np.float64)
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def composer(options: str, helpers: Helpers) -> PDV:
    """The decorator around the composer that ``over`` names.

    Raises:
        UsageError: ``over`` is no composer, or one that decorates another.
    """
    read = read_options(Options, options, "pdv")
    name, _, inner = read.over.partition(":")
    method = find_method(name)
    if method.composer is None or name == "pdv":
        raise UsageError(
            f"method pdv: over is {read.over!r}. Allowed: a composer other than pdv (needlepoint "
            "methods --task composed)."
        )
    return PDV(read, method.composer(inner, helpers))


CARD = register(
    Method(
        MethodCard(
            name="pdv",
            title="PDV: a composer's step from reference to answer, scaled",
            paper="Tursun et al., PDV: Prompt Directional Vectors for Zero-shot Composed Image "
            "Retrieval, WACV 2026 (arXiv 2502.07215)",
            year=2026,
            task="composed",
            parts=(
                "composer: another one, asked with the change and without it; the step between "
                "the two is scaled and taken from the picture and from its words",
            ),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="twice those of the composer underneath",
            evidence="authors' code",
            parameters={
                "over": "weighted_sum; any composer that answers with one vector, with its options",
                "alpha_i": "1 (the reference function; published on FashionIQ with CLIP B/32: 1.1 "
                "over SEARLE, 1.4 over CIReVL)",
                "alpha_t": "1 (the reference function; published: 0.9 over SEARLE, 1.4 over "
                "CIReVL)",
                "beta": "share of the words' branch, 1 (the reference function; published: 0.9 "
                "over SEARLE, 0.75 over CIReVL, 0.8 over Pic2Word with L/14). With alpha_t 1 and "
                "beta 1 the composer underneath is unchanged",
            },
            disagreements=(
                "Only the reference function is public, in the authors' README; the settings are "
                "the paper's.",
                "alpha_t 1 and beta 1 return the other composer's answers as they are, branches "
                "and all, without asking it a second time.",
            ),
        ),
        composer=composer,
    )
)
