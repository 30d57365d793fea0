"""Parts of questions made ready: words, pictures and items to probes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from needlepoint.errors import NeedlepointError, NoSuchItem, UsageError
from needlepoint.intake.decode import decode
from needlepoint.library.hits import Ready
from needlepoint.library.roster import Asks, Roster, method_of
from needlepoint.methods.card import Asked, Method, find_method
from needlepoint.parts import Calibrated, Calibration, Encoder, Floats, TextEncoder
from needlepoint.picture import Box, Picture, Pixels
from needlepoint.query import Part, Query
from needlepoint.regions.focus import cut
from needlepoint.regions.question import QUESTION_SIDE, picture_vector
from needlepoint.regions.recipe import is_policy
from needlepoint.search.fusion import BEST, WHOLE, Fusion
from needlepoint.store.base import Probe, Space
from needlepoint.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from needlepoint.library.asking import Options

Texts = dict[tuple[str, str], tuple[Asked, float]]
"""Texts that were encoded together: by encoder and text, a vector and its handicap."""


class Preparer:
    """Makes parts ready, with the encoders and the pictures of one library."""

    def __init__(self, store: SqliteStore, roster: Roster) -> None:
        self._store, self._roster = store, roster

    def prepare(self, part: Part, options: Options, texts: Texts | None = None) -> Ready:
        asks: Asks = "text" if part.kind == "text" else "image"
        space = self._roster.space(asks, options.model, options.method)
        encoder = self._roster.open(space.encoder)
        method, told = method_asked(options.method, space)
        fusion = method.fusion(told, encoder.card) if method else BEST
        if not options.places:
            fusion = WHOLE
        asked, handicap = None, 0.0
        if part.kind == "text":
            known = (texts or {}).get((space.encoder, part.value))
            if known is None or (method is not None and method.asks is not None):
                known = self._words(part.value, encoder, method, told, options)
            asked, handicap = known
            vector = asked.vectors[0]
        elif part.kind == "item" and part.box is None:
            vector = self._stored(int(part.value), space)
        else:
            vector = self._seen(part, encoder, space, focused=options.focused)
        return Ready(
            Probe(space.id, np.ascontiguousarray(vector), part.weight, fusion=fusion),
            space,
            _named(options.method, space, fusion),
            calibration_of(encoder, space, method, fusion),
            handicap,
            asked if asked is not None and asked.second is not None else None,
            str(part),
        )

    def texts(self, asked: Sequence[tuple[Query, Options]]) -> Texts:
        """All texts asked plainly of one encoder, encoded together where there are several."""
        wanted: dict[str, dict[str, None]] = {}
        for query, options in asked:
            texts = {part.value: None for part in query.parts if part.kind == "text"}
            if texts:
                with contextlib.suppress(NeedlepointError):  # told when its turn comes
                    space = self._roster.space("text", options.model, options.method)
                    wanted.setdefault(space.encoder, {}).update(texts)
        known: Texts = {}
        for address, several in wanted.items():
            encoder = self._roster.open(address)
            if len(several) > 1 and isinstance(encoder, TextEncoder):
                features = encoder.text_features(list(several))
                for i, text in enumerate(several):
                    handicap = 0.0 if features.handicap is None else float(features.handicap[i])
                    known[address, text] = Asked(features.vector[i : i + 1]), handicap
        return known

    def _words(
        self, text: str, encoder: Encoder, method: Method | None, told: str, options: Options
    ) -> tuple[Asked, float]:
        """A text as a vector, and its handicap."""
        if not isinstance(encoder, TextEncoder):
            raise UsageError(f"{encoder.card.address} has no text side; choose another --model")
        if method is not None and method.asks is not None:
            corpus = options.corpus
            if corpus is None:
                corpus = tuple(" ".join(words) for words in self._store.keywords())
            return method.asks(encoder, [text], told, corpus), 0.0
        features = encoder.text_features([text])
        handicap = 0.0 if features.handicap is None else float(features.handicap[0])
        return Asked(features.vector), handicap

    def _stored(self, number: int, space: Space) -> Floats:
        rows = self._store.fetch_vectors([number], space.id)
        if number not in rows:
            raise UsageError(
                f"@{number} is not a picture of this library (or {space.encoder} has not seen it). "
                "Ids are in the results of `needlepoint search` and do not change."
            )
        return rows[number].whole

    def _seen(self, part: Part, encoder: Encoder, space: Space, *, focused: bool) -> Floats:
        """The vector of a picture part."""
        picture = self._picture(part)
        box = part.box
        if box is not None:
            box = _in_pixels(box, picture, percent=part.box_percent)
        return picture_vector(
            encoder, picture, box, recipe=space.recipe, space=space.name, focused=focused
        )

    def pixels_of(self, part: Part) -> Pixels:
        """What a picture part or an item shows, or its piece of it."""
        picture = self._picture(part)
        if part.box is None:
            return picture.pixels
        return cut(picture, _in_pixels(part.box, picture, percent=part.box_percent))

    def _picture(self, part: Part) -> Picture:
        if part.picture is not None:
            return part.picture
        if part.is_url:
            raise UsageError(
                f"{part.value} is on the web, and this version fetches nothing. "
                "Save the picture and give its path."
            )
        source = self.path_of(int(part.value)) if part.kind == "item" else part.file
        # A small piece of a large picture needs the large picture's pixels.
        return decode(source, at_least=0 if part.box is not None else QUESTION_SIDE)

    def path_of(self, number: int) -> str:
        """Absolute path of a library item.

        Raises:
            NoSuchItem: no such item.
        """
        facts = self._store.facts([number])
        if number not in facts:
            raise NoSuchItem(f"@{number} is not a picture of this library.")
        file = facts[number][0]
        return os.path.join(self._store.roots()[file.root][0], file.path)


def method_asked(named: str | None, space: Space) -> tuple[Method | None, str]:
    """The method a space is searched with, and its options; None for a plain region policy."""
    own, _, stored = space.recipe.partition(":")
    if named is None:
        return (None, "") if is_policy(space.recipe) else (find_method(own), stored)
    name, _, told = named.partition(":")
    return find_method(name), told or (stored if name == own else "")


def _named(named: str | None, space: Space, fusion: Fusion) -> str:
    """The name of the method that answers."""
    if named is not None:
        return named.partition(":")[0]
    return "whole" if fusion.kind == "whole" else method_of(space.recipe)


def calibration_of(
    encoder: Encoder, space: Space, method: Method | None, fusion: Fusion
) -> Calibration | None:
    """What the scores mean, where that was fitted: on wholes and best regions, asked plainly."""
    if fusion.kind == "gated" or (method is not None and method.asks is not None):
        return None
    return encoder.calibration(space.name) if isinstance(encoder, Calibrated) else None


def _in_pixels(box: Box, picture: Picture, *, percent: bool) -> Box:
    if not percent:
        return box
    width, height = picture.size
    x, y, w, h = box
    return x * width / 100, y * height / 100, w * width / 100, h * height / 100
