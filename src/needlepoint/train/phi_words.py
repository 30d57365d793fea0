"""SEARLE's first stage: a pseudo-word for each picture by optimisation, and names of what it shows.

Shapes: N pictures, C token width.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.encoders.inversion import Inversion, invert_pictures
from needlepoint.encoders.slots import Slots
from needlepoint.errors import UsageError
from needlepoint.methods.phrases import (
    TEMPLATES,
    Phrases,
    fixed_phrases,
    nearest_names,
    read_phrases,
)
from needlepoint.parts import Floats
from needlepoint.train.keywords import Tagger, concepts_of
from needlepoint.train.phi_data import Seen
from needlepoint.train.phi_lessons import Distilled
from needlepoint.train.samplers import Indices

_CHUNK = 256  # words found between two savings

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Words:
    """SEARLE's settings; iSEARLE's are ``text_noise_std`` and ``group``.

    Attributes:
        steps: of the optimisation of a word.
        ema: of its running mean.
        text_noise_std: of the noise added to the sentence's unit vector in that optimisation.
        pictures: how many words are found at most; 0 for all pictures.
        concepts: file with a name a line; the most frequent names of the captions when empty.
        phrases: file with NAME, tab, sentence a line; in place of ``concepts``.
        names: how many names are taken from captions.
        first: names nearest to a picture that its word is optimised with; ``near``: those that
            the network is taught with.
        phrase_weight: of the second loss of the network.
        temperature: of its first.
        group: pictures that look alike and come together in a step (hard negatives); 1 for none.
        seed: of the optimisation, whatever the seed of the run.
    """

    steps: int = 350
    ema: float = 0.99
    text_noise_std: float = 0.0
    pictures: int = 0
    concepts: str = ""
    phrases: str = ""
    names: int = 500
    first: int = 15
    near: int = 150
    phrase_weight: float = 0.75
    temperature: float = 0.25
    group: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("names", "first", "near", "group"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")
        if self.temperature <= 0 or self.phrase_weight < 0 or self.pictures < 0:
            raise UsageError(
                "temperature must be above 0, phrase_weight and pictures at least 0, received "
                f"{self.temperature}, {self.phrase_weight} and {self.pictures}"
            )

    def inversion(self) -> Inversion:
        """How a word is found."""
        return Inversion(
            steps=self.steps,
            ema=self.ema,
            text_noise_std=self.text_noise_std,
            templates=TEMPLATES,
            seed=self.seed,
        )


def distilled(
    encoder: Any,
    slots: Slots,
    seen: Seen,
    captions: Sequence[str],
    options: Words,
    seed: int,
    cache: Path,
    tagger: Tagger,
    say: Say,
) -> tuple[Distilled, dict[str, Any]]:
    """The lesson of the second stage, and what the first did, for the card."""
    vectors = seen.vectors[: options.pictures] if options.pictures else seen.vectors
    phrases = _phrases(options, captions, tagger)
    near = nearest_names(encoder, vectors, phrases.names, max(options.near, options.first))
    words, minutes = _found(encoder, vectors, phrases, near, options, cache, say)
    lesson = Distilled(
        slots,
        vectors,
        words,
        near[:, : options.near],
        phrases,
        kindred(vectors, options.group, options.seed),
        options.phrase_weight,
        options.temperature,
        seed,
    )
    read = encoder.inject(["a photo of {}"] * len(words), words)
    told = {
        "words": len(words),
        "minutes": minutes,
        "names": len(phrases.names),
        "rejected_phrases": phrases.rejected,
        "cosine": round(float((read * vectors).sum(1).mean()), 4),
    }
    return lesson, told


def kindred(vectors: Floats, size: int, seed: int) -> list[int]:
    """A number for each picture, equal for those that look alike: groups of about ``size``.

    As many pictures as there are groups are drawn; every other joins the one it is nearest to.
    """
    if size < 2:
        return list(range(len(vectors)))
    count = max(1, len(vectors) // size)
    middles = np.random.default_rng([seed, 11]).permutation(len(vectors))[:count]
    return [int(one) for one in (vectors @ vectors[middles].T).argmax(1)]


def _phrases(options: Words, captions: Sequence[str], tagger: Tagger) -> Phrases:
    if options.phrases:
        return read_phrases(Path(options.phrases))
    if not options.concepts:
        return fixed_phrases(concepts_of(captions, options.names, tagger))
    path = Path(options.concepts)
    if not path.is_file():
        raise UsageError(f"concepts: {path} is no file; give one with a name a line")
    lines = path.read_text(encoding="utf-8").splitlines()
    return fixed_phrases(list(dict.fromkeys(line.strip() for line in lines if line.strip())))


def _found(
    encoder: Any,
    vectors: Floats,
    phrases: Phrases,
    near: Indices,
    options: Words,
    cache: Path,
    say: Say,
) -> tuple[Floats, float]:
    """Words float32 ``[N, C]`` and the minutes they took, from ``cache`` where they are there."""
    how = options.inversion()
    first = near[:, : options.first]
    path = cache / f"words-{_mark(encoder, vectors, phrases, first, how)}.npz"
    parts, seconds = _kept(path)
    while sum(map(len, parts)) < len(vectors):
        start, begun = sum(map(len, parts)), time.monotonic()
        rows = slice(start, start + _CHUNK)
        said = [phrases.of(some.tolist()) for some in first[rows]]
        parts.append(invert_pictures(encoder, vectors[rows], how, phrases=said)[:, 0])
        seconds += time.monotonic() - begun
        part = path.with_name(f".{path.name}.part.npz")
        np.savez(part, words=np.concatenate(parts), seconds=seconds)
        part.replace(path)
        say(f"words: {sum(map(len, parts)):,} of {len(vectors):,} found")
    return np.concatenate(parts), round(seconds / 60, 1)


def _kept(path: Path) -> tuple[list[Floats], float]:
    if not path.is_file():
        return [], 0.0
    with np.load(path, allow_pickle=False) as held:
        return [held["words"]], float(held["seconds"])


def _mark(encoder: Any, vectors: Floats, phrases: Phrases, first: Indices, how: Inversion) -> str:
    """A name (16 hex digits) of all that the words follow from."""
    told = [encoder.card.fingerprint(), asdict(how), phrases.names, phrases.sentences]
    seen = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    seen.update(np.ascontiguousarray(vectors).tobytes())
    seen.update(np.ascontiguousarray(first).tobytes())
    return seen.hexdigest()[:16]
