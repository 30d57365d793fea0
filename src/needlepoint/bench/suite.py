"""Lists of method lines that are run together, and what each is for."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError, nearest

_TEXT = ("text",)
_IMAGE = ("image",)
_BOTH = ("text", "image")


@dataclass(frozen=True, slots=True)
class Line:
    """A method line and where it makes sense: kinds of question, and tasks by wild card."""

    method: str
    kinds: tuple[str, ...] = _BOTH
    tasks: str = "*"

    def fits(self, protocol: Protocol) -> bool:
        """Whether a protocol asks what this line can answer."""
        asked = {question.kind for question in protocol.questions}
        task = protocol.name.rpartition("/")[2]
        return bool(asked & set(self.kinds)) and fnmatch.fnmatch(task, self.tasks)


@dataclass(frozen=True, slots=True)
class Suite:
    """A named list of lines."""

    name: str
    title: str
    lines: tuple[Line, ...]

    def methods(self, protocol: Protocol) -> list[str]:
        """The lines for a protocol, in order."""
        return [line.method for line in self.lines if line.fits(protocol)]


def _gated_and_best(*methods: str, kinds: tuple[str, ...] = _BOTH) -> tuple[Line, ...]:
    """Each with the gate (words only: between pictures it is hardly ever open) and with best."""
    found: list[Line] = []
    for method in methods:
        if "text" in kinds:
            found.append(Line(f"{method}+gated", _TEXT))
        found.append(Line(f"{method}+best", kinds))
    return tuple(found)


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
        *(Line(f"lare:n={n}", _TEXT) for n in (3, 7, 10)),
        *(Line(f"lare+gated@{tau}", _TEXT) for tau in (0.1, 0.15, 0.2, 0.3, 1)),
        Line("random-windows"),
        Line("random-windows+best"),
        Line("random-windows:seed=1", _TEXT),
        Line("attention-windows"),
        Line("attention-windows+best"),
        *_gated_and_best("five-crop", "grid:n=2", "grid:n=3", "windows:9", "windows:25"),
        *_gated_and_best("detector-crops:objects=ncut", "truth-crops:file={truth}"),
        Line("dense:32@1x"),
        *(
            Line(f"dense-text:cells={cells},detail={detail}", _TEXT)
            for cells in ("value", "tokens", "pool")
            for detail in (1, 2, 3)
        ),
        *(Line(f"dense-text:detail={detail}+gated", _TEXT) for detail in (1, 2, 3)),
        Line("dense-text:regions=all", _TEXT),
        Line("calibclip", _TEXT),
        Line("calibclip:dcc=no", _TEXT),
        Line("calibclip:dcc=no,rho_d=0.1", _TEXT),
        Line("calibclip:cve=no", _TEXT),
        Line("calibclip:cve=mean,dcc=no", _TEXT),
        Line("calibclip:cve=no,dcc=mean", _TEXT),
        Line("calibclip:mu=0.5", _TEXT),
        Line("calibclip:mode=released", _TEXT),
        *(
            Line(f"mao:{stage}objects={objects}", _IMAGE)
            for objects in ("ncut", "windows:9", "annotations:{truth}")
            for stage in ("stage=a,", "")
        ),
        Line("mao:tokens=per-crop,objects=ncut", _IMAGE),
        Line("mao:mode=released,objects=ncut", _IMAGE),
    ),
)

SUITES = {suite.name: suite for suite in (FINE_GRAINED,)}


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


def chosen_lines(suite: Suite, methods: Sequence[str], protocol: Protocol) -> list[str]:
    """The suite's lines, or those of ``methods``: each a line, or a wild card over the suite's."""
    if not methods:
        return suite.methods(protocol)
    found: list[str] = []
    for text in methods:
        if any(mark in text for mark in "*?"):
            found += [one for one in suite.methods(protocol) if fnmatch.fnmatch(one, text)]
        else:
            found.append(text)
    return list(dict.fromkeys(found))
