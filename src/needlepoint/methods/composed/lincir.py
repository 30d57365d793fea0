"""LinCIR (Gu et al. 2024, arXiv 2312.01998): a mapping network that learns from captions alone."""

from __future__ import annotations

from dataclasses import dataclass

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.methods.pseudo_words import PseudoWords, mapped, read_template


@dataclass(frozen=True, slots=True)
class Options:
    """``lincir:weights=FOLDER,template=that``.

    ``weights`` is a network of ``needlepoint train phi --method lincir``; ``template`` is ``that``,
    ``list``, ``domain``, ``bare`` or a sentence with ``{}`` and ``{change}``.
    """

    weights: str = ""
    template: str = "that"


def composer(options: str, helpers: Helpers) -> PseudoWords:
    """The method with its options; the network is opened with the first question."""
    told = read_options(Options, options, "lincir")
    return PseudoWords(
        "lincir", read_template(told.template, "lincir"), mapped("lincir", told.weights)
    )


CARD = register(
    Method(
        MethodCard(
            name="lincir",
            title="LinCIR (self-masking projection)",
            paper="arXiv 2312.01998 (CVPR 2024)",
            year=2024,
            task="composed",
            parts=(
                "composer: the picture's vector as a pseudo-word in a sentence",
                "trainer: captions whose keywords give way to the pseudo-word of the caption",
            ),
            recipe="*",
            needs=("text", "inject"),
            stores="nothing of its own",
            passes="one of the text tower a question",
            evidence="authors' code",
            parameters={
                "weights": "a network for the library's encoder; that of a checkout fits the "
                "compact encoder",
                "template": "that: a photo of {} that {change}; list: a photo of {}, {change}; "
                "domain: a {change} of {}; bare: {} {change} (ours); or a sentence of one's own",
            },
            disagreements=(
                "The paper gives the network un-normalised vectors. A library keeps unit vectors, "
                "so they are multiplied by the mean length of the encoder's pictures: a picture's "
                "own length is not seen.",
                "Weights of several references are not heard: each has a place in the sentence.",
                "The learning rate warms up and falls on a half cosine (the paper: constant); no "
                "moving average, and the last step is kept, not the best on CIRR.",
                "Keywords are found by closed word lists and endings (the paper: a trained tagger, "
                "which train_phi takes).",
            ),
        ),
        composer=composer,
    )
)
