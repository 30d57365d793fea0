"""The parts a method may choose: encoder cards, features and protocols.

Shapes: N pictures, P patches, C width, D joint dim, H heads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from needlepoint.picture import Pixels

Floats = npt.NDArray[np.float32]

Composing = Literal["sprc", "qure", "dqe_cir"]
"""How a Q-Former makes one vector of a picture and a change in words."""

Codec = Literal["f16", "i8", "b4"]
"""How region vectors are kept: float16, int8 with a scale per vector, or 4 bits per number."""


@dataclass(frozen=True, slots=True)
class SpaceCard:
    """One vector space an encoder fills. ``answers`` tells which questions are asked in it."""

    name: str
    dim: int
    codec: Codec
    answers: tuple[Literal["image", "text"], ...]


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """Everything that must be equal for two vectors to be comparable, and what a user must know.

    ``input_size`` is the side of the square the encoder sees (pixels); ``resize`` names the rule
    (``shortest-crop``, ``squash``, ``dense``); ``canonical`` names the text canonicalisation
    (``none``, ``lower``, ``siglip``); ``context`` is the padded text length in tokens.
    """

    address: str
    title: str
    family: str
    dim: int
    spaces: tuple[SpaceCard, ...]
    input_size: int
    resize: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    weights_hash: str
    licence: str
    languages: tuple[str, ...] = ("en",)
    canonical: str = "none"
    padding: str = "none"
    context: int = 0
    patch: int = 0
    blocks: int = 0
    """Transformer blocks of the image tower whose attention can be had; 0 where there are none."""
    prefix: int = 0
    """Class and register tokens before the patches."""
    size_mb: float = 0.0
    abilities: tuple[str, ...] = ()
    """Subset of ``text``, ``dense``, ``tokens``, ``attention``, ``received``, ``inject``,
    ``queries``."""
    limits: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    #: fields that say nothing about the numbers an encoder makes
    _TALK = frozenset(
        {"title", "licence", "languages", "size_mb", "limits", "abilities", "address"}
        | {"blocks", "prefix"}  # the weights tell
    )

    def facts(self) -> dict[str, Any]:
        """The fields that change a vector, ready for JSON."""
        plain = json.loads(json.dumps(asdict(self)))
        return {k: v for k, v in plain.items() if k not in self._TALK}

    def fingerprint(self) -> str:
        """Hash (16 hex digits) of all fields that change a vector."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()[:16]

    def space_for(self, modality: Literal["image", "text"]) -> SpaceCard | None:
        """The space in which questions of this kind are asked, or None."""
        return next((s for s in self.spaces if modality in s.answers), None)


@dataclass(slots=True)
class ImageFeatures:
    """What an encoder says of N pictures; ``vector`` float32 ``[N, D]``, unit length.

    ``vector`` is in the first space of the card; ``others`` holds the same pictures in its further
    spaces, by name.
    ``tokens`` float32 ``[N, P, C]``; ``attention`` float32 ``[N, H, P, P]`` or ``received``
    float32 ``[N, H, P]`` of the asked block; ``grid`` is (rows, columns) of the P patches.

    Of the last block, whichever is asked: ``pooling`` float32 ``[N, H, P]`` is the attention that
    makes the vector, of the class token or of a pooling head's learned query; ``final`` float32
    ``[N, P, C]`` the patch tokens after the final norm, ``joint`` float32 ``[N, P, D]`` the same
    through the projection of the vector, not normalised; ``length`` float32 ``[N]`` the length of
    the vector before it was normalised.
    """

    vector: Floats
    tokens: Floats | None = None
    attention: Floats | None = None
    received: Floats | None = None
    grid: tuple[int, int] | None = None
    others: dict[str, Floats] = field(default_factory=dict)
    pooling: Floats | None = None
    final: Floats | None = None
    joint: Floats | None = None
    length: Floats | None = None


@dataclass(slots=True)
class TextFeatures:
    """What an encoder says of N texts; ``vector`` float32 ``[N, D]``, unit length.

    ``handicap`` float32 ``[N]``: by how many standard deviations of the cohort a text must score
    higher before it counts as answered, because the encoder hardly knows its words.

    ``ids`` int64 ``[N, L]``; ``words`` bool ``[N, L]`` tells the tokens of the text itself from
    start, end and padding; ``ends`` int64 ``[N]`` is the position that stands for the text. As for
    pictures: ``pooling`` float32 ``[N, H, L]`` is what that position attends to in the last block,
    ``final`` ``[N, L, C]``, ``joint`` ``[N, L, D]`` and ``length`` ``[N]``.
    """

    vector: Floats
    tokens: Floats | None = None
    attention: Floats | None = None
    ids: npt.NDArray[np.int64] | None = None
    handicap: Floats | None = None
    words: npt.NDArray[np.bool_] | None = None
    ends: npt.NDArray[np.int64] | None = None
    pooling: Floats | None = None
    final: Floats | None = None
    joint: Floats | None = None
    length: Floats | None = None


@dataclass(slots=True)
class DenseFeatures:
    """One picture as a map of cells that may be pooled: the linear half of the encoder.

    ``cells`` float32 ``[rows, cols, C]``; cell (r, c) covers the pixels from
    ``(c * step_x, r * step_y)`` to ``((c + 1) * step_x, (r + 1) * step_y)`` of the picture the
    steps are given for (the original), clipped to it. The mean of any window of cells goes
    through ``DenseEncoder.project`` to become a vector. Where the encoder's first space is linear
    up to the normalisation, ``lead`` float32 ``[rows, cols, D]`` holds the cells already in it, so
    that thousands of windows cost one box filter and no projection each.

    On request, for encoders on torch: ``joint`` float32 ``[rows, cols, D]`` holds the final patch
    tokens through the projection of the vector, not normalised; ``values`` ``[rows, cols, K]``
    what cells are made of before the heads are merged (H heads side by side), and ``shares``
    ``[rows, cols, H]`` the attention that the picture's vector pools them by.
    """

    cells: Floats
    step_x: float
    step_y: float
    width: int
    height: int
    lead: Floats | None = None
    joint: Floats | None = None
    values: Floats | None = None
    shares: Floats | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a score means: how far it stands above unrelated pictures, and how often that is right.

    ``cohort`` float32 ``[M, R, D]`` holds the vectors of M pictures that have nothing to do with
    any question; a question's scores on them give the mean and spread of "nothing here"
    (cohort normalisation, Auckenthaler et al. 2000). ``slope`` and ``intercept`` turn the
    standardised score into a probability (Platt 1999); ``cutoff`` is the probability below which
    an answer is called no match.
    """

    cohort: Floats
    slope: float
    intercept: float
    cutoff: float

    def background(self, question: Floats, handicap: float = 0.0) -> tuple[float, float]:
        """Mean and standard deviation of the question's best cosine with each cohort picture.

        ``handicap`` raises the mean by so many standard deviations (see ``TextFeatures``).
        """
        best = (self.cohort @ question).max(axis=1)
        std = float(max(best.std(), 1e-6))
        return float(best.mean()) + handicap * std, std

    def probability(self, standard_score: float) -> float:
        """Chance that a picture with this standardised score is a right answer."""
        return float(1.0 / (1.0 + np.exp(-(self.slope * standard_score + self.intercept))))

    def threshold(self) -> float:
        """The standardised score at which the probability equals the cut-off."""
        return float((np.log(self.cutoff / (1.0 - self.cutoff)) - self.intercept) / self.slope)


@runtime_checkable
class Calibrated(Protocol):
    """An encoder that knows what its scores mean."""

    def calibration(self, space: str) -> Calibration | None:
        """The calibration of questions asked in a space, or None."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Pixels (and words) to numbers."""

    card: EncoderCard

    def image_features(
        self,
        pictures: Sequence[Pixels],
        *,
        want: frozenset[str] = frozenset(),
        block: int = -1,
    ) -> ImageFeatures:
        """Vectors, and what ``want`` names: fields of ``ImageFeatures``."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """An encoder with a text tower in the same or a bridged space."""

    card: EncoderCard

    def text_features(
        self, texts: Sequence[str], *, want: frozenset[str] = frozenset()
    ) -> TextFeatures:
        """Vectors of texts in the space that ``card.space_for("text")`` names."""
        ...


@runtime_checkable
class DenseEncoder(Encoder, Protocol):
    """An encoder whose one pass can be asked about every place of a picture."""

    def dense_features(self, pixels: Pixels, *, long_side: int) -> DenseFeatures:
        """Map of cells of one picture resized to ``long_side``; steps in ``pixels``' units."""
        ...

    def project(self, means: Floats, space: str) -> Floats:
        """Window means float32 ``[..., C]`` to unit vectors ``[..., D]`` of the named space."""
        ...


@runtime_checkable
class VitEncoder(Encoder, Protocol):
    """A Vision Transformer that can be run at other sizes and whose values can be pooled anew."""

    def image_features(
        self,
        pictures: Sequence[Pixels],
        *,
        want: frozenset[str] = frozenset(),
        block: int = -1,
        size: tuple[int, int] | None = None,
        stride: int = 0,
    ) -> ImageFeatures:
        """As ``Encoder``; ``size`` (height, width) and ``stride`` of patches in pixels."""
        ...

    def dense_features(
        self, pixels: Pixels, *, long_side: int, want: frozenset[str] = frozenset()
    ) -> DenseFeatures:
        """As ``DenseEncoder``; ``want`` names ``joint`` or ``values`` (with ``shares``)."""
        ...

    def merge(self, values: Floats) -> Floats:
        """Values float32 ``[..., K]``, pooled within each head, to means of cells ``[..., C]``."""
        ...

    def project(self, means: Floats, space: str) -> Floats:
        """As ``DenseEncoder``."""
        ...


@runtime_checkable
class QueryEncoder(Protocol):
    """An encoder that looks at a picture to ask with otherwise than at one to keep."""

    def query_features(self, pictures: Sequence[Pixels], *, alone: bool = True) -> Floats:
        """Unit vectors float32 ``[N, D]`` in the first space of the card.

        ``alone`` says that the thing asked for fills its picture; otherwise it stands somewhere
        in the middle of it.
        """
        ...


@runtime_checkable
class QueryTokensEncoder(Protocol):
    """An encoder that keeps a picture as K vectors and reads a picture and words in one pass."""

    card: EncoderCard

    @property
    def trained(self) -> str:
        """The method that its composed questions were learnt with, empty for none."""
        ...

    def token_vectors(self, pictures: Sequence[Pixels]) -> Floats:
        """Unit vectors float32 ``[N, K, D]``; a picture scores by the best of its K."""
        ...

    def composed_vectors(
        self, pictures: Sequence[Pixels], texts: Sequence[str], how: Composing
    ) -> Floats:
        """Unit vectors float32 ``[N, D]`` of pictures, each with its change in words."""
        ...

    def attribute_weights(self, texts: Sequence[str]) -> dict[str, Floats]:
        """How much each attribute counts for N changes, float32 ``[N]`` by its name."""
        ...
