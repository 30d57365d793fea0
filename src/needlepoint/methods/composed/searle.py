"""SEARLE (Baldrati et al. 2023, arXiv 2303.15247): words found by optimisation, then a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.methods.phrases import TEMPLATES, nearest_names, read_phrases
from needlepoint.methods.pseudo_words import PseudoWords, Reader, mapped, read_template
from needlepoint.parts import Floats

_FIRST = 15
"""Names nearest to a picture whose phrases its word is found with."""


@dataclass(frozen=True, slots=True)
class Options:
    """``searle:weights=FOLDER,template=that`` or ``searle:oti=yes,phrases=FILE``.

    ``weights`` is a network of ``needlepoint train phi --method searle``; ``template`` is ``that``,
    ``list``, ``domain``, ``bare`` or a sentence with ``{}`` and ``{change}``. With ``oti`` no
    network is asked: the word of each reference is found in ``steps`` of optimisation, with a
    running mean ``ema``, noise ``text_noise_std`` on the sentence (iSEARLE) and, from a file,
    ``phrases``.
    """

    weights: str = ""
    template: str = "that"
    oti: bool = False
    steps: int = 350
    ema: float = 0.99
    text_noise_std: float = 0.0
    phrases: str = ""

    def __post_init__(self) -> None:
        if self.oti and self.weights:
            raise UsageError(
                "method searle: oti=yes finds words without a network, and weights names one. "
                "Leave out either."
            )
        if self.phrases and not self.oti:
            raise UsageError("method searle: phrases are of use with oti=yes alone.")


def optimised(options: Options) -> Reader:
    """A reader that finds the word of each picture by optimisation."""

    def read(vectors: Floats, encoder: Any) -> Floats:
        try:
            from needlepoint.encoders.inversion import Inversion, invert_pictures
        except ImportError as error:
            raise ModelUnavailable(
                f"searle needs {error.name}, which is not installed: "
                "pip install 'needlepoint[torch]'"
            ) from error
        how = Inversion(
            steps=options.steps,
            ema=options.ema,
            text_noise_std=options.text_noise_std,
            templates=TEMPLATES,
        )
        said: list[list[tuple[str, str]]] = []
        if options.phrases:
            phrases = read_phrases(Path(options.phrases).expanduser())
            near = nearest_names(encoder, vectors, phrases.names, _FIRST)
            said = [phrases.of(row.tolist()) for row in near]
        found: Floats = invert_pictures(encoder, vectors, how, phrases=said)[:, 0]
        return found

    return read


def composer(options: str, helpers: Helpers) -> PseudoWords:
    """The method with its options; the network is opened with the first question."""
    told = read_options(Options, options, "searle")
    reader = optimised(told) if told.oti else mapped("searle", told.weights)
    return PseudoWords("searle", read_template(told.template, "searle"), reader)


CARD = register(
    Method(
        MethodCard(
            name="searle",
            title="SEARLE, with iSEARLE's changes",
            paper="arXiv 2303.15247 (ICCV 2023); iSEARLE: arXiv 2405.02951",
            year=2023,
            task="composed",
            parts=(
                "composer: the picture's vector as a pseudo-word in a sentence",
                "trainer: words found by optimisation, then a network that learns to tell them",
            ),
            recipe="*",
            needs=("text", "inject"),
            stores="nothing of its own",
            passes="one of the text tower a question; with oti=yes some hundred, with gradients",
            evidence="authors' code",
            parameters={
                "weights": "a network for the library's encoder; that of a checkout fits the "
                "compact encoder",
                "template": "that: a photo of {} that {change}; list: a photo of {}, {change}; "
                "domain: a {change} of {}; bare: {} {change} (ours); or a sentence of one's own",
                "oti": "no; yes: find the words of a question by optimisation, without a network",
                "steps": "350",
                "ema": "0.99",
                "text_noise_std": "0; above it iSEARLE's noise (its size is not established)",
                "phrases": "file of NAME, tab, sentence for oti=yes; none: the first loss alone",
            },
            disagreements=(
                "The authors let a language model write phrases; here they come from a file, or in "
                "training from ten sentences that fit any name. Names are those of the captions "
                "(the authors: Open Images).",
                "The network is given unit vectors times the mean length of the encoder's "
                "pictures: libraries keep no other.",
                "Templates are eight of our own (the authors: 24). Pictures are not padded to a "
                "ratio of 1.25 first: the library's vectors serve.",
                "That iSEARLE builds batches of pictures that look alike is known from its "
                "summary alone; train phi --hard-negative-batches is our reading of it.",
                "Weights of several references are not heard: each has a place in the sentence.",
            ),
        ),
        composer=composer,
    )
)
