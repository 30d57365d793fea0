"""Runs composed lines on protocols with one encoder; what is done already is not done again."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint import __version__
from needlepoint.bench.array_view import ArrayView
from needlepoint.bench.cache import LIMIT_MB, remembering
from needlepoint.bench.composed import (
    CONTROLS,
    ComposedLine,
    Pieces,
    changes_of,
    ranked,
    read_composed_line,
    scores_of,
)
from needlepoint.bench.composed_data import facts_of
from needlepoint.bench.composed_results import (
    Answered,
    ComposedRun,
    load_composed,
    save_composed,
)
from needlepoint.bench.counting import counted
from needlepoint.bench.gallery import (
    Described,
    describe_gallery,
    load_described,
    one_thread,
    save_described,
)
from needlepoint.bench.metrics import composed_values
from needlepoint.bench.protocol import Protocol, Question
from needlepoint.bench.provenance import data_digest, machine
from needlepoint.bench.results import Skipped, run_path
from needlepoint.errors import NeedlepointError, UsageError
from needlepoint.methods.card import describer_of
from needlepoint.methods.composing import Composer
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.inverted import forget as forget_inverted
from needlepoint.methods.known_texts import forget
from needlepoint.parts import Encoder
from needlepoint.search.fusion import Fusion

Order = npt.NDArray[np.int32]

TOP = 50
"""Places of a ranking that are kept."""

_BATCH = 64  # questions composed in one call
_TIMED = 8  # questions composed one by one to measure time, after one that warms up
_LONG = 20.0  # seconds after which fewer will do


@dataclass(frozen=True, slots=True)
class ComposedSettings:
    """``limit``: at most so many questions, drawn with ``seed``; ``weights``: trained parts."""

    limit: int | None = None
    seed: int = 0
    weights: Path | None = None


class ComposedBench:
    """One encoder, a folder of results and, unless ``cache`` is None, one of features."""

    def __init__(
        self,
        encoder: Encoder,
        out: Path,
        *,
        cache: Path | None = None,
        cache_mb: int = LIMIT_MB,
        settings: ComposedSettings | None = None,
        helpers: Helpers | None = None,
        force: bool = False,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._plain = encoder
        self._encoder = encoder
        if cache is not None:
            self._encoder = remembering(encoder, cache, limit_mb=cache_mb)
        self._out, self._force, self._report, self._cache = out, force, report, cache
        self._settings = settings or ComposedSettings()
        self._helpers = helpers or Helpers()
        self._machine = machine(encoder)

    def run(
        self,
        protocols: Sequence[Protocol],
        lines: Sequence[str],
        finished: Callable[[ComposedRun | Skipped], None] = lambda one: None,
    ) -> list[ComposedRun | Skipped]:
        """Every line on every protocol; ``finished`` is told of each as it is done.

        Raises:
            UsageError: a file of the data cannot be read.
        """
        done: list[ComposedRun | Skipped] = []
        for protocol in protocols:
            work = _Work(self._limited(protocol), self._described)
            for text in lines:
                one = self._line(work, text)
                finished(one)
                done.append(one)
        return done

    def _line(self, work: _Work, text: str) -> ComposedRun | Skipped:
        protocol = work.protocol
        try:
            line = read_composed_line(text, self._settings.weights)
            key = self._key(line, work)
            path = run_path(self._out, key)
            if path.is_file() and not self._force:
                return load_composed(path)
            made = self._answered(line, key, work)
        except Exception as error:
            known = isinstance(error, NeedlepointError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            address = self._plain.card.address
            return Skipped(address, protocol.name, protocol.split, text, reason, not known)
        save_composed(made, self._out)
        return made

    def _answered(self, line: ComposedLine, key: dict[str, Any], work: _Work) -> ComposedRun:
        if lacking := set(line.spec.found().card.needs) - set(self._plain.card.abilities):
            raise UsageError(f"{self._plain.card.address} lacks {', '.join(sorted(lacking))}")
        protocol, fusion = work.protocol, line.fusion(self._plain.card)
        composer = line.composer(self._helpers)
        cost = self._cost(
            line, work, fusion
        )  # first: what a method keeps of texts is not there yet
        view = work.view(self._encoder, line.spec.recipe, fusion)
        orders = self._orders(composer, work, view, line.text)
        solved = self._solved(work, view, line.spec.recipe, fusion)
        answers = tuple(
            self._told(work, question, order, scores, question.id in solved)
            for question, (order, scores) in zip(protocol.questions, orders, strict=True)
        )
        values = composed_values(protocol, _Rankings(work.ids, [order for order, _ in orders]))
        official = {
            name: [None if math.isnan(one) else one for one in column.tolist()]
            for name, column in values.items()
        }
        gallery = tuple(item.file for item in protocol.gallery)
        return ComposedRun(key, self._machine, cost, answers, official, gallery, _facts(work))

    def _orders(
        self, composer: Composer, work: _Work, view: ArrayView, name: str = ""
    ) -> list[tuple[Order, list[float]]]:
        """Each question's ranking, and the scores of its first places."""
        found = []
        questions, last = work.protocol.questions, time.monotonic()
        for start in range(0, len(questions), _BATCH):
            some = questions[start : start + _BATCH]
            wordings = [work.changes(question) for question in some]
            flat = [change for changes in wordings for change in changes]
            with one_thread():
                composed = iter(composer.compose(flat, view))
                for question, changes in zip(some, wordings, strict=True):
                    scores = scores_of([next(composed) for _ in changes], view)
                    order = ranked(scores, question, work.index)
                    found.append((order, scores[order[:TOP]].tolist()))
            if time.monotonic() - last > 20:
                last = time.monotonic()
                self._report(f"  {name}: {len(found)} of {len(questions)} questions")
        return found

    def _solved(self, work: _Work, view: ArrayView, recipe: str, fusion: Fusion) -> frozenset[str]:
        """The questions of which the picture or the words alone put an answer first."""
        where = recipe, fusion
        if where not in work.solved:
            found: set[str] = set()
            for make in CONTROLS.values():
                orders = self._orders(make(), work, view)
                for question, (order, _) in zip(work.protocol.questions, orders, strict=True):
                    counted = (work.ids[i] for i in order.tolist())
                    first = next((one for one in counted if one not in question.near), "")
                    if first in question.relevant:
                        found.add(question.id)
            work.solved[where] = frozenset(found)
        return work.solved[where]

    def _told(
        self, work: _Work, question: Question, order: Order, scores: list[float], alone: bool
    ) -> Answered:
        near = [work.index[one] for one in question.near]
        counted = order[~np.isin(order, near)]
        right = [work.index[one] for one in question.relevant]
        hits = np.flatnonzero(np.isin(counted, right))
        known = work.facts.firsts.get(question.id, {})
        return Answered(
            question.id,
            question.group or question.id,
            tuple((hits + 1).tolist()),
            tuple(counted[hits].tolist()),
            tuple(zip(order[:TOP].tolist(), scores, strict=True)),
            alone,
            work.facts.kinds.get(question.id, {}),
            known.get(work.ids[order[0]], "") if len(order) else "",
        )

    def _cost(self, line: ComposedLine, work: _Work, fusion: Fusion) -> dict[str, float]:
        """Encoder passes and milliseconds of single questions, with nothing remembered.

        What only the first question costs (a vocabulary read once) is told apart.
        """
        forget()  # of lines before this one
        forget_inverted()
        counting, passes = counted(self._plain)
        view = work.view(counting, line.spec.recipe, fusion)
        composer = line.composer(self._helpers)
        rows: list[tuple[float, float, int, int]] = []
        for question in work.protocol.questions[: _TIMED + 1]:
            if len(rows) > 1 and sum(row[0] for row in rows) > _LONG * 1e3:
                break
            changes = work.changes(question)[:1]
            before = passes.texts, passes.pictures
            with one_thread():
                started = time.perf_counter()
                composed = composer.compose(changes, view)
                between = time.perf_counter()
                ranked(scores_of(composed, view), question, work.index)
                ended = time.perf_counter()
            rows.append(
                (
                    (between - started) * 1e3,
                    (ended - between) * 1e3,
                    passes.texts - before[0],
                    passes.pictures - before[1],
                )
            )
        first, usual = rows[0], rows[1:] or rows
        compose, score, texts, pictures = zip(*usual, strict=True)
        cost = {
            "text_passes": sum(texts) / len(usual),
            "image_passes": sum(pictures) / len(usual),
            "compose_ms": statistics.median(compose),
            "score_ms": statistics.median(score),
            "first_compose_ms": first[0],
            "first_text_passes": float(first[2]),
        }
        if line.weights is not None:
            told = json.loads((line.weights / "training.json").read_text(encoding="utf-8"))
            spent = told["minutes"] if "minutes" in told else told["seconds"] / 60
            cost["train_minutes"] = float(spent)
        return cost

    def _described(self, work: _Work, recipe: str) -> Described:
        """The gallery as vectors, which are kept: every line searches the same."""
        facts = f"{self._plain.card.fingerprint()} {recipe} {work.digest} {__version__}"
        gallery = hashlib.sha256(repr(work.protocol.gallery).encode()).hexdigest()
        name = hashlib.sha256(f"{facts} {gallery}".encode()).hexdigest()[:20]
        path = None if self._cache is None else self._cache / "galleries" / f"{name}.npz"
        described = None if path is None else load_described(path)
        if described is None:
            files = work.album.files
            self._report(f"describing {len(files)} pictures with {recipe}")
            described = describe_gallery(self._encoder, describer_of(recipe), files, work.album)
            if path is not None:
                save_described(described, path)
        return described

    def _key(self, line: ComposedLine, work: _Work) -> dict[str, Any]:
        """Everything a figure hangs on, but the machine."""
        protocol, settings = work.protocol, self._settings
        return {
            "encoder": self._plain.card.address,
            "fingerprint": self._plain.card.fingerprint(),
            "protocol": protocol.name,
            "split": protocol.split,
            "revision": protocol.revision(),
            "data": work.digest,
            "method": line.text,
            "pool": line.pool,
            "train_seed": line.seed,
            "weights": "" if line.weights is None else _digest(line.weights),
            "recipe": line.spec.recipe,
            "fusion": line.fusion(self._plain.card).kind,
            "limit": settings.limit,
            "seed": settings.seed,
            "version": __version__,
        }

    def _limited(self, protocol: Protocol) -> Protocol:
        limit = self._settings.limit
        if limit is None or limit >= len(protocol.questions):
            return protocol
        draw = np.random.default_rng(self._settings.seed)
        chosen = sorted(draw.permutation(len(protocol.questions))[:limit].tolist())
        return replace(protocol, questions=tuple(protocol.questions[i] for i in chosen))


class _Work:
    """What all lines of one protocol share: the pictures, their vectors and what is known."""

    def __init__(self, protocol: Protocol, describe: Callable[[_Work, str], Described]) -> None:
        self.protocol = protocol
        self.album = Pieces(protocol)
        self.digest = data_digest(protocol)
        self.ids = [item.id for item in protocol.gallery]
        self.index = {name: place for place, name in enumerate(self.ids)}
        self.facts = facts_of(protocol)
        self.solved: dict[tuple[str, Fusion], frozenset[str]] = {}
        self._held: dict[tuple[str, object], int] = {
            (item.file, item.box): place for place, item in enumerate(protocol.gallery)
        }
        self._describe = describe
        self._described: dict[str, Described] = {}

    def changes(self, question: Question) -> list[Any]:
        """The wordings of a question."""
        return changes_of(question, self._held, self.album, Path(self.protocol.folder))

    def view(self, encoder: Encoder, recipe: str, fusion: Fusion) -> ArrayView:
        """The gallery as a composer sees it, described once for each recipe."""
        if recipe not in self._described:
            self._described[recipe] = self._describe(self, recipe)
        described = self._described[recipe]
        files, captions = self.album.files, self.facts.captions
        return ArrayView(
            encoder,
            described,
            files,
            self.album,
            fusion=fusion,
            captions=captions,
            focused=False,  # the ground is part of what is to be changed
        )


def _facts(work: _Work) -> dict[str, Any]:
    """What is needed to show a question; ``near`` are places in the gallery."""
    protocol = work.protocol
    return {
        "folder": protocol.folder,
        "licence": protocol.licence,
        "notes": list(protocol.notes),
        "questions": [
            {
                "file": one.file,
                "box": one.box,
                "changes": list(one.changes),
                "near": sorted(work.index[name] for name in one.near),
            }
            for one in protocol.questions
        ],
    }


class _Rankings(Sequence[list[str]]):
    """Orders as rankings of ids, one made at a time: those of a large gallery fill the memory."""

    def __init__(self, ids: Sequence[str], orders: Sequence[Order]) -> None:
        self._ids, self._orders = ids, orders

    def __len__(self) -> int:
        return len(self._orders)

    def __getitem__(self, number: Any) -> Any:
        return [self._ids[place] for place in self._orders[number].tolist()]


def _digest(folder: Path) -> str:
    """Hash (12 hex digits) of the trained parts in a folder."""
    seen = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.glob("*.safetensors")):
        seen.update(path.name.encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()
