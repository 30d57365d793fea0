"""The built-in encoder: one small network for pictures, one for sentences, nothing to fetch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np

from needlepoint.encoders.builtin.sight import STRIDE, Sight, input_shape, resize
from needlepoint.encoders.builtin.words import Concepts, Sentences, unit
from needlepoint.encoders.convenience import EncodesImages, EncodesTexts
from needlepoint.errors import UsageError
from needlepoint.parts import (
    Calibration,
    DenseFeatures,
    EncoderCard,
    Floats,
    ImageFeatures,
    SpaceCard,
    TextFeatures,
)
from needlepoint.picture import Pixels

WHOLE_SIDE = 224
"""Long side in pixels of the small pass that gives the whole-picture vector."""

MIDDLE = 0.5
"""Width of the Gaussian around the middle, in half sides; chosen on the dev scenes."""

GRID = WHOLE_SIDE // STRIDE
"""Side in cells of the map of shares: what a square picture has in the small pass."""

LIMITS = (
    "A concept search over about a thousand everyday things (the classes of ImageNet) and their "
    "neighbours in meaning; English only. It does not read relations, counts, colours of things, "
    "names or text. For words on the level of CLIP, fetch a picture-language model."
)


def load_arrays(name: str) -> dict[str, Any]:
    """The arrays of one .npz file of this package."""
    with (files(__package__) / "data" / name).open("rb") as file, np.load(file) as arrays:
        return dict(arrays)


def builtin_card() -> EncoderCard:
    """The card, without loading any weights."""
    facts = json.loads((files(__package__) / "data" / "card.json").read_text("utf-8"))
    return EncoderCard(
        address="builtin",
        title="EfficientNet-Lite0 with dense map; MiniLM-L6 and ConSE for words",
        family="builtin",
        dim=facts["look_dim"],
        spaces=(
            SpaceCard("look", facts["look_dim"], "b4", ("image",)),
            SpaceCard("words", facts["words_dim"], "b4", ("text",)),
        ),
        input_size=WHOLE_SIDE,
        resize="dense",
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        interpolation="bicubic",
        weights_hash=facts["weights_hash"],
        licence="Apache-2.0",
        languages=("en",),
        patch=STRIDE,
        size_mb=facts["size_mb"],
        abilities=("text", "dense", "received"),
        limits=LIMITS,
        extra={"query_sides": facts["query_sides"]},
    )


class BuiltinEncoder(EncodesImages, EncodesTexts):
    """Pictures in the space ``look``, questions in words in the space ``words``.

    ``look`` is the pooled feature map, whitened on unrelated pictures. ``words`` is ConSE. All
    methods may be called from several threads; networks and sentence model load on first use.

    Args:
        threads: threads of one pass; None for onnxruntime's choice.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.card = builtin_card()
        self._threads = threads or 0

    @cached_property
    def _sight(self) -> Sight:
        return Sight(self._threads)

    @cached_property
    def _sentences(self) -> Sentences:
        return Sentences(self._threads)

    @cached_property
    def _whitening(self) -> tuple[Floats, Floats]:
        arrays = load_arrays("whitening.npz")
        return arrays["mean"].astype(np.float32), arrays["matrix"].astype(np.float32)

    @cached_property
    def _concepts(self) -> Concepts:
        head, names = load_arrays("classifier.npz"), load_arrays("concepts.npz")
        return Concepts(
            head["weight"].astype(np.float32),
            head["bias"].astype(np.float32),
            names["classes"].astype(np.float32),
            names["mean"].astype(np.float32),
            names["basis"].astype(np.float32),
            float(names["temperature"]),
        )

    @cached_property
    def _calibrations(self) -> dict[str, Calibration]:
        arrays = load_arrays("calibration.npz")
        found = {}
        for space in self.card.spaces:
            slope, intercept, cutoff = (
                float(arrays[f"{space.name}_{part}"]) for part in ("slope", "intercept", "cutoff")
            )
            cohort = arrays[f"{space.name}_cohort"].astype(np.float32)
            found[space.name] = Calibration(cohort, slope, intercept, cutoff)
        return found

    @cached_property
    def _unfamiliar(self) -> tuple[np.float32, np.float32]:
        """Usual familiarity of a question, and the handicap for each unit below it."""
        arrays = load_arrays("calibration.npz")
        return np.float32(arrays["words_usual"]), np.float32(arrays["words_price"])

    def calibration(self, space: str) -> Calibration | None:
        """What a score of a question means; fitted on scenes that are in no reported figure."""
        return self._calibrations.get(space)

    def cells(self, pixels: Pixels, long_side: int) -> Floats:
        """The raw map float32 ``[rows, cols, 1280]`` of one picture at a long side in pixels."""
        height, width = pixels.shape[:2]
        return self._sight.cells(resize(pixels, *input_shape(width, height, long_side)))

    def image_features(
        self,
        pictures: Sequence[Pixels],
        *,
        want: frozenset[str] = frozenset(),
        block: int = -1,
    ) -> ImageFeatures:
        """Whole-picture vectors in both spaces, from one small pass each.

        Args:
            pictures: N pictures uint8 ``[H, W, 3]``.
            want: empty, or ``received``: a stand-in for received attention, float32
                ``[N, 1, 49]`` on a grid of 7 x 7 (``shares``). The network has no attention.
            block: not looked at; there is one map.

        Raises:
            UsageError: ``want`` asks for what a convolutional network has not.
        """
        if want - {"received"}:
            raise UsageError(
                f"`want` is {sorted(want)}, but builtin has no tokens and no attention; it may be "
                "`received`. Use an open_clip or hf encoder, or dense_features."
            )
        maps = [self.cells(p, WHOLE_SIDE) for p in pictures]
        means = [cells.mean((0, 1)) for cells in maps]
        # One at a time: in a product of matrices a row's last bits depend on its neighbours.
        look, words = (
            np.stack([self.project(mean, space.name) for mean in means])
            for space in self.card.spaces
        )
        features = ImageFeatures(look, others={"words": words})
        if "received" in want:
            features.received = np.stack([self.shares(cells).reshape(1, -1) for cells in maps])
            features.grid = (GRID, GRID)
        return features

    def shares(self, cells: Floats) -> Floats:
        """How much of the whole picture's vector each place makes: float32 ``[7, 7]``.

        Stands in for the attention that places receive, which a convolutional network has not. The
        vector in ``look`` is a mean of cells up to its length, so it falls apart exactly into
        what each cell adds along it: ``<x, m> / (P <m, m>)`` for a whitened cell ``x`` of P and
        their mean ``m``. These sum to 1, need no temperature, and a cell that pulls the other way
        has a share below 0. Nothing says that a transformer attends so; it is the nearest thing
        with the same reading: the lower, the less the vector tells of the place.

        Args:
            cells: float32 ``[rows, cols, 1280]``, as ``cells`` gives them.

        Returns:
            float32 ``[7, 7]``, interpolated where the map has another shape; about 1 in sum.
        """
        mean, matrix = self._whitening
        middle: Floats = (cells.mean((0, 1)) - mean) @ matrix
        along = (cells - mean) @ (matrix @ (middle / max(float(middle @ middle), 1e-12)))
        return _stretch(np.asarray(along, np.float32), GRID) / np.float32(GRID * GRID)

    def query_features(self, pictures: Sequence[Pixels], *, alone: bool = True) -> Floats:
        """How a picture is asked with: float32 ``[N, D]`` in ``look``, unit length.

        The mean over several sizes and a mirror image: a thing to be found in a scene is smaller
        there than in its own picture, and may look the other way. Where the thing is not alone
        (it stands on a background that tells nothing), the picture is seen larger and its middle
        counts most.
        """
        sides = self.card.extra["query_sides"]["alone" if alone else "placed"]
        rows = []
        for pixels in pictures:
            views = [
                self.project(_pool(self.cells(view, side), middle=not alone), "look")
                for side in sides
                for view in (pixels, np.ascontiguousarray(pixels[:, ::-1]))
            ]
            rows.append(np.mean(views, axis=0))
        return unit(np.stack(rows))

    def dense_features(self, pixels: Pixels, *, long_side: int) -> DenseFeatures:
        """Map of one picture; ``lead`` holds the cells already whitened."""
        height, width = pixels.shape[:2]
        cells = self.cells(pixels, long_side)
        rows, cols, channels = cells.shape
        mean, matrix = self._whitening
        lead: Floats = np.asarray((cells.reshape(-1, channels) - mean) @ matrix, np.float32)
        return DenseFeatures(
            cells, width / cols, height / rows, width, height, lead.reshape(rows, cols, -1)
        )

    def project(self, means: Floats, space: str) -> Floats:
        """Pooled features float32 ``[..., 1280]`` to unit vectors of ``look`` or ``words``."""
        if space == "look":
            mean, matrix = self._whitening
            return unit((means - mean) @ matrix)
        if space == "words":
            return self._concepts.of_means(means)
        raise UsageError(f"`space` is {space!r}. Allowed: look, words.")

    def text_features(
        self, texts: Sequence[str], *, want: frozenset[str] = frozenset()
    ) -> TextFeatures:
        """Questions in words, float32 ``[N, D]`` in the space ``words``."""
        if want:
            raise UsageError(f"`want` is {sorted(want)}, but builtin gives vectors only.")
        sentences = self._sentences.encode(texts)
        usual, price = self._unfamiliar
        return TextFeatures(
            np.stack([self._concepts.of_sentences(one) for one in sentences]),
            handicap=price * (usual - self._concepts.familiarity(sentences)),
        )

    def familiarity(self, texts: Sequence[str]) -> Floats:
        """How near each text comes to any class name, float32 ``[N]``; what handicaps rest on."""
        return self._concepts.familiarity(self._sentences.encode(texts))


def _stretch(values: Floats, side: int) -> Floats:
    """A map ``[rows, cols]`` on ``[side, side]``: linear between centres, edges held."""

    def along(lines: Floats) -> Floats:
        count = lines.shape[1]
        places = (np.arange(side) + 0.5) * count / side - 0.5
        return np.stack([np.interp(places, np.arange(count), line) for line in lines])

    stretched: Floats = along(along(values).T).T.astype(np.float32)
    return stretched


def _pool(cells: Floats, *, middle: bool) -> Floats:
    """Mean of a map ``[rows, cols, C]``, or one weighted by a Gaussian around its middle."""
    if not middle:
        mean: Floats = cells.mean((0, 1))
        return mean
    down, across = (
        np.exp(-(((np.arange(n) + 0.5) / n * 2 - 1) ** 2) / (2 * MIDDLE**2))
        for n in cells.shape[:2]
    )
    weights = (down[:, None] * across).astype(np.float32)
    pooled: Floats = np.einsum("rc,rcd->d", weights / weights.sum(), cells)
    return pooled
