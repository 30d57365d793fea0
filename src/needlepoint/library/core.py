"""Library: open, index, search. The only place that wires the rooms together."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from needlepoint.encoders.address import known_models, parse
from needlepoint.errors import UsageError
from needlepoint.intake.watch import watch
from needlepoint.library.asking import Asker, Options
from needlepoint.library.browse import Shelf
from needlepoint.library.care import Care
from needlepoint.library.changing import Changer
from needlepoint.library.conversation import Conversation
from needlepoint.library.guests import Pictures, admit
from needlepoint.library.indexing import Indexer, IndexReport, Progress
from needlepoint.library.plans import plan_describer, plan_spaces, remember
from needlepoint.library.roster import BUILTIN, Roster
from needlepoint.methods.dialogue import Helpers
from needlepoint.picture import Box
from needlepoint.query import Part, Query
from needlepoint.regions.heat import Heat
from needlepoint.results import Results
from needlepoint.store.fence import FencedStore
from needlepoint.store.sqlite import SqliteStore

Source = str | os.PathLike[str]
Mode = Literal["auto", "exact", "compressed"]


def default_library_path() -> Path:
    """Where the library lies when none is named: ``NEEDLEPOINT_LIBRARY``, else the user's data."""
    named = os.environ.get("NEEDLEPOINT_LIBRARY")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("needlepoint", appauthor=False) / "library"


class Library(Care):
    """Pictures that can be asked.

    Example:
        >>> from needlepoint import Library
        >>> with Library.open("holiday.library", create=True) as library:  # doctest: +SKIP
        ...     library.index(["~/Pictures"])
        ...     library.search("a red bicycle", k=5).show()
    """

    def __init__(self, store: SqliteStore, roster: Roster | None = None) -> None:
        self._store = store
        self._roster = roster or Roster(store)
        self._asker = Asker(store, self._roster, _words_model)
        self._changer = Changer(store, self._asker)
        self.shelf = Shelf(store, self._roster)
        self.path = Path(store.folder)

    @classmethod
    def open(
        cls, path: Source | None = None, *, create: bool = False, read_only: bool = False
    ) -> Library:
        """Open the library in a folder.

        Args:
            path: the folder; None for :func:`default_library_path`.
            create: make it when it is not there.
            read_only: never write, not even a cache.

        Raises:
            LibraryMissing: nothing there and ``create`` is not set.
            LibraryIncompatible: made by a newer needlepoint.
            LibraryError: damaged or not readable.
        """
        folder = default_library_path() if path is None else Path(path).expanduser()
        return cls(SqliteStore.open(folder, create=create, read_only=read_only))

    def close(self) -> None:
        """Close the files."""
        self.shelf.close()
        self._store.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- indexing

    def index(
        self,
        sources: Sequence[Source] | Source,
        *,
        model: str | None = None,
        method: str | None = None,
        regions: str | None = None,
        detail: str | None = None,
        keep_map: bool = False,
        dry_run: bool = False,
        progress: Callable[[Progress], None] | None = None,
        warn: Callable[[str], None] | None = None,
        workers: int | None = None,
    ) -> IndexReport:
        """Make the pictures below some folders searchable; only what changed is read.

        Args:
            sources: folders or single pictures.
            model: encoder address; None for the one used last, at first ``builtin``.
            method: what is kept of a picture, ``NAME`` or ``NAME:option=value,…`` of
                ``needlepoint methods``, instead of ``regions`` and ``detail``; recorded in the
                library beside what it has. None of these: as last time with this model.
            regions: ``none``, ``dense``, ``dense:R`` or ``windows:N``; recorded in the library.
            detail: ``1x`` or ``2x`` input size of the dense pass; recorded in the library.
            keep_map: keep the compressed map of every picture (about 36 KB), so that heat maps
                need no picture file; recorded in the library.
            dry_run: only tell what would be done.
            progress: called after every acknowledged batch.
            warn: called with one sentence for each picture that cannot be read.
            workers: threads; None for one a core.

        Returns:
            What was done. Interrupting keeps every batch that ``progress`` has told of.

        Raises:
            LibraryBusy: another process is indexing into this library.
            LibraryIncompatible: the library was indexed with this encoder and another region
                policy, or with another version of the encoder.
            ModelUnavailable: the encoder's files or packages are not on this machine.
            UsageError: a source does not exist, or an option cannot be understood.
        """
        given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
        given = [os.path.expanduser(os.fspath(source)) for source in given]
        for source in given:
            if not os.path.exists(source) and not self._is_known_root(str(source)):
                raise UsageError(f"`sources` names {source!r}, which does not exist.")
        address = str(parse(model)) if model else self._store.get_meta("use.index") or BUILTIN
        encoder = self._roster.open(address)
        describer = plan_describer(
            self._store,
            encoder,
            address,
            method=method,
            regions=regions,
            detail=detail,
            keep_map=keep_map,
        )
        spaces = plan_spaces(self._store, encoder, address, describer.recipe, dry_run=dry_run)
        if not dry_run:
            remember(self._store, address, describer.recipe)
        report = Indexer(
            self._store,
            encoder,
            describer,
            spaces,
            progress=progress or (lambda _: None),
            warn=warn or (lambda _: None),
            workers=workers or os.cpu_count() or 1,
            dry_run=dry_run,
        ).run(given)
        if not dry_run:
            self._write_manifest()
        return report

    def watch(
        self,
        sources: Sequence[Source],
        *,
        stop: threading.Event | None = None,
        progress: Callable[[Progress], None] | None = None,
        warn: Callable[[str], None] | None = None,
        report: Callable[[IndexReport], None] | None = None,
    ) -> None:
        """Index, then follow the folders and index what changes until ``stop`` is set."""
        told = report or (lambda _: None)
        told(self.index(sources, progress=progress, warn=warn))
        for _ in watch([os.path.expanduser(s) for s in sources], stop=stop or threading.Event()):
            told(self.index(sources, progress=progress, warn=warn))

    def _is_known_root(self, source: str) -> bool:
        path = os.path.abspath(source)
        return any(path == root for root, _ in self._store.roots().values())

    # -- asking

    def search(
        self,
        query: Any,
        *,
        k: int = 20,
        where: str | None = None,
        min_score: float | Literal["auto"] | None = None,
        model: str | None = None,
        method: str | None = None,
        places: bool = True,
        mode: Mode = "auto",
        corpus: Sequence[str] | None = None,
        change: str = "",
        helpers: Helpers | None = None,
    ) -> Results:
        """Find pictures by a question, and the place in each that answers.

        Args:
            query: text in the question language, a ``Query``, a path, a Pillow image or an array.
            k: how many; never changes which come first.
            where: filter over facts, applied before the search.
            min_score: leave out lower scores; ``auto`` for the calibrated cut-off.
            model: ask only this indexed encoder.
            method: ask as this method does, ``NAME`` or ``NAME:option=value,…`` (see
                ``needlepoint methods``); None for the one the vectors were made by.
            places: False compares whole pictures only.
            mode: ``auto``, ``exact`` or ``compressed``.
            corpus: texts that tell a method which words are common; None for the keywords of
                the library's pictures.
            change: what is to be different in the pictures of the question, in words.
            helpers: outside models that a method may use.

        Raises:
            UsageError: the question, filter or an option cannot be understood.
            LibraryIncompatible: the library needs indexing for this model or method.
            ModelUnavailable: the method needs weights or an outside model that is not there.
            PictureError: a picture to ask with cannot be read.
        """
        texts = None if corpus is None else tuple(corpus)
        options = Options(k, where, min_score, _canonical(model), method, places, mode, texts)
        if helpers is not None:
            options = replace(options, helpers=helpers)
        return self._changer.ask(Query.coerce(query).changed(change), options)

    def search_many(
        self, queries: Sequence[Any], options: Sequence[Options] | Options | None = None
    ) -> list[Results | Exception]:
        """Answer several questions together, in less time than one after the other.

        Args:
            queries: questions as :meth:`search` takes them.
            options: one for all, or one for each.

        Returns:
            Of each question its answer, or the error that :meth:`search` would raise. Answers are
            those of asking one by one, but for the last digits of a score where an encoder's own
            arithmetic depends on how many texts it reads at once; the built-in one's does not.

        Raises:
            UsageError: as many options as questions are needed, and there are not.

        Example:
            >>> red, blue = library.search_many(["red cup", "blue cup"])  # doctest: +SKIP
        """
        given = options or Options()
        each = [given] * len(queries) if isinstance(given, Options) else list(given)
        if len(each) != len(queries):
            raise UsageError(
                f"`options` has {len(each)} entries for {len(queries)} queries. Give one for all "
                "or one for each."
            )
        return self._changer.ask_many(
            [
                (Query.coerce(query), replace(one, model=_canonical(one.model)))
                for query, one in zip(queries, each, strict=True)
            ]
        )

    def similar(
        self,
        number: int,
        *,
        box: Box | None = None,
        k: int = 20,
        where: str | None = None,
        min_score: float | Literal["auto"] | None = None,
        model: str | None = None,
        method: str | None = None,
        change: str = "",
    ) -> Results:
        """Pictures like one of the library (or like a piece of it), without the picture itself.

        The options are those of :meth:`search`.
        """
        query = Query((Part("item", str(number), box=box),), f"@{number}")
        options = Options(k, where, min_score, _canonical(model), method, without=(number,))
        return self._changer.ask(query.changed(change), options)

    def converse(
        self,
        *,
        method: str = "feedback",
        helpers: Helpers | None = None,
        k: int = 20,
        where: str | None = None,
        model: str | None = None,
    ) -> Conversation:
        """Begin a conversation: search that is refined turn by turn, with words and marks.

        Args:
            method: an interactive method, ``NAME`` or ``NAME:option=value,…``.
            helpers: outside models that the method may use.
            k: hits in each answer.
            where: filter over facts, for all turns.
            model: ask only this indexed encoder.

        Raises:
            UsageError: no such method, or one that does not converse.
            ModelUnavailable: the method needs an outside model that is not configured.
        """
        options = Options(k, where, None, _canonical(model))
        return Conversation(self._store, self._asker, method, helpers or Helpers(), options)

    def heat(self, number: int, query: Any, *, model: str | None = None) -> Heat:
        """Where in one picture the answer to a question lies: every window, not only the kept ones.

        Reads the compressed map where the library keeps it, else decodes the picture again.

        Args:
            number: id of the picture.
            query: a question with one part: words, a picture, a piece or an item.
            model: encoder; None for the one that answers pictures.

        Raises:
            UsageError: no such item, or the question has several parts.
            PictureError: the picture has to be read and cannot be.
        """
        return self._asker.heat(number, Query.coerce(query), _canonical(model))

    def within(self, folders: Sequence[Source]) -> Library:
        """This library as if it held nothing but the pictures below some folders.

        It reads through this one, which must stay open and is the one to close.

        Args:
            folders: folders (or single pictures); those that hold nothing of the library add
                nothing.
        """
        fenced = FencedStore(self._store, [os.path.expanduser(one) for one in folders])
        return Library(fenced, self._roster.beside(fenced))

    def at(self, path: Source) -> int | None:
        """The id of the picture at a path, also one reached by a link; None if there is none."""
        given = os.path.expanduser(os.fspath(path))
        number = self._store.at(os.path.abspath(given))
        return self._store.at(os.path.realpath(given)) if number is None else number

    def admit(self, query: Query, pictures: Pictures) -> Query:
        """A question of somebody who may not know this machine's files; see ``guests.admit``.

        Raises:
            UsageError: it names a picture that may not be asked with.
            PictureError: a picture to ask with cannot be read.
        """
        return admit(query, self._store, self.shelf, pictures)

    def picture(self, number: int) -> dict[str, Any]:
        """Path, facts and state of one library item.

        Raises:
            NoSuchItem: no such item.
        """
        path = self._asker.preparer.path_of(number)
        file, facts = self._store.facts([number])[number]
        return {
            "id": number,
            "path": path,
            "size": file.size,
            "width": facts.width,
            "height": facts.height,
            "format": facts.format,
            "taken": facts.taken,
            "camera": facts.camera,
            "lens": facts.lens,
            "lat": facts.lat,
            "lon": facts.lon,
            "keywords": list(facts.keywords),
            "rating": facts.rating,
            "state": self._store.states([number])[number],
        }

    def _write_manifest(self) -> None:
        """``manifest.json``: what made this library, for people and scripts; never read back."""
        manifest = {
            **self.info(),
            "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        temporary = self.path / "manifest.json.part"
        temporary.write_text(json.dumps(manifest, indent=1, default=str) + "\n", "utf-8")
        os.replace(temporary, self.path / "manifest.json")


def _canonical(model: str | None) -> str | None:
    return None if model is None else str(parse(model))


def _words_model() -> str:
    """The address that `needlepoint models` recommends for words."""
    return next(str(m["address"]) for m in known_models() if "words" in m["recommended_for"])
