"""What an interactive method or a composer may ask of a library, over the arrays of the bench.

Shapes: G pictures, V probes, D dim. A picture's place in the gallery is its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from needlepoint.bench.gallery import Album, Described
from needlepoint.errors import UsageError
from needlepoint.library.hits import Ready, weigh
from needlepoint.library.view import BACKGROUND
from needlepoint.methods.dialogue import Mark, Understood
from needlepoint.parts import Calibrated, Calibration, Encoder, Floats, SpaceCard, TextEncoder
from needlepoint.picture import Box, Picture, Pixels
from needlepoint.query import Part, Query
from needlepoint.regions.focus import cut
from needlepoint.regions.question import picture_vector
from needlepoint.search.exact import segment_max
from needlepoint.search.fusion import BEST, Fusion
from needlepoint.search.topk import fuse, top_k
from needlepoint.store.base import Ids, Probe, Space

_ROWS = 4000  # score rows kept: a probe comes back in every later round


class ArrayView:
    """A view of a described gallery; searches are exact, in float32.

    Args:
        encoder: what the gallery was described with.
        described: its vectors.
        files: the pictures, for pieces and pixels.
        album: where decoded pictures come from.
        fusion: how whole and regions make a score.
        captions: what is known in words of each picture; nothing where left out.
        focused: whether a picture asks with the thing on its plain background alone.
    """

    def __init__(
        self,
        encoder: Encoder,
        described: Described,
        files: Sequence[Path],
        album: Album,
        *,
        fusion: Fusion = BEST,
        captions: Sequence[str] = (),
        focused: bool = True,
    ) -> None:
        self._encoder, self._described, self._files = encoder, described, files
        self._album, self._fusion, self._captions = album, fusion, captions
        self._focused = focused
        self._names = list(described.spaces)
        self._ids = np.arange(len(files), dtype=np.int64)
        self._texts: dict[str, tuple[Floats, float]] = {}
        self._pieces: dict[tuple[int, Box], Floats] = {}
        self._rows: dict[tuple[int, bytes], Floats] = {}

    def probes(self, query: Query) -> list[Probe]:
        """A question made ready."""
        return weigh([self._ready(part) for part in query.parts])[0]

    def marked(self, marks: Sequence[Mark]) -> list[Probe]:
        """One probe of weight 1 for each mark, in the space that answers pictures."""
        return [self._ready(Part("item", str(mark.id), box=mark.box)).probe for mark in marks]

    def scores(self, probes: Sequence[Probe]) -> Floats:
        """The score of every picture, float32 ``[G]``."""
        columns = np.stack([self._row(probe) for probe in probes], axis=1)
        weights, means, stds = (
            np.array([getattr(probe, name) for probe in probes], np.float64)
            for name in ("weight", "mean", "std")
        )
        return fuse(columns, weights, means, stds, [probe.curve for probe in probes])

    def standard(self, probes: Sequence[Probe]) -> list[Probe]:
        """The probes with the background their encoder knows, else with that of the gallery."""
        return [p if (p.mean, p.std) != (0.0, 1.0) else self._standard(p) for p in probes]

    def sample(self, count: int, space: int) -> Ids:
        """Ids of up to ``count`` pictures, spread evenly."""
        if len(self._ids) <= count:
            return self._ids
        return self._ids[np.linspace(0, len(self._ids) - 1, count).round().astype(np.int64)]

    def search(self, probes: Sequence[Probe], k: int) -> tuple[Ids, Floats]:
        """The best pictures, ties by id."""
        scores = self.scores(probes)
        order = top_k(scores, self._ids, k)
        return self._ids[order], scores[order]

    def wholes(self, ids: Sequence[int], space: int) -> Floats:
        """Vectors of whole pictures."""
        found: Floats = self._described.spaces[self._names[space]].whole[np.asarray(ids, np.int64)]
        return found

    def captions(self, ids: Sequence[int]) -> list[str]:
        """What is known in words of pictures."""
        return [self._captions[number] if self._captions else "" for number in ids]

    def names(self, ids: Sequence[int]) -> list[str]:
        """Paths of pictures."""
        return [self._files[number].as_posix() for number in ids]

    def pixels(self, number: int, side: int) -> Pixels:
        """A picture of the gallery."""
        return self._album.load(self._files[number], side).pixels

    def seen(self, pixels: Pixels) -> Probe:
        """A picture that is not of the gallery as a probe."""
        return self._ready(Query.coerce(pixels).parts[0]).probe

    @property
    def encoder(self) -> Encoder:
        """The encoder the gallery was described with."""
        return self._encoder

    def pixels_of(self, part: Part) -> Pixels:
        """What a picture that is held in memory or an item shows, or its piece of it."""
        picture = part.picture
        if picture is None:
            if part.kind != "item":
                raise UsageError(f"the bench shows no pictures from elsewhere. Received: {part}")
            picture = self._album.load(self._files[int(part.value)], 0)
        return picture.pixels if part.box is None else cut(picture, part.box)

    def spread(self, probe: Probe) -> tuple[float, float]:
        """Mean and deviation (N - 1) over the gallery."""
        scores = self._row(probe)
        if len(scores) < 2:
            return float(scores.sum()), 0.0
        return float(scores.mean()), float(scores.std(ddof=1))

    # -- parts to probes

    def _ready(self, part: Part) -> Ready:
        card = self._encoder.card
        space = card.space_for("text" if part.kind == "text" else "image")
        if space is None:
            raise UsageError(f"{card.address} answers no {part.kind} parts")
        handicap = 0.0
        if part.kind == "text":
            vector, handicap = self._text(part.value)
        elif part.kind == "item":
            vector = self._mark(int(part.value), part.box, space)
        elif part.picture is not None:
            vector = self._vector(part.picture, part.box, space)
        else:
            raise UsageError(f"the bench shows no pictures from elsewhere. Received: {part}")
        place = self._names.index(space.name)
        told = Space(
            space.name,
            card.address,
            card.fingerprint(),
            space.dim,
            space.codec,
            self._described.recipe,
            {},
            place,
        )
        probe = Probe(place, vector, part.weight, fusion=self._fusion)
        return Ready(probe, told, "", self._calibration(place), handicap)

    def _text(self, text: str) -> tuple[Floats, float]:
        if text not in self._texts:
            if not isinstance(self._encoder, TextEncoder):
                raise UsageError(f"{self._encoder.card.address} has no text side")
            features = self._encoder.text_features([text])
            handicap = 0.0 if features.handicap is None else float(features.handicap[0])
            self._texts[text] = features.vector[0], handicap
        return self._texts[text]

    def _mark(self, number: int, box: Box | None, space: SpaceCard) -> Floats:
        if box is None:
            whole: Floats = self._described.spaces[space.name].whole[number]
            return whole
        if (number, box) not in self._pieces:
            picture = self._album.load(self._files[number], 0)
            self._pieces[number, box] = self._vector(picture, box, space)
        return self._pieces[number, box]

    def _vector(self, picture: Picture, box: Box | None, space: SpaceCard) -> Floats:
        return picture_vector(
            self._encoder,
            picture,
            box,
            recipe=self._described.recipe,
            space=space.name,
            focused=self._focused,
        )

    def _calibration(self, space: int) -> Calibration | None:
        known = isinstance(self._encoder, Calibrated)
        return self._encoder.calibration(self._names[space]) if known else None  # type: ignore[attr-defined]

    def _standard(self, probe: Probe) -> Probe:
        calibration = self._calibration(probe.space)
        if calibration is not None:
            mean, std = calibration.background(probe.vector)
        else:
            scores = self._row(probe)[self.sample(BACKGROUND, probe.space)]
            mean, std = float(scores.mean()), float(max(scores.std(), 1e-6))
        return replace(probe, mean=mean, std=std)

    def _row(self, probe: Probe) -> Floats:
        """The cosines of one probe with all pictures, whole and regions fused."""
        key = probe.space, probe.vector.tobytes()
        if key not in self._rows:
            if len(self._rows) >= _ROWS:
                self._rows.pop(next(iter(self._rows)))
            held = self._described.spaces[self._names[probe.space]]
            region = segment_max((held.regions @ probe.vector)[:, None], held.offsets)[:, 0]
            self._rows[key] = probe.fusion.combine(held.whole @ probe.vector, region)
        return self._rows[key]


def probes_of(understood: Understood, view: ArrayView) -> Sequence[Probe]:
    """What a method's understanding searches with; a plain question is asked as any other."""
    if understood.query is not None:
        return view.probes(understood.query)
    return understood.probes
