"""Questions: from parts to probes, asked of the store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlepoint.errors import LibraryBusy, LibraryIncompatible, NoSuchItem, UsageError
from needlepoint.intake.decode import decode
from needlepoint.library.hits import (
    Clock,
    Judge,
    Ready,
    Wanted,
    in_order_again,
    to_hits,
    weigh,
)
from needlepoint.library.roster import BUILTIN, Asks, Roster, method_of
from needlepoint.methods.card import Asked, Method, find_method
from needlepoint.parts import (
    Calibrated,
    Calibration,
    DenseEncoder,
    Encoder,
    Floats,
    TextEncoder,
)
from needlepoint.picture import Box, Picture
from needlepoint.query import Part, Query
from needlepoint.regions.describe import WINDOW_SIZES, dense_map
from needlepoint.regions.heat import Heat, heat, unpack_map
from needlepoint.regions.question import QUESTION_SIDE, picture_vector
from needlepoint.regions.recipe import Recipe, is_policy
from needlepoint.results import Results
from needlepoint.search.fusion import BEST, WHOLE, Fusion
from needlepoint.store.base import Ids, Probe, Space, StoreHits
from needlepoint.store.sqlite import SqliteStore
from needlepoint.where import compile_where

WORDS_NOTE = (
    "words are answered by the built-in concept search (about a thousand everyday things); "
    "for words on the level of CLIP run: needlepoint models fetch {model} && "
    "needlepoint index --model {model} {folder}"
)


@dataclass(frozen=True, slots=True)
class Options:
    """How a question is asked; see ``Library.search``."""

    k: int = 20
    where: str | None = None
    min_score: float | Literal["auto"] | None = None
    model: str | None = None
    method: str | None = None
    places: bool = True
    mode: Literal["auto", "exact", "compressed"] = "auto"
    corpus: tuple[str, ...] | None = None
    without: tuple[int, ...] = ()


class Asker:
    """Answers questions about one library."""

    def __init__(self, store: SqliteStore, roster: Roster, words_model: Callable[[], str]) -> None:
        self._store, self._roster, self._words_model = store, roster, words_model

    def ask(self, query: Query, options: Options) -> Results:
        """The best pictures for a question.

        Raises:
            UsageError: a part, filter or option cannot be understood.
            LibraryIncompatible: the library was not indexed for this model or method.
            PictureError: a picture to ask with cannot be read.
        """
        self.check(options)
        if isinstance(options.min_score, str) and options.min_score != "auto":
            raise UsageError(f"`min_score` is a number or auto. Received: {options.min_score!r}.")
        if options.corpus is not None:
            _check_corpus(options.method)
        clock = Clock()
        ready = [self._prepare(part, options) for part in query.parts]
        again = _in_order_by(ready)
        probes, fused = weigh(ready)
        clock.lap("encode")
        return self._answer(query, options, ready, probes, fused, again, clock)

    def check(self, options: Options) -> None:
        """Refuse a number of hits or a filter that no question can have."""
        if options.k < 1:
            raise UsageError(f"`k` must be a positive integer. Received: {options.k}.")
        if options.where is not None:
            compile_where(options.where)

    def probes(self, query: Query, options: Options) -> list[Probe]:
        """The parts of a question made ready, one probe each."""
        return weigh([self._prepare(part, options) for part in query.parts])[0]

    def background(self, probe: Probe) -> tuple[float, float] | None:
        """Mean and spread of unrelated pictures' scores, where the probe's encoder knows them."""
        space = next(space for space in self._store.spaces() if space.id == probe.space)
        encoder = self._roster.open(space.encoder)
        known = _calibration(encoder, space, None, probe.fusion)
        return None if known is None else known.background(probe.vector)

    def pictures(self, space: int, options: Options) -> Ids:
        """Ids, ascending, of the pictures that a question asked in a space may find."""
        ids, within = self._store.described(space), self._within(options)
        return ids if within is None else np.intersect1d(ids, within)

    def best(self, probes: Sequence[Probe], k: int, options: Options) -> StoreHits:
        """What the store finds for probes, the filter of the options applied."""
        return self._store.search(probes, k, within=self._within(options), mode=options.mode)

    def ask_probes(
        self, query: Query, probes: Sequence[Probe], options: Options, names: Sequence[str] = ()
    ) -> Results:
        """The best pictures for probes that something else has made of a question.

        Their scores have no calibration: hits neither match nor fail to. ``names`` tells of each
        probe what it stands for.
        """
        spaces = {space.id: space for space in self._store.spaces()}
        ready = [
            Ready(p, spaces[p.space], options.method or "", None, name=name)
            for p, name in zip(probes, names or [""] * len(probes), strict=True)
        ]
        return self._answer(query, options, ready, list(probes), True, None, Clock())

    def _answer(
        self,
        query: Query,
        options: Options,
        ready: list[Ready],
        probes: list[Probe],
        fused: bool,
        again: Asked | None,
        clock: Clock,
    ) -> Results:
        within = self._within(options)
        clock.lap("filter")
        many = max(options.k + len(options.without), again.shortlist if again else 0)
        found = self._store.search(probes, many, within=within, mode=options.mode)
        reordered = 0
        if again is not None:
            found, reordered = in_order_again(self._store, found, ready[0], again)
        clock.lap("search")
        judge = Judge(ready, fused)
        wanted = Wanted(options.k, options.min_score, options.without)
        hits = to_hits(self._store, found, ready, probes, fused, judge, wanted, reordered)
        clock.lap("facts")
        return Results(
            query=query,
            hits=hits,
            cutoff=judge.cutoff,
            notes=self._notes(ready),
            timings=clock.laps,
            exact=found.exact,
            candidates=found.candidates,
            decode=decode,
        )

    def heat(self, number: int, query: Query, model: str | None) -> Heat:
        """One question of one picture part held against every window of one picture."""
        if len(query.parts) != 1 or query.parts[0].kind == "text":
            raise UsageError(
                f"a heat map needs a question with one picture, piece or item. Received: {query}"
            )
        asked = self._prepare(query.parts[0], Options(model=model))
        path = self.path_of(number)
        stored = self._store.get_blob(number, f"map:{asked.space.name}")
        if stored is not None:
            return heat(unpack_map(stored), asked.probe.vector, WINDOW_SIZES)
        encoder = self._roster.open(asked.space.encoder)
        told = asked.space.recipe
        recipe = Recipe.parse(told) if is_policy(told) else None
        if recipe is None or recipe.kind != "dense" or not isinstance(encoder, DenseEncoder):
            raise LibraryIncompatible(
                f"a heat map needs dense regions; this library has {told} for "
                f"{asked.space.encoder}. Run `needlepoint index --regions dense` into a new "
                "--library."
            )
        features = dense_map(encoder, decode(path, at_least=recipe.long_side), recipe)
        return heat(features, asked.probe.vector, WINDOW_SIZES)

    # -- parts to probes

    def _prepare(self, part: Part, options: Options) -> Ready:
        asks: Asks = "text" if part.kind == "text" else "image"
        space = self._roster.space(asks, options.model, options.method)
        encoder = self._roster.open(space.encoder)
        method, told = _method(options.method, space)
        fusion = method.fusion(told, encoder.card) if method else BEST
        if not options.places:
            fusion = WHOLE
        asked, handicap = None, 0.0
        if part.kind == "text":
            asked, handicap = self._words(part.value, encoder, method, told, options)
            vector = asked.vectors[0]
        elif part.kind == "item" and part.box is None:
            vector = self._stored(int(part.value), space)
        else:
            vector = self._seen(part, encoder, space)
        return Ready(
            Probe(space.id, np.ascontiguousarray(vector), part.weight, fusion=fusion),
            space,
            _named(options.method, space, fusion),
            _calibration(encoder, space, method, fusion),
            handicap,
            asked if asked is not None and asked.second is not None else None,
            str(part),
        )

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

    def _seen(self, part: Part, encoder: Encoder, space: Space) -> Floats:
        """The vector of a picture part."""
        picture = self._picture(part)
        box = part.box
        if box is not None:
            box = _in_pixels(box, picture, percent=part.box_percent)
        return picture_vector(encoder, picture, box, recipe=space.recipe, space=space.name)

    def _picture(self, part: Part) -> Picture:
        if part.pixels is not None:
            return Picture.from_pixels(part.pixels, part.value)
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

    def _within(self, options: Options) -> Ids | None:
        if options.where is None:
            return None
        roots = {path: number for number, (path, _) in self._store.roots().items()}
        compiled = compile_where(options.where, roots=roots)
        return self._store.query_facts(compiled.sql, compiled.parameters)

    def _notes(self, asked: list[Ready]) -> list[str]:
        words = any(a.space.encoder == BUILTIN and a.space.name == "words" for a in asked)
        if not words or self._store.get_meta("told.words") is not None:
            return []
        if self._store.writable:
            with contextlib.suppress(LibraryBusy):  # told again another time
                self._store.set_meta("told.words", "1")
        folder = next((path for path, _ in self._store.roots().values()), "FOLDER")
        return [WORDS_NOTE.format(model=self._words_model(), folder=folder)]


def _method(named: str | None, space: Space) -> tuple[Method | None, str]:
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


def _calibration(
    encoder: Encoder, space: Space, method: Method | None, fusion: Fusion
) -> Calibration | None:
    """What the scores mean, where that was fitted: on wholes and best regions, asked plainly."""
    if fusion.kind == "gated" or (method is not None and method.asks is not None):
        return None
    return encoder.calibration(space.name) if isinstance(encoder, Calibrated) else None


def _in_order_by(ready: list[Ready]) -> Asked | None:
    """What puts the best in order again, if anything does.

    Raises:
        UsageError: the question has several parts, and no one of them can have the last word.
    """
    found = [one.asked for one in ready if one.asked is not None]
    if found and len(ready) > 1:
        raise UsageError(
            f"`method` is {ready[0].method}, which puts the best pictures in order again by the "
            f"words of a question of one part. Received: {len(ready)} parts. Ask with one, or "
            "with another --method."
        )
    return found[0] if found else None


def _check_corpus(method: str | None) -> None:
    if method is None or find_method(method.partition(":")[0]).asks is None:
        raise UsageError(
            f"`corpus` is given, but the method ({method or 'that of the library'}) does not look "
            "at how common words are. Leave it out, or name a method that does "
            "(needlepoint methods)."
        )


def _in_pixels(box: Box, picture: Picture, *, percent: bool) -> Box:
    if not percent:
        return box
    width, height = picture.size
    x, y, w, h = box
    return x * width / 100, y * height / 100, w * width / 100, h * height / 100
