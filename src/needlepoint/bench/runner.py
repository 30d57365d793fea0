"""Runs methods on protocols with one encoder; what is done already is not done again."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint import __version__
from needlepoint.bench.cache import LIMIT_MB, remembering
from needlepoint.bench.gallery import (
    Album,
    Described,
    Pace,
    describe_gallery,
    one_thread,
    pace,
)
from needlepoint.bench.protocol import Protocol, Question
from needlepoint.bench.provenance import data_digest, machine
from needlepoint.bench.results import Run, Skipped, load_run, run_path, save_run
from needlepoint.bench.scoring import answer
from needlepoint.bench.spec import Spec, read_spec
from needlepoint.errors import NeedlepointError, UsageError
from needlepoint.methods.card import Asked, describer_of
from needlepoint.parts import Encoder, Floats, SpaceCard, TextEncoder
from needlepoint.regions.question import QUESTION_SIDE, picture_vector
from needlepoint.search.fusion import Fusion

HUB = 10
"""Neighbours of the CSLS rows, as in LARE's released code."""

_TIMED_QUESTIONS = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """How protocols are run.

    ``limit``: at most so many questions, drawn with ``seed``. ``timed``: pictures described to
    measure time, 0 for none. ``corpus``: texts that tell which words are common. ``pictures``: at
    most so many pictures, drawn with ``seed``, and the questions that still have an answer: an
    easier protocol under another revision.
    """

    limit: int | None = None
    seed: int = 0
    timed: int = 3
    corpus: tuple[str, ...] = ()
    pictures: int | None = None


Report = Callable[[str], None]
Finished = Callable[[Run | Skipped], None]


class Bench:
    """One encoder, a folder of results and, unless ``cache`` is None, one of features."""

    def __init__(
        self,
        encoder: Encoder,
        out: Path,
        *,
        cache: Path | None = None,
        cache_mb: int = LIMIT_MB,
        settings: Settings | None = None,
        force: bool = False,
        report: Report = lambda text: None,
    ) -> None:
        self._plain = encoder
        self._encoder = encoder
        if cache is not None:
            self._encoder = remembering(encoder, cache, limit_mb=cache_mb)
        self._out = out
        self._settings = settings or Settings()
        self._force = force
        self._report = report
        self._album = Album()
        self._asked: dict[tuple[str, ...], Asked] = {}
        self._machine = machine(encoder)

    def run(
        self,
        protocols: Sequence[Protocol],
        methods: Callable[[Protocol], Sequence[str]],
        finished: Finished = lambda one: None,
    ) -> list[Run | Skipped]:
        """Every method line that ``methods`` names for a protocol.

        Pictures are described once for all lines and protocols that share them. ``finished`` is
        told of each line as it is done.

        Returns:
            One for each line of each protocol, in this order.

        Raises:
            UsageError: a file of the data cannot be read.
        """
        done: list[Run | Skipped] = []
        for group in _by_gallery(protocols):
            places: list[tuple[int, Run | Skipped]] = []

            def told(place: int, one: Run | Skipped, places: list[Any] = places) -> None:
                places.append((place, one))
                finished(one)

            self._run_gallery([self._limited(one) for one in group], methods, told)
            done += [one for _, one in sorted(places, key=lambda pair: pair[0])]
        return done

    def _run_gallery(
        self,
        protocols: list[Protocol],
        methods: Callable[[Protocol], Sequence[str]],
        told: Callable[[int, Run | Skipped], None],
    ) -> None:
        """Protocols that share their pictures, recipe by recipe; a place is that of a line."""
        data = {one.name: data_digest(one) for one in protocols}
        waiting: dict[str, list[tuple[int, Spec, Protocol, dict[str, Any]]]] = {}
        lines = [(protocol, text) for protocol in protocols for text in methods(protocol)]
        for place, (protocol, text) in enumerate(lines):
            try:
                spec = self._readable(text, protocol)
                key = self._key(spec, protocol, data[protocol.name])
            except Exception as error:
                told(place, self._fault(protocol, text, error))
                continue
            path = run_path(self._out, key)
            if path.is_file() and not self._force:
                told(place, load_run(path))
            else:
                waiting.setdefault(spec.recipe, []).append((place, spec, protocol, key))
        for recipe, some in waiting.items():
            self._report(f"{some[0][2].name}: {recipe}")
            try:
                described, speed = self._describe(recipe, protocols[0])
            except Exception as error:
                for place, spec, protocol, _ in some:
                    told(place, self._fault(protocol, spec.text, error))
                continue
            for place, spec, protocol, key in some:
                try:
                    run = self._one(spec, protocol, key, described, speed)
                except Exception as error:
                    told(place, self._fault(protocol, spec.text, error))
                    continue
                save_run(run, self._out)
                told(place, run)

    def _readable(self, text: str, protocol: Protocol) -> Spec:
        """The line, if this encoder can run it on this protocol.

        Raises:
            UsageError: the reason why not.
        """
        card, kind = self._plain.card, _kind(protocol)
        truth = Path(protocol.folder) / "truth.json"
        spec = read_spec(text, truth if truth.is_file() else None)
        method = spec.found()
        if lacking := sorted(set(method.card.needs) - set(card.abilities)):
            raise UsageError(f"{card.address} lacks {', '.join(lacking)}")
        if kind == "composed":
            raise UsageError(
                f"{protocol.name} asks with a picture and a change. Ask it with --suite composed."
            )
        if card.space_for(kind) is None or (
            kind == "text" and not isinstance(self._plain, TextEncoder)
        ):
            raise UsageError(f"{card.address} answers no questions by {kind}")
        if method.asks is not None and method.describer is None and kind == "image":
            raise UsageError(f"{spec.method} changes questions in words only")
        return spec

    def _key(self, spec: Spec, protocol: Protocol, data: str) -> dict[str, Any]:
        """Everything a figure hangs on, but the machine."""
        settings = self._settings
        words = "\n".join(settings.corpus).encode()
        return {
            "encoder": self._plain.card.address,
            "fingerprint": self._plain.card.fingerprint(),
            "protocol": protocol.name,
            "split": protocol.split,
            "revision": protocol.revision(),
            "data": data,
            "method": spec.text,
            "recipe": spec.recipe if "{truth}" not in spec.text else spec.text,
            "fusion": _fusion_text(spec.how(self._plain.card)),
            "csls": HUB if spec.csls else 0,
            "corpus": hashlib.sha256(words).hexdigest()[:12] if spec.found().asks else "",
            "seed": settings.seed,
            "limit": settings.limit,
            "version": __version__,
        }

    def _describe(self, recipe: str, protocol: Protocol) -> tuple[Described, Pace | None]:
        describer = describer_of(recipe)
        files = [Path(protocol.folder) / item.file for item in protocol.gallery]
        last = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last > 20:
                last = time.monotonic()
                self._report(f"  {done} of {total} pictures")

        described = describe_gallery(self._encoder, describer, files, self._album, progress)
        timed = self._settings.timed
        speed = pace(self._plain, describer, files, self._album, timed) if timed else None
        return described, speed

    def _one(
        self,
        spec: Spec,
        protocol: Protocol,
        key: dict[str, Any],
        described: Described,
        speed: Pace | None,
    ) -> Run:
        card, kind = self._plain.card, _kind(protocol)
        space = card.space_for(kind)
        assert space is not None
        vectors, fusion = described.spaces[space.name], spec.how(card)
        asked = self._ask(self._encoder, spec, protocol, space)
        ids = [item.id for item in protocol.gallery]
        hub = HUB if spec.csls else 0
        started = time.perf_counter()
        with one_thread():
            answers, gate = answer(vectors, asked, protocol.questions, ids, fusion, hub=hub)
        score_ms = (time.perf_counter() - started) * 1e3 / max(1, len(protocol.questions))
        cost = {
            "passes": described.passes,
            "maps": described.maps,
            "work": described.work,
            "regions": len(vectors.regions) / len(ids),
            "bytes": vectors.bytes_per_picture(space),
        }
        if speed is not None:
            cost |= {"describe_ms": speed.wall_ms, "describe_cpu_ms": speed.cpu_ms}
            cost["ask_ms"] = self._ask_ms(spec, protocol, space)
        return Run(
            key=key,
            encoder={"address": card.address, "title": card.title, **card.facts()},
            protocol={
                "folder": protocol.folder,
                "licence": protocol.licence,
                "notes": list(protocol.notes),
                "questions": [_question_facts(one) for one in protocol.questions],
            },
            machine=self._machine,
            cost=cost | {"score_ms": score_ms},
            gate={} if gate is None else asdict(gate),
            gallery=protocol.gallery,
            answers=tuple(answers),
            notes=_notes(spec, self._settings),
        )

    def _ask(self, encoder: Encoder, spec: Spec, protocol: Protocol, space: SpaceCard) -> Asked:
        """The questions as vectors; kept for the other lines that ask in the same way."""
        method = spec.found()
        manner = (spec.method, spec.options) if method.asks else ("", "")
        if _kind(protocol) == "image":
            manner = ("image", spec.recipe if spec.recipe.startswith("dense:") else "")
        name = (protocol.name, protocol.split, protocol.revision(), protocol.folder, *manner)
        if name not in self._asked:
            self._asked[name] = self._vectors(encoder, spec, protocol, space)
        return self._asked[name]

    def _vectors(self, encoder: Encoder, spec: Spec, protocol: Protocol, space: SpaceCard) -> Asked:
        method = spec.found()
        if _kind(protocol) == "text":
            texts = [one.text for one in protocol.questions]
            if method.asks is not None:
                return method.asks(encoder, texts, spec.options, self._settings.corpus)
            assert isinstance(encoder, TextEncoder)
            return Asked(encoder.text_features(texts).vector)
        rows: list[Floats] = []
        for one in protocol.questions:
            side = 0 if one.box is not None else QUESTION_SIDE
            picture = self._album.load(Path(protocol.folder) / one.file, side)
            rows.append(
                picture_vector(encoder, picture, one.box, recipe=spec.recipe, space=space.name)
            )
        return Asked(np.stack(rows))

    def _ask_ms(self, spec: Spec, protocol: Protocol, space: SpaceCard) -> float:
        """Median milliseconds to turn one question into a vector, with nothing remembered."""
        walls = []
        with one_thread():
            for one in protocol.questions[:_TIMED_QUESTIONS]:
                single = replace(protocol, questions=(one,))
                started = time.perf_counter()
                self._vectors(self._plain, spec, single, space)
                walls.append((time.perf_counter() - started) * 1e3)
        return statistics.median(walls)

    def _limited(self, protocol: Protocol) -> Protocol:
        """The protocol as the settings allow: fewer pictures first, then fewer questions."""
        limit, most = self._settings.limit, self._settings.pictures
        if most is not None and most < len(protocol.gallery):
            protocol = fewer_pictures(protocol, most, self._settings.seed)
        if limit is None or limit >= len(protocol.questions):
            return protocol
        draw = np.random.default_rng(self._settings.seed)
        chosen = sorted(draw.permutation(len(protocol.questions))[:limit].tolist())
        return replace(protocol, questions=tuple(protocol.questions[i] for i in chosen))

    def _skip(self, protocol: Protocol, text: str, reason: str, failed: bool = False) -> Skipped:
        address = self._plain.card.address
        return Skipped(address, protocol.name, protocol.split, text, reason, failed)

    def _fault(self, protocol: Protocol, text: str, error: Exception) -> Skipped:
        """A known reason is stated; an unknown one is a failure, but not of the other lines."""
        if isinstance(error, NeedlepointError):
            return self._skip(protocol, text, str(error))
        self._report(f"{text} on {protocol.name} failed: {type(error).__name__}: {error}")
        return self._skip(protocol, text, f"{type(error).__name__}: {error}", failed=True)


def fewer_pictures(protocol: Protocol, count: int, seed: int) -> Protocol:
    """A protocol on ``count`` of its pictures; questions without an answer there are left out."""
    draw = np.random.default_rng(seed)
    chosen = sorted(draw.permutation(len(protocol.gallery))[:count].tolist())
    gallery = tuple(protocol.gallery[i] for i in chosen)
    ids = {item.id for item in gallery}
    questions = tuple(
        replace(
            one,
            relevant=one.relevant & ids,
            junk=one.junk & ids,
            boxes={name: boxes for name, boxes in one.boxes.items() if name in ids},
        )
        for one in protocol.questions
        if one.relevant & ids
    )
    notes = (
        *protocol.notes,
        f"{count} of {len(protocol.gallery)} pictures, drawn with seed {seed}",
    )
    return replace(protocol, gallery=gallery, questions=questions, notes=notes)


def _by_gallery(protocols: Sequence[Protocol]) -> Iterator[list[Protocol]]:
    groups: dict[tuple[Any, ...], list[Protocol]] = {}
    for one in protocols:
        groups.setdefault((one.folder, one.gallery), []).append(one)
    yield from groups.values()


def _kind(protocol: Protocol) -> Any:
    """``text`` or ``image``.

    Raises:
        UsageError: the protocol has no questions, or of both kinds.
    """
    kinds = {one.kind for one in protocol.questions}
    if len(kinds) != 1:
        raise UsageError(f"protocol {protocol.name} needs questions of one kind, has {len(kinds)}")
    return kinds.pop()


def _fusion_text(fusion: Fusion) -> str:
    return fusion.kind if fusion.kind != "gated" else f"gated@{fusion.tau:g}"


def _question_facts(question: Question) -> dict[str, Any]:
    """What a report shows of a question."""
    return {
        "id": question.id,
        "text": question.text,
        "file": question.file,
        "box": question.box,
        "relevant": sorted(question.relevant),
        "junk": sorted(question.junk),
        "boxes": {name: list(boxes) for name, boxes in question.boxes.items()},
    }


def _notes(spec: Spec, settings: Settings) -> tuple[str, ...]:
    notes = []
    if spec.csls:
        notes.append(f"transductive: CSLS with {HUB} neighbours over all questions of the protocol")
    if settings.limit is not None:
        notes.append(f"at most {settings.limit} questions, drawn with seed {settings.seed}")
    return tuple(notes)
