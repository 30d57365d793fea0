"""Lists of method lines that are run together, and what each is for."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError, nearest
from needlepoint.parts import EncoderCard

_TEXT = ("text",)
_IMAGE = ("image",)
_BOTH = ("text", "image")


@dataclass(frozen=True, slots=True)
class Line:
    """A method line and where it makes sense: kinds of question, tasks and encoders.

    ``tasks`` and ``families`` are wild cards over the last part of a protocol's name and over the
    family of an encoder's card.
    """

    method: str
    kinds: tuple[str, ...] = _BOTH
    tasks: str = "*"
    families: str = "*"

    def fits(self, protocol: Protocol, card: EncoderCard) -> bool:
        """Whether a protocol asks what this line can answer, with an encoder it is meant for."""
        asked = {question.kind for question in protocol.questions}
        task = protocol.name.rpartition("/")[2]
        return (
            bool(asked & set(self.kinds))
            and fnmatch.fnmatch(task, self.tasks)
            and fnmatch.fnmatch(card.family, self.families)
        )


@dataclass(frozen=True, slots=True)
class Suite:
    """A named list of lines.

    ``asks`` tells what runs them: ``questions`` (``spec.Spec``), ``talks`` for conversations
    (``interactive.TalkLine``), ``composed`` for a picture and a change (``composed.ComposedLine``).
    """

    name: str
    title: str
    lines: tuple[Line, ...]
    asks: Literal["questions", "talks", "composed"] = "questions"

    def methods(self, protocol: Protocol, card: EncoderCard) -> list[str]:
        """The lines for a protocol and an encoder, in order."""
        return [line.method for line in self.lines if line.fits(protocol, card)]


def _gated_and_best(*methods: str) -> tuple[Line, ...]:
    """Each with the gate (words only: between pictures it is hardly ever open) and with best."""
    return tuple(
        Line(f"{method}+{fusion}", _TEXT if fusion == "gated" else _BOTH)
        for method in methods
        for fusion in ("gated", "best")
    )


FINE_GRAINED = Suite(
    "fine-grained",
    "small and non-salient things: published methods beside controls of the same budget",
    (
        Line("whole"),
        Line("whole+csls"),
        Line("lare"),
        Line("lare+best"),
        Line("lare+csls"),
        Line("lare:mode=released"),
        *(Line(f"lare+gated@{tau}", _TEXT) for tau in (0.1, 0.15, 0.2, 0.3, 1)),
        Line("random-windows"),
        Line("random-windows+best"),
        Line("attention-windows"),
        Line("attention-windows+best"),
        *_gated_and_best("five-crop", "grid:n=3"),
        *_gated_and_best("detector-crops:objects=ncut", "truth-crops:file={truth}"),
        Line("dense:32@1x", families="builtin"),
        *(Line(f"dense-text:detail={detail}", _TEXT) for detail in (1, 2)),
        *(Line(f"dense-text:detail={detail}+gated", _TEXT) for detail in (1, 2)),
        Line("calibclip", _TEXT),
        Line("calibclip:dcc=no", _TEXT),
        Line("calibclip:cve=no", _TEXT),
        Line("calibclip:cve=mean,dcc=no", _TEXT),
        Line("calibclip:cve=no,dcc=mean", _TEXT),
        Line("calibclip:mu=0.5", _TEXT),
        Line("calibclip:mode=released", _TEXT),
        *(
            Line(f"mao:{stage}objects={objects}", _IMAGE)
            for objects in ("ncut", "annotations:{truth}")
            for stage in ("stage=a,", "")
        ),
    ),
)
FINE_GRAINED_FULL = Suite(
    "fine-grained-full",
    "fine-grained, and all that is dearer: sweeps, larger passes, more of MaO",
    (
        *FINE_GRAINED.lines,
        *(Line(f"lare:n={n}", _TEXT) for n in (3, 7, 10)),
        Line("lare:n=10+best"),
        Line("random-windows:seed=1"),
        Line("random-windows:seed=1+best"),
        Line("random-windows:n=10+best"),
        Line("attention-windows:n=10+best"),
        *_gated_and_best("grid:n=2", "windows:9", "windows:25"),
        Line("dense:32@1x", families="[!b]*"),
        *(Line(f"dense-text:detail=3{ending}", _TEXT) for ending in ("", "+gated")),
        *(
            Line(f"dense-text:cells={cells},detail={detail}", _TEXT)
            for cells in ("tokens", "pool")
            for detail in (1, 2, 3)
        ),
        Line("dense-text:regions=all", _TEXT),
        Line("calibclip:dcc=no,rho_d=0.1", _TEXT),
        *(Line(f"mao:{stage}objects=windows:9", _IMAGE) for stage in ("stage=a,", "")),
        Line("mao:tokens=per-crop,objects=ncut", _IMAGE),
        Line("mao:mode=released,objects=ncut", _IMAGE),
    ),
)

INTERACTIVE = Suite(
    "interactive",
    "conversations with a user who has a picture in mind: words, marks of pictures and of pieces",
    (
        Line("opening"),
        Line("words"),
        Line("feedback"),
        *(
            Line(f"feedback with {says}marks={marks}")
            for says in ("", "says=nothing,")
            for marks in ("pictures", "pieces", "random", "random-pieces")
        ),
        *(Line(f"feedback with marks={marks},noise=0.3") for marks in ("pictures", "pieces")),
        *(Line(f"feedback with marks={marks},less=yes") for marks in ("pictures", "pieces")),
        Line("chatir"),
        Line("plugir"),
    ),
    asks="talks",
)


def _trained(line: str, name: str) -> tuple[Line, ...]:
    """A line for each seed of a method whose trained parts come with a checkout.

    ``{}`` in the line is the place of the option that names them.
    """
    return tuple(
        Line(line.replace("{}", f"weights={{weights}}/{name}-s{seed}")) for seed in range(3)
    )


COMPOSED = Suite(
    "composed",
    "a picture and a change in words: published routes beside each half of the question alone",
    (  # of several lines of a method that which did best on the dev edits comes first
        Line("reference-only"),
        Line("text-only"),
        *(Line(f"weighted_sum:alpha={alpha}") for alpha in (0.5, 0.3, 0.7)),
        Line("slerp"),
        *(Line(f"weicom:lam={lam}") for lam in (0.1, 0.5)),
        Line("weimocir:alpha=0.5,beta=0.5"),
        Line("weimocir"),
        Line("freedom"),
        Line("oti:words=4,template=list"),
        Line("oti"),
        Line("ovi:steps=50"),  # the 1000 that were published take half a minute a question
        Line("searle:oti=yes"),
        *(
            line
            for method in ("pic2word", "searle", "lincir")
            for ending in (",template=bare", "")  # chosen on dev, and as published
            for line in _trained(f"{method}:{{}}{ending}", method)
        ),
        *(
            line
            for method in ("pic2word", "searle", "lincir")
            for line in _trained(f"pdv:over={method}:{{}},beta=0", method)
        ),
        Line("pdv:over=oti,beta=0"),
        *_trained("combiner:{}", "combiner"),
        *_trained("dqe_cir:{}", "dqe_cir"),
        *(Line(method) for method in ("sprc", "qure", "dqe_cir on qformer")),
    ),
    asks="composed",
)

SUITES = {suite.name: suite for suite in (FINE_GRAINED, FINE_GRAINED_FULL, INTERACTIVE, COMPOSED)}


def find_suite(name: str) -> Suite:
    """The suite of this name.

    Raises:
        UsageError: no such suite.

    Example:
        >>> find_suite("fine-grained").lines[0].method
        'whole'
    """
    if name not in SUITES:
        raise UsageError(
            f"suite {name!r} is not known{nearest(name, SUITES)}. Known: {', '.join(SUITES)}."
        )
    return SUITES[name]


def chosen_lines(
    suite: Suite, methods: Sequence[str], protocol: Protocol, card: EncoderCard
) -> list[str]:
    """The suite's lines, or those of ``methods``: each a line, or a wild card over the suite's."""
    return _chosen(suite.methods(protocol, card), methods)


def chosen_anyway(suite: Suite, methods: Sequence[str]) -> list[str]:
    """The same for a suite whose lines say for themselves what they cannot answer."""
    return _chosen([line.method for line in suite.lines], methods)


def _chosen(fitting: Sequence[str], methods: Sequence[str]) -> list[str]:
    found: list[str] = []
    for text in methods or fitting:
        if any(mark in text for mark in "*?"):
            found += [one for one in fitting if fnmatch.fnmatch(one, text)]
        else:
            found.append(text)
    return list(dict.fromkeys(found))
