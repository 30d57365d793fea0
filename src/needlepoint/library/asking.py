"""Questions: from parts to probes, from store hits to results."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from needlepoint.errors import LibraryBusy, LibraryIncompatible, UsageError
from needlepoint.intake.decode import decode
from needlepoint.library.roster import BUILTIN, Asks, Roster
from needlepoint.methods.card import Method, find_method
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
from needlepoint.regions.recipe import Recipe
from needlepoint.results import Hit, Results
from needlepoint.search.fusion import BEST, WHOLE
from needlepoint.store.base import Ids, Probe, Space, StoreHits
from needlepoint.store.sqlite import SqliteStore
from needlepoint.where import compile_where

WORDS_NOTE = (
    "words are answered by the built-in concept search (about a thousand everyday things); "
    "for words on the level of CLIP run: needlepoint models fetch {model} && "
    "needlepoint index --model {model} {folder}"
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A part made ready: its probe, its space and, if there is one, its calibration."""

    probe: Probe
    space: Space
    calibration: Calibration | None
    handicap: float = 0.0

    def background(self) -> tuple[float, float]:
        """Mean and standard deviation of unrelated pictures' scores; 0 and 1 when unknown."""
        if self.calibration is None:
            return 0.0, 1.0
        return self.calibration.background(self.probe.vector, self.handicap)


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
        if options.k < 1:
            raise UsageError(f"`k` must be a positive integer. Received: {options.k}.")
        if isinstance(options.min_score, str) and options.min_score != "auto":
            raise UsageError(f"`min_score` is a number or auto. Received: {options.min_score!r}.")
        clock = _Clock()
        method = find_method(options.method) if options.method else None
        places = options.places and (method is None or method.card.places)
        asked = [self._prepare(part, options.model, method, places) for part in query.parts]
        probes, fused = _weigh([a.probe for a in asked], asked)
        clock.lap("encode")
        within = self._within(options)
        clock.lap("filter")
        found = self._store.search(
            probes, options.k + len(options.without), within=within, mode=options.mode
        )
        clock.lap("search")
        judge = _Judge(asked, fused)
        hits = self._hits(found, asked, fused, judge, method, options)
        clock.lap("facts")
        return Results(
            query=query,
            hits=hits,
            cutoff=judge.cutoff,
            notes=self._notes(asked),
            timings=clock.laps,
            exact=found.exact,
            decode=decode,
        )

    def heat(self, number: int, query: Query, model: str | None) -> Heat:
        """One question of one picture part held against every window of one picture."""
        if len(query.parts) != 1 or query.parts[0].kind == "text":
            raise UsageError(
                f"a heat map needs a question with one picture, piece or item. Received: {query}"
            )
        asked = self._prepare(query.parts[0], model, None, True)
        path = self.path_of(number)
        stored = self._store.get_blob(number, f"map:{asked.space.name}")
        if stored is not None:
            return heat(unpack_map(stored), asked.probe.vector, WINDOW_SIZES)
        encoder = self._roster.open(asked.space.encoder)
        recipe = Recipe.parse(asked.space.recipe)
        if recipe.kind != "dense" or not isinstance(encoder, DenseEncoder):
            raise LibraryIncompatible(
                f"a heat map needs dense regions; this library has {recipe} for "
                f"{asked.space.encoder}. Run `needlepoint index --regions dense` into a new "
                "--library."
            )
        features = dense_map(encoder, decode(path, at_least=recipe.long_side), recipe)
        return heat(features, asked.probe.vector, WINDOW_SIZES)

    # -- parts to probes

    def _prepare(
        self, part: Part, model: str | None, method: Method | None, places: bool
    ) -> _Asked:
        asks: Asks = "text" if part.kind == "text" else "image"
        space = self._roster.space(asks, model)
        if method is not None:
            _check_method(method, space)
        encoder = self._roster.open(space.encoder)
        handicap = 0.0
        if part.kind == "text":
            if not isinstance(encoder, TextEncoder):
                raise UsageError(f"{space.encoder} has no text side; choose another --model")
            told = encoder.text_features([part.value])
            vector = told.vector[0]
            handicap = 0.0 if told.handicap is None else float(told.handicap[0])
        elif part.kind == "item" and part.box is None:
            vector = self._stored(int(part.value), space)
        else:
            vector = self._seen(part, encoder, space)
        calibration = encoder.calibration(space.name) if isinstance(encoder, Calibrated) else None
        return _Asked(
            Probe(
                space.id,
                np.ascontiguousarray(vector),
                part.weight,
                fusion=BEST if places else WHOLE,
            ),
            space,
            calibration,
            handicap,
        )

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
            UsageError: no such item.
        """
        facts = self._store.facts([number])
        if number not in facts:
            raise UsageError(f"@{number} is not a picture of this library.")
        file = facts[number][0]
        return os.path.join(self._store.roots()[file.root][0], file.path)

    def _within(self, options: Options) -> Ids | None:
        if options.where is None:
            return None
        roots = {path: number for number, (path, _) in self._store.roots().items()}
        compiled = compile_where(options.where, roots=roots)
        return self._store.query_facts(compiled.sql, compiled.parameters)

    # -- hits to results

    def _hits(
        self,
        found: StoreHits,
        asked: list[_Asked],
        fused: bool,
        judge: _Judge,
        method: Method | None,
        options: Options,
    ) -> list[Hit]:
        facts = self._store.facts(found.ids.tolist())
        roots = {number: path for number, (path, _) in self._store.roots().items()}
        lead = asked[0].space
        source: dict[str, Any] = {
            "library": str(self._store.folder),
            "model": "+".join(dict.fromkeys(a.space.encoder for a in asked)),
            "space": "+".join(dict.fromkeys(a.space.name for a in asked)),
            "method": method.card.name if method else _method_of(lead.recipe, options.places),
            "exact": found.exact,
            "mode": found.mode,
        }
        hits: list[Hit] = []
        for i, number in enumerate(found.ids.tolist()):
            if number in options.without or len(hits) == options.k:
                continue
            score = float(found.score[i])
            match, probability = judge(score)
            if options.min_score == "auto" and match is False:
                continue
            if isinstance(options.min_score, float | int) and score < options.min_score:
                continue
            file, fact = facts[number]
            box = found.boxes[i]
            hits.append(
                Hit(
                    rank=len(hits) + 1,
                    id=number,
                    path=os.path.join(roots[file.root], file.path),
                    score=score,
                    score_kind="fused" if fused else "cosine",
                    box=None if np.isnan(box).any() else _box(box),
                    match=match,
                    probability=probability,
                    width=fact.width,
                    height=fact.height,
                    source=source,
                )
            )
        return hits

    def _notes(self, asked: list[_Asked]) -> list[str]:
        words = any(a.space.encoder == BUILTIN and a.space.name == "words" for a in asked)
        if not words or self._store.get_meta("told.words") is not None:
            return []
        if self._store.writable:
            with contextlib.suppress(LibraryBusy):  # told again another time
                self._store.set_meta("told.words", "1")
        folder = next((path for path, _ in self._store.roots().values()), "FOLDER")
        return [WORDS_NOTE.format(model=self._words_model(), folder=folder)]


class _Judge:
    """Turns a score into match and probability where the question's spaces are calibrated.

    A fused score already is a weighted mean of standardised scores when all parts are calibrated;
    it is then judged with the first part's calibration, which is fitted on single questions.
    """

    def __init__(self, asked: list[_Asked], fused: bool) -> None:
        self._calibration = asked[0].calibration
        if fused and any(a.calibration is None for a in asked):
            self._calibration = None
        self._mean, self._std = 0.0, 1.0
        self.cutoff: float | None = None
        if self._calibration is None:
            return
        if not fused:
            self._mean, self._std = asked[0].background()
        self.cutoff = self._calibration.threshold() * self._std + self._mean

    def __call__(self, score: float) -> tuple[bool | None, float | None]:
        if self._calibration is None or self.cutoff is None:
            return None, None
        standard = (score - self._mean) / self._std
        return score >= self.cutoff, self._calibration.probability(standard)


class _Clock:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round((now - self._last) * 1e3, 3)
        self._last = now


def _weigh(probes: list[Probe], asked: list[_Asked]) -> tuple[list[Probe], bool]:
    """Probes as they are for one part; standardised for several where that is possible."""
    if len(probes) == 1 and probes[0].weight > 0:
        return [replace(probes[0], weight=1.0)], False
    if any(a.calibration is None for a in asked):
        return probes, True
    weighed = []
    for probe, one in zip(probes, asked, strict=True):
        mean, std = one.background()
        weighed.append(replace(probe, mean=mean, std=std))
    return weighed, True


def _check_method(method: Method, space: Space) -> None:
    if not fnmatch.fnmatch(space.recipe, method.card.recipe):
        regions = method.card.recipe.replace(":*", "")
        raise LibraryIncompatible(
            f"`method` is {method.card.name}, which needs a library indexed with regions "
            f"{method.card.recipe}; this one has {space.recipe} for {space.encoder}. Run "
            f"`needlepoint index --regions {regions}` into a new --library."
        )


def _method_of(recipe: str, places: bool) -> str:
    kind = recipe.partition(":")[0]
    return kind if places and kind != "none" else "whole"


def _in_pixels(box: Box, picture: Picture, *, percent: bool) -> Box:
    if not percent:
        return box
    width, height = picture.size
    x, y, w, h = box
    return x * width / 100, y * height / 100, w * width / 100, h * height / 100


def _box(row: Floats) -> Box:
    x, y, w, h = (float(v) for v in row)
    return x, y, w, h
