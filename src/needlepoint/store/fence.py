"""A library as seen from inside some folders: pictures elsewhere are not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from needlepoint.picture import Facts
from needlepoint.store.base import FileRecord, Ids, Question, StoreHits, VectorRow
from needlepoint.store.sqlite import SqliteStore


class FencedStore(SqliteStore):
    """The same store, read only, of which nothing outside the folders can be found or told.

    It shares the connection and the caches of the store it is made of, which must stay open.
    What is inside is settled when it is first asked. Paths are compared byte by byte, once as
    they are written and once with links resolved.
    """

    _fences: tuple[list[tuple[int, bytes]], ...]

    def __init__(self, store: SqliteStore, folders: Sequence[str | os.PathLike[str]]) -> None:
        self.__dict__.update(store.__dict__)
        for settled in ("inside", "_inside"):  # by a fence round this one
            self.__dict__.pop(settled, None)
        self.writable = False
        outer = store._fences if isinstance(store, FencedStore) else ()
        self._fences = (*outer, _areas(super().roots(), folders))

    @cached_property
    def inside(self) -> Ids:
        """Ids int64, ascending, of the pictures inside that are not gone."""
        condition, values = self._condition()
        return super().query_facts(condition, values)

    @cached_property
    def _inside(self) -> frozenset[int]:
        return frozenset(self.inside.tolist())

    def _condition(self) -> tuple[str, list[Any]]:
        values: list[Any] = []
        fences = []
        for areas in self._fences:
            terms: list[str] = []
            for root, raw in areas:
                if not raw:
                    terms.append("+root = ?")  # read in order of id; an index would not help
                    values.append(root)
                else:
                    terms.append("(root = ? AND raw = ?)")
                    # "0" comes after "/": all that begins with the folder and a slash
                    terms.append("(root = ? AND raw >= ? AND raw < ?)")
                    values += [root, raw, root, raw + b"/", raw + b"0"]
            fences.append(f"({' OR '.join(terms) or '0'})")
        return " AND ".join(fences), values

    def _visible(self) -> tuple[str, list[Any]]:
        condition, values = self._condition()
        return f"NOT gone AND ({condition})", values

    def _only(self, ids: Iterable[int]) -> list[int]:
        return [number for number in map(int, ids) if number in self._inside]

    # -- what is told

    def roots(self) -> dict[int, tuple[str, bool]]:
        """The roots that reach inside."""
        reached = [{root for root, _ in areas} for areas in self._fences]
        return {
            number: told
            for number, told in super().roots().items()
            if all(number in some for some in reached)
        }

    def facts(self, ids: Iterable[int]) -> dict[int, tuple[FileRecord, Facts]]:
        """As ever, of pictures inside."""
        return super().facts(self._only(ids))

    def states(self, ids: Iterable[int]) -> dict[int, str]:
        """As ever, of pictures inside."""
        return super().states(self._only(ids))

    def query_facts(self, where: str, parameters: Sequence[Any]) -> Ids:
        """As ever, of pictures inside."""
        return np.intersect1d(super().query_facts(where, parameters), self.inside)

    def at(self, path: str) -> int | None:
        """As ever, of pictures inside."""
        number = super().at(path)
        return number if number is not None and self._only([number]) else None

    def keywords(self) -> list[tuple[str, ...]]:
        """As ever, of pictures inside."""
        every = (facts.keywords for _, _, facts in self.scan())
        return [words for words in every if words]

    def scan(self) -> Iterator[tuple[int, FileRecord, Facts]]:
        """As ever, of pictures inside."""
        return (row for row in super().scan() if row[0] in self._inside)

    def fetch_vectors(self, ids: Sequence[int], space: int) -> dict[int, VectorRow]:
        """As ever, of pictures inside."""
        return super().fetch_vectors(self._only(ids), space)

    def described(self, space: int) -> Ids:
        """As ever, of pictures inside."""
        return np.intersect1d(super().described(space), self.inside)

    def get_blob(self, picture: int, kind: str) -> bytes | None:
        """As ever, of pictures inside."""
        return super().get_blob(picture, kind) if self._only([picture]) else None

    def search_many(self, questions: Sequence[Question]) -> list[StoreHits]:
        """As ever, of pictures inside."""
        inside = [
            self.inside if one.within is None else np.intersect1d(one.within, self.inside)
            for one in questions
        ]
        return super().search_many(
            [replace(one, within=ids) for one, ids in zip(questions, inside, strict=True)]
        )

    def skipped(self) -> list[dict[str, Any]]:
        """Nothing: files that could not be read are for who indexes."""
        return []

    def unfinished_job(self, kind: str) -> dict[str, Any] | None:
        """Nothing: jobs are for who indexes."""
        return None

    def stats(self) -> dict[str, Any]:
        """``pictures`` and, of each of the ``spaces``, what tells nothing of pictures outside."""
        told = ("id", "name", "encoder", "recipe", "codec", "dim")
        spaces = [{name: space[name] for name in told} for space in super().stats()["spaces"]]
        return {"pictures": len(self.inside), "skipped": 0, "spaces": spaces}


def _areas(
    roots: dict[int, tuple[str, bool]], folders: Sequence[str | os.PathLike[str]]
) -> list[tuple[int, bytes]]:
    """Each root with the path below it that lies inside; an empty path is the whole root."""
    areas: set[tuple[int, bytes]] = set()
    for folder in [os.fspath(folder) for folder in folders]:
        for root, (path, _) in roots.items():
            for outer, inner in (
                (os.path.abspath(folder), path),
                (os.path.realpath(folder), os.path.realpath(path)),
            ):
                if _lies_in(inner, outer):
                    areas.add((root, b""))
                elif _lies_in(outer, inner):
                    below = os.path.relpath(outer, inner).replace(os.sep, "/")
                    areas.add((root, os.fsencode(below)))
    return sorted(areas)


def _lies_in(path: str, folder: str) -> bool:
    return (path + os.sep).startswith(folder.rstrip(os.sep) + os.sep)
