"""Runs conversations of a suite on generated scenes; what is done already is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint import __version__
from needlepoint.bench.array_view import ArrayView
from needlepoint.bench.cache import LIMIT_MB, remembering
from needlepoint.bench.gallery import (
    Album,
    describe_gallery,
    load_described,
    one_thread,
    save_described,
)
from needlepoint.bench.interactive import Held, TalkLine, converse, read_talk_line
from needlepoint.bench.metrics import (
    best_rank_integral,
    bootstrap_interval,
    reciprocal_ranks,
    round_hits,
    round_recall,
)
from needlepoint.bench.needle.truth import load_truth
from needlepoint.bench.protocol import Item, Protocol
from needlepoint.bench.provenance import data_digest, machine
from needlepoint.bench.results import Skipped, run_path, write_text
from needlepoint.bench.rules import RuleChat
from needlepoint.bench.user import Manner, Scenes, SceneUser
from needlepoint.errors import ModelUnavailable, NeedlepointError, UsageError
from needlepoint.methods.card import describer_of
from needlepoint.methods.dialogue import Dialogue, Helpers
from needlepoint.parts import Encoder

CUTS = (1, 5, 10)
FORM = 1
"""Changes when older files can no longer be read."""


@dataclass(frozen=True, slots=True)
class Talks:
    """The conversations of one line over one gallery."""

    key: dict[str, Any]
    machine: dict[str, Any]
    held: tuple[Held, ...]

    @property
    def ranks(self) -> npt.NDArray[np.int64]:
        """int64 ``[Q, R]``."""
        return np.array([one.ranks for one in self.held], np.int64)

    def row(self) -> dict[str, Any]:
        """One line of the table: BRI, and hits and recall after the last round."""
        told = self._head() | {"rounds": len(self.held[0].ranks) - 1}
        told |= self._spread("BRI", best_rank_integral(self.ranks))
        told |= self._measures(-1)
        spent = np.array([one.seconds for one in self.held])
        used = spent[spent > 0]
        told["ms_a_round"] = round(1e3 * float(np.median(used)), 2)
        told["asked"] = round(sum(one.asked for one in self.held) / len(self.held), 2)
        return told | {k: self.key[k] for k in ("chat", "recipe", "data", "seeds")} | self.machine

    def by_round(self) -> Iterator[dict[str, Any]]:
        """One line a round."""
        for turn in range(len(self.held[0].ranks)):
            yield self._head() | {"round": turn} | self._measures(turn)

    def _head(self) -> dict[str, Any]:
        return {
            "encoder": self.key["encoder"],
            "protocol": self.key["protocol"],
            "split": self.key["split"],
            "method": self.key["method"],
            "talks": len(self.held),
            "targets": len({one.target for one in self.held}),
        }

    def _measures(self, turn: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for k in CUTS:
            told |= self._spread(f"Hits@{k}", round_hits(self.ranks, k)[:, turn])
        for k in CUTS:
            told[f"Recall@{k}"] = round(float(round_recall(self.ranks, k)[:, turn].mean()), 4)
        return told | {"MRR": round(float(reciprocal_ranks(self.ranks)[:, turn].mean()), 4)}

    def _spread(self, name: str, values: npt.NDArray[Any]) -> dict[str, float]:
        """Mean and 95 % interval; the seeds of one target are no independent evidence."""
        found = bootstrap_interval(
            values.astype(np.float64), groups=[one.target for one in self.held]
        )
        return {
            name: round(found.estimate, 4),
            f"{name}_low": round(found.low, 4),
            f"{name}_high": round(found.high, 4),
        }


def save_talks(talks: Talks, folder: Path) -> Path:
    """Write conversations whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = run_path(folder, talks.key)
    told = {"talks": FORM, "row": talks.row(), "key": talks.key, "machine": talks.machine}
    told["held"] = [asdict(one) for one in talks.held]
    write_text(path, json.dumps(told, separators=(",", ":")))
    return path


def load_talks(path: Path) -> Talks:
    """Read conversations.

    Raises:
        UsageError: no file of conversations that this version wrote.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.get("talks") != FORM:
            raise UsageError(f"{path} holds no conversations of this version. Run them again.")
        held = tuple(
            Held(
                one["target"], one["seed"], tuple(one["ranks"]), tuple(one["seconds"]), one["asked"]
            )
            for one in told["held"]
        )
        return Talks(told["key"], told["machine"], held)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} holds no conversations ({error}).") from error


@dataclass(frozen=True, slots=True)
class TalkSettings:
    """``targets``: at most so many pictures in mind, drawn by the first of ``seeds``."""

    targets: int | None = None
    seeds: tuple[int, ...] = (0, 1, 2)


class TalkBench:
    """One encoder, a folder of results and, unless ``cache`` is None, one of features."""

    def __init__(
        self,
        encoder: Encoder,
        out: Path,
        *,
        cache: Path | None = None,
        cache_mb: int = LIMIT_MB,
        settings: TalkSettings | None = None,
        helpers: Helpers | None = None,
        force: bool = False,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._encoder = encoder
        if cache is not None:
            self._encoder = remembering(encoder, cache, limit_mb=cache_mb)
        self._out, self._force, self._report = out, force, report
        self._cache = cache
        self._settings = settings or TalkSettings()
        self._helpers = helpers or Helpers()
        self._album = Album()
        self._machine = machine(encoder)

    def run(
        self,
        folders: Sequence[Path],
        lines: Sequence[str],
        finished: Callable[[Talks | Skipped], None] = lambda one: None,
    ) -> list[Talks | Skipped]:
        """Every line on every set of scenes; ``finished`` is told of each as it is done."""
        done: list[Talks | Skipped] = []
        for folder in folders:
            for one in self._set(folder, lines):
                finished(one)
                done.append(one)
        return done

    def _set(self, folder: Path, lines: Sequence[str]) -> Iterator[Talks | Skipped]:
        truth = load_truth(folder)
        name = f"talk-{truth.recipe}"
        scenes = Scenes(truth.pictures, float(truth.options.get("min_visible", 0.5)))
        targets = _drawn(scenes.targets(), self._settings)
        gallery = tuple(Item(one.file, one.file) for one in truth.pictures)
        data = Protocol(name, truth.split, str(folder), gallery, ())
        digest = data_digest(data) if targets else ""
        views: dict[str, ArrayView] = {}
        for text in lines:
            try:
                line = read_talk_line(text)
                if not targets:
                    raise UsageError("these scenes came without words; build a crowd")
                dialogue, chat = _made(line, self._helpers)
                key = self._key(name, truth.split, digest, line) | {"chat": chat}
                path = run_path(self._out, key)
                if path.is_file() and not self._force:
                    yield load_talks(path)
                    continue
                if line.recipe not in views:
                    files = [folder / one.file for one in truth.pictures]
                    captions = [one.caption for one in truth.pictures]
                    views[line.recipe] = self._view(line.recipe, files, captions, digest)
                held = self._hold(dialogue, line.manner, views[line.recipe], scenes, targets)
            except NeedlepointError as error:
                address = self._encoder.card.address
                yield Skipped(address, name, truth.split, text, str(error))
                continue
            talks = Talks(key, self._machine, held)
            save_talks(talks, self._out)
            yield talks

    def _hold(
        self,
        dialogue: Dialogue,
        manner: Manner,
        view: ArrayView,
        scenes: Scenes,
        targets: Sequence[int],
    ) -> tuple[Held, ...]:
        with one_thread():
            return tuple(
                converse(
                    dialogue,
                    view,
                    SceneUser(scenes, target, manner, seed),
                    target=target,
                    pictures=len(scenes.pictures),
                    rounds=manner.rounds,
                    shown=manner.shown,
                    seed=seed,
                )
                for seed in self._settings.seeds
                for target in targets
            )

    def _view(
        self, recipe: str, files: Sequence[Path], captions: Sequence[str], data: str
    ) -> ArrayView:
        """The gallery as vectors, which are kept: a conversation is short beside them."""
        facts = f"{self._encoder.card.fingerprint()} {recipe} {data} {__version__}"
        name = hashlib.sha256(facts.encode()).hexdigest()[:20]
        path = None if self._cache is None else self._cache / "galleries" / f"{name}.npz"
        described = None if path is None or self._force else load_described(path)
        if described is None:
            self._report(f"describing {len(files)} pictures with {recipe}")
            described = describe_gallery(self._encoder, describer_of(recipe), files, self._album)
            if path is not None:
                save_described(described, path)
        return ArrayView(self._encoder, described, files, self._album, captions=captions)

    def _key(self, name: str, split: str, digest: str, line: TalkLine) -> dict[str, Any]:
        """Everything a figure hangs on, but the machine."""
        return {
            "encoder": self._encoder.card.address,
            "fingerprint": self._encoder.card.fingerprint(),
            "protocol": name,
            "split": split,
            "data": digest,
            "method": line.text,
            "recipe": line.recipe,
            "user": asdict(line.manner),
            "seeds": list(self._settings.seeds),
            "targets": self._settings.targets,
            "version": __version__,
        }


def _made(line: TalkLine, helpers: Helpers) -> tuple[Dialogue, str]:
    """The method of a line, and the name of its chat model; by rule where it lacks one."""
    try:
        made = line.dialogue(helpers)
        return made, "" if helpers.chat is None else helpers.chat.name
    except ModelUnavailable:
        if helpers.chat is not None:
            raise
        return line.dialogue(replace(helpers, chat=RuleChat())), RuleChat.name


def _drawn(targets: Sequence[int], settings: TalkSettings) -> list[int]:
    most = settings.targets
    if most is None or most >= len(targets):
        return list(targets)
    draw = np.random.default_rng(settings.seeds[0])
    return sorted(targets[int(i)] for i in draw.permutation(len(targets))[:most])
