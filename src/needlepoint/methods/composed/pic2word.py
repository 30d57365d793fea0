"""Pic2Word (Saito et al. 2023, arXiv 2302.03084): a mapping network that learns from pictures."""

from __future__ import annotations

from dataclasses import dataclass

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.methods.pseudo_words import PseudoWords, mapped, read_template


@dataclass(frozen=True, slots=True)
class Options:
    """``pic2word:weights=FOLDER,template=list``.

    ``weights`` is a network of ``needlepoint train phi --method pic2word``; ``template`` is
    ``list``, ``that``, ``domain``, ``bare`` or a sentence with ``{}`` and ``{change}``.
    """

    weights: str = ""
    template: str = "list"


def composer(options: str, helpers: Helpers) -> PseudoWords:
    """The method with its options; the network is opened with the first question."""
    told = read_options(Options, options, "pic2word")
    return PseudoWords(
        "pic2word", read_template(told.template, "pic2word"), mapped("pic2word", told.weights)
    )


CARD = register(
    Method(
        MethodCard(
            name="pic2word",
            title="Pic2Word",
            paper="arXiv 2302.03084 (CVPR 2023)",
            year=2023,
            task="composed",
            parts=(
                "composer: the picture's vector as a pseudo-word in a sentence",
                'trainer: "a photo of" and a picture\'s word against the pictures of the batch',
            ),
            recipe="*",
            needs=("text", "inject"),
            stores="nothing of its own",
            passes="one of the text tower a question",
            evidence="authors' code",
            parameters={
                "weights": "a network for the library's encoder; that of a checkout fits the "
                "compact encoder",
                "template": "list: a photo of {}, {change}; domain: a {change} of {}; that: a "
                "photo of {} that {change}; bare: {} {change} (ours); or a sentence of one's own",
            },
            disagreements=(
                "The network is given unit vectors times the mean length of the encoder's "
                "pictures, in training and in asking: libraries keep no other.",
                "Weights of several references are not heard: each has a place in the sentence.",
                "Batches are smaller than the published 1024 unless asked for.",
            ),
        ),
        composer=composer,
    )
)
