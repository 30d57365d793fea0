"""What mapping networks learn from: captions and pictures as the vectors of a frozen encoder.

A picture is encoded once; its vector is kept by the content of its file and its box, so that the
next run, another seed or another method finds it there.

Shapes: N items, D joint dim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.encoders.convenience import as_pixels
from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.picture import Box
from needlepoint.query import PICTURE_ENDINGS
from needlepoint.train.feeds import cut, piece_keys
from needlepoint.train.pairs import CAPTIONS, read_pairs

_BATCH = 32
_SAVED = 512  # pictures between two savings of the cache

Piece = tuple[str, Box | None]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Texts, without repetition, and pieces of pictures, as ``--data`` names them."""

    texts: tuple[str, ...]
    pieces: tuple[Piece, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """Pictures as the encoder sees them: ``vectors`` float32 ``[N, D]`` of unit length.

    ``length`` is their mean length before that, 0 where the encoder does not tell; ``digest``
    (16 hex digits) names pictures and encoder.
    """

    vectors: Floats
    length: float
    digest: str


def read_source(paths: Sequence[Path], *, limits: Sequence[int] = (), seed: int = 0) -> Source:
    """Texts and pieces of all data.

    Args:
        paths: each a folder with ``captions.jsonl``, a folder of pictures, or a text file with a
            caption a line.
        limits: pieces used at most of each folder with captions (``read_pairs``).
        seed: of that choice.

    Raises:
        UsageError: a path that is none of these.
    """
    texts: dict[str, None] = {}
    pieces: dict[Piece, None] = {}
    captioned = [path for path in paths if (path / CAPTIONS).is_file()]
    if captioned:
        pairs = read_pairs(captioned, limits=limits, seed=seed)
        texts |= dict.fromkeys(pair.text for pair in pairs)
        pieces |= dict.fromkeys(pair.piece for pair in pairs)
    for path in paths:
        if path in captioned:
            continue
        if path.is_file() and path.suffix.lower() == ".txt":
            lines = path.read_text(encoding="utf-8").splitlines()
            texts |= dict.fromkeys(line.strip() for line in lines if line.strip())
        elif path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix[1:].lower() in PICTURE_ENDINGS)
            pieces |= dict.fromkeys((str(p), None) for p in found)
    if not texts and not pieces:
        raise UsageError(
            f"data: {', '.join(map(str, paths))} hold neither captions nor pictures; give a folder "
            f"with {CAPTIONS}, a folder of pictures, or a .txt file with a caption a line"
        )
    return Source(tuple(texts), tuple(pieces), tuple(path.name for path in paths))


def see(encoder: Any, pieces: Sequence[Piece], cache: Path, say: Say) -> Seen:
    """The vectors of pieces, those that are known from ``cache``, a folder.

    Raises:
        UsageError: a picture that cannot be read, or a box outside it.
    """
    card = encoder.card
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"pictures-{card.fingerprint()}.npz"
    keys = piece_keys(pieces, card.fingerprint())
    known = _known(path)
    missing = {key: piece for key, piece in zip(keys, pieces, strict=True) if key not in known}
    batch: list[tuple[str, Any]] = []
    source, pixels = "", np.empty((0, 0, 3), np.uint8)
    for done, (key, piece) in enumerate(sorted(missing.items(), key=lambda one: one[1][0]), 1):
        if piece[0] != source:
            source, pixels = piece[0], as_pixels(piece[0])
        batch.append((key, cut(pixels, piece[1], source)))
        if len(batch) == _BATCH or done == len(missing):
            known |= _described(encoder, batch)
            batch = []
        if done % _SAVED == 0 or done == len(missing):
            _save(path, known)
            say(f"pictures: {done:,} of {len(missing):,} encoded")
    lengths = np.array([known[key][1] for key in keys], np.float64)
    return Seen(
        np.stack([known[key][0] for key in keys]),
        float(lengths.mean()),
        hashlib.sha256("".join(keys).encode()).hexdigest()[:16],
    )


def raw_texts(encoder: Any, texts: Sequence[str]) -> Floats:
    """Vectors float32 ``[N, D]`` of texts, not normalised; short texts and long ones apart."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found = np.empty((len(texts), encoder.card.dim), np.float32)
    for start in range(0, len(order), 4 * _BATCH):
        some = order[start : start + 4 * _BATCH]
        told = encoder.text_features([texts[i] for i in some], want=frozenset({"length"}))
        found[some] = told.vector * told.length[:, None]
    return found


def _described(encoder: Any, batch: Sequence[tuple[str, Any]]) -> dict[str, tuple[Floats, float]]:
    pictures = [pixels for _, pixels in batch]
    plain = "tokens" in encoder.card.abilities
    told = encoder.image_features(pictures, want=frozenset({"length"} if plain else ()))
    lengths = told.length if plain else np.zeros(len(batch))
    return {
        key: (vector, float(length))
        for (key, _), vector, length in zip(batch, told.vector, lengths, strict=True)
    }


def _known(path: Path) -> dict[str, tuple[Floats, float]]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as held:
        rows = zip(held["keys"].tolist(), held["vectors"], held["lengths"].tolist(), strict=True)
        return {key: (vector, length) for key, vector, length in rows}


def _save(path: Path, known: dict[str, tuple[Floats, float]]) -> None:
    part = path.with_name(f".{path.name}.part.npz")
    np.savez(
        part,
        keys=np.array(list(known)),
        vectors=np.stack([vector for vector, _ in known.values()]),
        lengths=np.array([length for _, length in known.values()]),
    )
    part.replace(path)
