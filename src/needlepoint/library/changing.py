"""Composed questions: what a composer makes of them, as probes of the store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from needlepoint.encoders.text import PLACEHOLDER
from needlepoint.errors import UsageError
from needlepoint.library.asking import Asker, Options
from needlepoint.library.view import LibraryView
from needlepoint.methods.card import find_method, list_methods
from needlepoint.methods.composing import Change, Composed
from needlepoint.query import Query
from needlepoint.results import Results
from needlepoint.store.sqlite import SqliteStore

PLAIN = "weighted_sum"
"""The composer of a question that names none."""


class Changer:
    """Answers the composed questions of a library, and hands on all others."""

    def __init__(self, store: SqliteStore, asker: Asker) -> None:
        self._store, self._asker = store, asker

    def ask(self, query: Query, options: Options) -> Results:
        """The best pictures for a question of any kind.

        A picture that is to be changed as a whole is no answer to that: it is left out.

        Raises:
            UsageError: a part, filter or option cannot be understood.
            LibraryIncompatible: the library was not indexed for this model or method.
            ModelUnavailable: the method needs weights or an outside model that is not there.
            PictureError: a picture to ask with cannot be read.
        """
        if not composes(query, options.method):
            return self._asker.ask(query, options)
        self._asker.check(options)
        began = time.perf_counter()
        without = (*options.without, *self._unchanged(query))
        options = replace(options, method=options.method or PLAIN, without=without, focused=False)
        view = LibraryView(self._store, self._asker, options)
        made = _composed(query, options, view)
        spent = (time.perf_counter() - began) * 1e3
        results = self._asker.ask_probes(query, made.probes, options, made.names, made.again)
        return replace(
            results,
            told=made.told,
            timings={"compose": round(spent, 3), **results.timings},
        )

    def _unchanged(self, query: Query) -> Iterator[int]:
        """Ids of whole pictures of the library that a change starts from."""
        for part in query.references if query.change else ():
            if part.box is None and part.kind == "item":
                yield int(part.value)
            elif part.box is None and part.picture is None and not part.is_url:
                number = self._store.at(os.path.abspath(part.file))
                if number is not None:
                    yield number

    def ask_many(self, asked: Sequence[tuple[Query, Options]]) -> list[Results | Exception]:
        """Of each question its answer, or the error that :meth:`ask` would raise.

        Plain questions share one look at the vectors; composed ones are answered one by one.
        """
        plain = [not is_composed(query, options.method) for query, options in asked]
        together = iter(
            self._asker.ask_many([one for one, alone in zip(asked, plain, strict=True) if alone])
        )
        return [
            next(together) if alone else _tried(self.ask, *one)
            for one, alone in zip(asked, plain, strict=True)
        ]


def composes(query: Query, method: str | None) -> bool:
    """Whether a question is for a composer: it has a change, or names one and shows a picture.

    Raises:
        UsageError: it has a change, and names a method that composes nothing.
    """
    named = None if method is None else find_method(method.partition(":")[0])
    if named is not None and named.composer is not None:
        return bool(query.references)
    if query.change and named is not None:
        able = ", ".join(card.name for card in list_methods() if card.task == "composed")
        raise UsageError(
            f"`method` is {method}, which answers no change in words. Those that do: {able}."
        )
    return bool(query.change)


def is_composed(query: Query, method: str | None) -> bool:
    """As :func:`composes`; true as well for a question that will be refused."""
    try:
        return composes(query, method)
    except UsageError:
        return True


def _composed(query: Query, options: Options, view: LibraryView) -> Composed:
    """The composer's probes, and one for every part beside the references.

    Parts that push away, and words beside the change, are standardised and weighed like those of
    any question; the composer's probes then weigh together what the heaviest reference weighs.
    """
    name, _, told = (options.method or "").partition(":")
    make = find_method(name).composer
    assert make is not None, name
    # braces mark the places of pseudo-words
    change = Change(query.references, query.change.replace(PLACEHOLDER, " "))
    composed = make(told, options.helpers).compose([change], view)[0]
    names = composed.names or (str(query),) * len(composed.probes)
    others = [part for part in query.parts if part not in query.references]
    if not others:
        return replace(composed, names=names)
    if composed.again is not None:
        raise UsageError(
            f"`method` is {name}, which puts the best pictures in order anew and cannot weigh "
            f"other parts. Received: {', '.join(map(str, others))} beside the change. Leave them "
            "out, or ask with another --method."
        )
    total = sum(abs(probe.weight) for probe in composed.probes)
    share = max(part.weight for part in query.references) / total
    probes = [
        # beside other parts a branch counts as they do: by its standard score
        replace(probe, weight=probe.weight * share, curve="linear")
        for probe in view.standard(composed.probes)
    ]
    for part in others:
        (plain,) = view.standard(view.probes(Query((replace(part, weight=1.0),))))
        probes.append(replace(plain, weight=part.weight))
    return Composed(tuple(probes), (*names, *map(str, others)), composed.told)


def _tried(ask: Callable[[Query, Options], Results], *one: Any) -> Results | Exception:
    try:
        return ask(*one)
    except Exception as error:
        return error
