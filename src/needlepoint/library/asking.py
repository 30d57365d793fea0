"""Questions: from parts to probes, asked of the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

import numpy as np

from needlepoint.errors import (
    LibraryBusy,
    LibraryIncompatible,
    NeedlepointError,
    UsageError,
)
from needlepoint.intake.decode import decode
from needlepoint.library.hits import (
    Clock,
    Judge,
    Ready,
    Wanted,
    in_order_again,
    in_order_anew,
    to_hits,
    weigh,
)
from needlepoint.library.preparing import Preparer, Texts, calibration_of
from needlepoint.library.roster import BUILTIN, Roster
from needlepoint.methods.card import Asked, find_method
from needlepoint.methods.composing import Again
from needlepoint.methods.dialogue import Helpers
from needlepoint.parts import DenseEncoder, Encoder
from needlepoint.picture import Picture
from needlepoint.query import Part, Query
from needlepoint.regions.describe import WINDOW_SIZES, dense_map
from needlepoint.regions.heat import Heat, heat, unpack_map
from needlepoint.regions.recipe import Recipe, is_policy
from needlepoint.results import Results
from needlepoint.store.base import Ids, Probe, Question, StoreHits
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
    helpers: Helpers = field(default_factory=Helpers)
    focused: bool = True
    """Whether a picture asks with the thing on its plain background alone."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A question made ready for the store.

    ``again`` and ``anew`` where its best are put in order again: by a vector, by a composer.
    """

    query: Query
    options: Options
    ready: list[Ready]
    probes: list[Probe]
    fused: bool
    again: Asked | None = None
    anew: Again | None = None


class Asker:
    """Answers questions about one library."""

    def __init__(self, store: SqliteStore, roster: Roster, words_model: Callable[[], str]) -> None:
        self._store, self._roster, self._words_model = store, roster, words_model
        self.preparer = Preparer(store, roster)

    def ask(self, query: Query, options: Options) -> Results:
        """The best pictures for a question.

        Raises:
            UsageError: a part, filter or option cannot be understood.
            LibraryIncompatible: the library was not indexed for this model or method.
            PictureError: a picture to ask with cannot be read.
        """
        return _raised(self.ask_many([(query, options)])[0])

    def ask_many(self, asked: Sequence[tuple[Query, Options]]) -> list[Results | Exception]:
        """Of each question its answer, or the error that :meth:`ask` would raise.

        The answers are those of asking one by one; texts are encoded together, and all questions
        share one look at the vectors. Times are those of all together.
        """
        clock = Clock()
        texts = self.preparer.texts(asked)
        made = _each(asked, lambda one: self._make(*one, texts))
        clock.lap("encode")
        return self._answer(made, clock)

    def _make(self, query: Query, options: Options, texts: Texts) -> _Made:
        self.check(options)
        if isinstance(options.min_score, str) and options.min_score != "auto":
            raise UsageError(f"`min_score` is a number or auto. Received: {options.min_score!r}.")
        if options.corpus is not None:
            _check_corpus(options.method)
        ready = [self.preparer.prepare(part, options, texts) for part in query.parts]
        again = _in_order_by(ready)
        return _Made(query, options, ready, *weigh(ready), again)

    def check(self, options: Options) -> None:
        """Refuse a number of hits or a filter that no question can have."""
        if options.k < 1:
            raise UsageError(f"`k` must be a positive integer. Received: {options.k}.")
        if options.where is not None:
            compile_where(options.where)

    def probes(self, query: Query, options: Options) -> list[Probe]:
        """The parts of a question made ready, one probe each."""
        texts = self.preparer.texts([(query, options)])
        return weigh([self.preparer.prepare(part, options, texts) for part in query.parts])[0]

    def background(self, probe: Probe) -> tuple[float, float] | None:
        """Mean and spread of unrelated pictures' scores, where the probe's encoder knows them."""
        space = next(space for space in self._store.spaces() if space.id == probe.space)
        encoder = self._roster.open(space.encoder)
        known = calibration_of(encoder, space, None, probe.fusion)
        return None if known is None else known.background(probe.vector)

    def encoder(self, options: Options) -> Encoder:
        """The encoder that questions by picture are asked of."""
        space = self._roster.space("image", options.model, options.method)
        return self._roster.open(space.encoder)

    def pictures(self, space: int, options: Options) -> Ids:
        """Ids, ascending, of the pictures that a question asked in a space may find."""
        ids, within = self._store.described(space), self._within(options)
        return ids if within is None else np.intersect1d(ids, within)

    def best(self, probes: Sequence[Probe], k: int, options: Options) -> StoreHits:
        """What the store finds for probes, the filter of the options applied."""
        return self._store.search(probes, k, within=self._within(options), mode=options.mode)

    def ask_probes(
        self,
        query: Query,
        probes: Sequence[Probe],
        options: Options,
        names: Sequence[str] = (),
        again: Again | None = None,
    ) -> Results:
        """The best pictures for probes that something else has made of a question.

        Their scores have no calibration: hits neither match nor fail to. ``names`` tells of each
        probe what it stands for; ``again`` puts the best of them in order anew.
        """
        spaces = {space.id: space for space in self._store.spaces()}
        method = (options.method or "").partition(":")[0]
        ready = [
            Ready(p, spaces[p.space], method, None, name=name)
            for p, name in zip(probes, names or [""] * len(probes), strict=True)
        ]
        made = _Made(query, options, ready, list(probes), not _is_cosine(probes), anew=again)
        return _raised(self._answer([made], Clock())[0])

    def _answer(
        self, every: Sequence[_Made | Exception], clock: Clock
    ) -> list[Results | Exception]:
        questions = _each(every, self._question)
        clock.lap("filter")
        found = self._search(questions)
        paired = [
            one if isinstance(one, Exception) else (one, hits)
            for one, hits in zip(every, found, strict=True)
        ]
        again = _each(paired, lambda pair: self._again(*pair))
        clock.lap("search")
        return _each(again, lambda one: self._results(*one, clock))

    def _question(self, made: _Made) -> Question:
        options, again = made.options, made.again
        many = max(options.k + len(options.without), again.shortlist if again else 0)
        if made.anew is not None:
            everything = max(len(self.pictures(probe.space, options)) for probe in made.probes)
            many = max(many, made.anew.shortlist or everything)
        return Question(made.probes, many, self._within(options), options.mode)

    def _search(self, questions: Sequence[Question | Exception]) -> list[StoreHits | Exception]:
        good = [one for one in questions if not isinstance(one, Exception)]
        try:
            found = iter(self._store.search_many(good))
        except NeedlepointError as error:
            if len(good) == 1:
                return [one if isinstance(one, Exception) else error for one in questions]
            # the error is one question's; the others are answered
            return _each(questions, lambda one: self._store.search_many([one])[0])
        return [one if isinstance(one, Exception) else next(found) for one in questions]

    def _again(self, made: _Made, found: StoreHits | Exception) -> tuple[_Made, StoreHits, int]:
        if isinstance(found, Exception):
            raise found
        if made.anew is not None:
            return made, *in_order_anew(found, made.anew)
        if made.again is None:
            return made, found, 0
        return made, *in_order_again(self._store, found, made.ready[0], made.again)

    def _results(self, made: _Made, found: StoreHits, reordered: int, clock: Clock) -> Results:
        options, ready = made.options, made.ready
        judge = Judge(ready, made.fused)
        wanted = Wanted(options.k, options.min_score, options.without)
        hits = to_hits(self._store, found, ready, made.probes, made.fused, judge, wanted, reordered)
        clock.lap("facts")
        return Results(
            query=made.query,
            hits=hits,
            cutoff=judge.cutoff,
            notes=self._notes(ready),
            timings=dict(clock.laps),
            exact=found.exact,
            candidates=found.candidates,
            decode=decode,
        )

    def warm(self) -> None:
        """Load what the first question of each kind would wait for."""
        blank = Picture.from_pixels(np.full((64, 64, 3), 128, np.uint8))
        for part in (Part("text", "a picture"), Part("picture", "blank", picture=blank)):
            # a library may answer only one kind, or have no pictures yet
            with contextlib.suppress(UsageError):
                ready = self.preparer.prepare(part, Options())
                self._store.search([ready.probe], 1)

    def heat(self, number: int, query: Query, model: str | None) -> Heat:
        """One question of one part held against every window of one picture."""
        if len(query.parts) != 1 or query.change:
            raise UsageError(f"a heat map needs a question with one part. Received: {query}")
        asked = self.preparer.prepare(query.parts[0], Options(model=model))
        path = self.preparer.path_of(number)
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
        space = asked.space.name
        leads = features.lead is not None and space == encoder.card.spaces[0].name
        project = None if leads else partial(encoder.project, space=space)
        return heat(features, asked.probe.vector, WINDOW_SIZES, project=project)

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


_Given = TypeVar("_Given")
_Gained = TypeVar("_Gained")


def _each(
    items: Sequence[_Given | Exception], do: Callable[[_Given], _Gained]
) -> list[_Gained | Exception]:
    """Do something with each; an error takes the place of its item and stays there."""
    done: list[_Gained | Exception] = []
    for item in items:
        try:
            done.append(item if isinstance(item, Exception) else do(item))
        except Exception as error:
            done.append(error)
    return done


def _raised(found: Results | Exception) -> Results:
    if isinstance(found, Exception):
        raise found
    return found


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


def _is_cosine(probes: Sequence[Probe]) -> bool:
    """Whether the score of these probes is the cosine of a single one."""
    first = probes[0]
    how = (first.weight > 0, first.mean, first.std, first.curve)
    return len(probes) == 1 and how == (True, 0.0, 1.0, "linear")


def _check_corpus(method: str | None) -> None:
    if method is None or find_method(method.partition(":")[0]).asks is None:
        raise UsageError(
            f"`corpus` is given, but the method ({method or 'that of the library'}) does not look "
            "at how common words are. Leave it out, or name a method that does "
            "(needlepoint methods)."
        )
