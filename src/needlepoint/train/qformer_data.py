"""Composed benchmarks for a Q-Former: frozen vision tokens on disk, words as token ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from needlepoint.bench.protocol import Protocol
from needlepoint.encoders.qformer import QFormerEncoder
from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.picture import Pixels
from needlepoint.train.feeds import CellFeed
from needlepoint.train.ragged import Rows
from needlepoint.train.triplet_features import Gathered, Joining, Piece
from needlepoint.train.triplets import Triplets


@dataclass(frozen=True, slots=True)
class QFormerData:
    """Questions about pictures whose vectors a Q-Former makes anew at every step.

    ``triplets`` tells who is asked what; its vectors are of one number and mean nothing. ``ids``
    int64 ``[N, L]`` are the wordings; ``feed`` gives vision tokens of rows of the gallery.
    """

    triplets: Triplets
    ids: npt.NDArray[np.int64]
    feed: CellFeed

    def seen(self, rows: Rows, device: torch.device) -> Tensor:
        """Vision tokens float32 ``[B, P, C]`` of rows of the gallery."""
        return torch.from_numpy(self.feed(rows)).to(device)

    def asked(self, questions: Rows, seed: Sequence[int], device: torch.device) -> Tensor:
        """One wording each of B questions, drawn by the seed: ids int64 ``[B, L]``."""
        wordings = self.triplets.wordings
        drawn = np.random.default_rng(list(seed)).integers(0, wordings.lengths()[questions])
        texts = wordings.values[wordings.offsets[questions] + drawn]
        return torch.from_numpy(self.ids[texts]).to(device)


def read_questions(
    protocols: Sequence[Protocol],
    encoder: QFormerEncoder,
    cache: Path,
    *,
    joining: Joining = "as asked",
    say: Callable[[str], None] = lambda text: None,
) -> QFormerData:
    """The composed questions of protocols, their pictures seen once by the frozen vision tower.

    Args:
        protocols: those without composed questions are passed over.
        encoder: its vision tower and its tokenizer are used.
        cache: where vision tokens lie, float16, by the content of the files.
        joining: as in ``read_triplets``.
        say: told what goes on, a line at a time.

    Raises:
        UsageError: no composed question, or a picture that cannot be read.
    """
    asked = [one for one in protocols if any(q.kind == "composed" for q in one.questions)]
    if not asked:
        raise UsageError(
            "data: there is no composed question (a picture and a change in words) in "
            f"{', '.join(one.name for one in protocols) or 'nothing'}"
        )
    gathered = _Seen(asked, joining, encoder, cache, say)
    triplets = gathered.made()
    return QFormerData(triplets, encoder.tokenize(gathered.texts), gathered.feed)


def open_feed(
    pieces: Sequence[Piece],
    encoder: QFormerEncoder,
    cache: Path,
    say: Callable[[str], None],
) -> CellFeed:
    """Vision tokens of pieces of pictures, computed where they are not on disk yet."""

    def tokens_of(piece: Pixels) -> Floats:
        with torch.inference_mode():
            tokens: Floats = encoder.sight([piece])[0].cpu().numpy()
        return tokens

    whole = np.zeros((64, 64, 3), np.uint8)
    return CellFeed(
        [(str(path), box) for path, box in pieces],
        cache,
        tokens_of(whole).shape,
        encoder.sight.told,
        tokens_of,
        lambda done, total: say(f"vision: {done:,} of {total:,} pictures"),
    )


class _Seen(Gathered):
    """Pictures as places of a feed, texts as they are."""

    feed: CellFeed

    def __init__(
        self,
        protocols: Sequence[Protocol],
        joining: Joining,
        encoder: QFormerEncoder,
        cache: Path,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(protocols, joining, encoder.card)
        self._encoder, self._cache, self._say = encoder, cache, say

    def pictures(self) -> tuple[Floats, Floats, Rows]:
        """Nothing but which pieces have the same content."""
        self.feed = open_feed(self.pieces, self._encoder, self._cache, self._say)
        ones = np.ones((len(self.pieces), 1), np.float32)
        return ones, ones[:, 0], self.feed.rows

    def said(self) -> tuple[Floats, Floats]:
        """Nothing but how many there are."""
        ones = np.ones((len(self.texts), 1), np.float32)
        return ones, ones[:, 0]
