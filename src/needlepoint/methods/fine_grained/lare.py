"""LARE: crops of where the encoder looks least, which answer where the whole picture does not.

Low-Attention Region Encoding, arXiv 2606.18885. Shapes: N pictures, K proposed boxes, D dim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import Encoder, EncoderCard, Floats
from needlepoint.picture import Picture
from needlepoint.regions.attention import (
    Geometry,
    Proposals,
    inverse_map,
    picture_boxes,
    propose,
    seen_area,
    window_places,
    window_scores,
)
from needlepoint.regions.cropped import as_xywh, cut_box, encode_all, squeezed
from needlepoint.regions.describe import Description
from needlepoint.search.fusion import Fusion

NAME = "lare"

PUBLISHED_TAU = 0.25
"""For every encoder of the paper; measured there on SigLIP 2 alone (0.10 to 0.30)."""

OPEN_TAU = 1.0
"""A gate that is open below a perfect score."""

_PICTURES = 16  # whole pictures in one pass, so that their maps and pixels fit in memory


@dataclass(frozen=True, slots=True)
class Options:
    """What may be told to LARE; ``auto`` leaves it to the mode and the encoder.

    ``mode`` ``released`` is the authors' code number for number; ``reference`` differs in two
    ways: boxes undo a centre crop (``geometry``), and a window with a side below ``smallest`` is no
    candidate, where the code lets it take one of the n places and then drops it. ``n`` regions at
    most; ``tau`` of the gate; ``tap``, the block whose attention is read (negative from the last);
    ``heads`` of largest variance count; ``window`` and ``stride`` in pixels of the encoder's
    input; ``iou``, largest overlap of two boxes; ``smallest`` side of a crop in pixels.
    """

    mode: Literal["reference", "released"] = "reference"
    n: int = 5
    tau: str = "auto"
    tap: str = "auto"
    geometry: Literal["auto", "corrected", "released"] = "auto"
    heads: int = 4
    window: int = 64
    stride: int = 32
    iou: float = 0.3
    smallest: int = 32

    def __post_init__(self) -> None:
        for name, least in (("n", 0), ("heads", 1), ("window", 1), ("stride", 1), ("smallest", 1)):
            if (value := getattr(self, name)) < least:
                raise UsageError(f"method {NAME}: {name} is {value}. Allowed: {least} or more.")
        if not 0 <= self.iou <= 1:
            raise UsageError(f"method {NAME}: iou is {self.iou:g}. Allowed: 0 to 1.")
        for name, kind in (("tau", float), ("tap", int)):
            if (text := getattr(self, name)) != "auto":
                try:
                    kind(text)
                except ValueError:
                    raise UsageError(
                        f"method {NAME}: {name} is {text!r}. Allowed: auto, or a number."
                    ) from None

    def where(self) -> Geometry:
        """How boxes are placed: as told, else as the mode has it."""
        if self.geometry != "auto":
            return self.geometry
        return "released" if self.mode == "released" else "corrected"

    def block(self, card: EncoderCard) -> int:
        """The block whose attention is read, counted from the last (-1).

        The third from the last for towers with a class token (CLIP; ours for DINO too), the
        seventh without (SigLIP), the first where there are fewer. The built-in encoder has one map.
        """
        if self.tap != "auto":
            return int(self.tap)
        return -min(3 if card.prefix else 7, max(card.blocks, 1))

    def threshold(self, card: EncoderCard) -> float:
        """The gate's tau: 0.25 where texts and pictures share a space, else 1 (always open).

        Scores of other encoders have another scale, for which nobody has published a threshold; an
        open gate still raises by ``2 d ** 2`` at most.
        """
        if self.tau != "auto":
            return float(self.tau)
        words = card.space_for("text")
        joint = words is not None and "image" in words.answers
        return PUBLISHED_TAU if joint else OPEN_TAU


def read(text: str) -> Options:
    """The options of a recipe.

    Example:
        >>> read("mode=released,n=7").where()
        'released'
    """
    return read_options(Options, text, NAME)


@dataclass(frozen=True, slots=True)
class LareDescriber:
    """One pass over whole pictures that also tells their attention, one over all their crops."""

    options: Options = Options()

    @property
    def recipe(self) -> str:
        """``lare`` and the options that are not the defaults."""
        return recipe_text(NAME, self.options)

    def side(self, card: EncoderCard) -> int:
        """0: crops are cut from the full size, as released."""
        return 0

    def describe(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[list[Description]]:
        """See ``Describer``; boxes are x, y, w, h in original pixels, best first.

        Costs 1 + n passes a picture, n up to ``options.n``. A box too small to be encoded is left
        out with its vector, so that the two stay aligned; ``proposals`` tells of all.

        Raises:
            UsageError: the encoder cannot tell which places receive attention.
        """
        found = []
        for some, wholes, proposed in self._looked_at(encoder, pictures):
            boxes = [as_xywh(one.boxes[one.large]) for one in proposed]
            crops = [
                squeezed(cut_box(picture, box), encoder.card.input_size)
                for picture, rows in zip(some, boxes, strict=True)
                for box in rows
            ]
            regions = encode_all(encoder, crops)
            start = 0
            for i, rows in enumerate(boxes):
                stop = start + len(rows)
                found.append(
                    [Description(s, wholes[s][i], regions[s][start:stop], rows) for s in wholes]
                )
                start = stop
        return found

    def proposals(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[Proposals]:
        """All boxes proposed for each of N pictures, those too small to be encoded included.

        The released code hands back this list beside the vectors of the large boxes alone.
        """
        return [p for _, _, some in self._looked_at(encoder, pictures) for p in some]

    def _looked_at(
        self, encoder: Encoder, pictures: Sequence[Picture]
    ) -> Iterator[tuple[Sequence[Picture], dict[str, Floats], list[Proposals]]]:
        """Some pictures at a time: their whole vectors by space, and their boxes."""
        card, options = encoder.card, self.options
        if "received" not in card.abilities:
            raise UsageError(
                f"method {NAME} reads which places receive attention, and {card.address} cannot "
                "tell. Use builtin, or an open_clip or hf encoder with a plain vision transformer."
            )
        for start in range(0, len(pictures), _PICTURES):
            some = pictures[start : start + _PICTURES]
            features = encoder.image_features(
                [picture.pixels for picture in some],
                want=frozenset({"received"}),
                block=options.block(card),
            )
            assert features.received is not None
            assert features.grid is not None
            # told as a mean over query patches; eq. 1 is the sum
            received = features.received * np.float32(features.received.shape[2])
            maps = inverse_map(received, features.grid, card.input_size, options.heads)
            scores = window_scores(maps, options.window, options.stride)
            yield (
                some,
                {card.spaces[0].name: features.vector, **features.others},
                [self._boxes(card, p, row) for p, row in zip(some, scores, strict=True)],
            )

    def _boxes(self, card: EncoderCard, picture: Picture, scores: Floats) -> Proposals:
        options, (width, height), side = self.options, picture.size, card.input_size
        boxes = picture_boxes(
            window_places(side, options.window, options.stride),
            options.window,
            side,
            seen_area(card, width, height, options.where()),
            width,
            height,
        )
        return propose(
            boxes,
            scores,
            count=options.n,
            iou=options.iou,
            smallest=options.smallest,
            sides_first=options.mode == "reference",
        )


def gate(options: str, card: EncoderCard) -> Fusion:
    """Eq. 4 with the threshold of the options and the encoder."""
    return Fusion("gated", tau=read(options).threshold(card))


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="LARE: low-attention region encoding",
            paper="arXiv 2606.18885 (ICML 2026 workshop EMMQA)",
            year=2026,
            task="fine-grained",
            parts=(
                "RegionProposer: windows of lowest received attention, greedy suppression",
                "Describer: whole picture and crops through the encoder",
                "Scorer: gated fusion (eq. 4)",
            ),
            recipe="lare*",
            needs=("received",),
            stores="1 whole vector and up to N = 5 region vectors with boxes",
            passes="1 + n, n up to 5",
            evidence="authors' code",
            parameters={
                "mode": "reference: boxes undo a centre crop, windows with a short side are no "
                "candidates; released: the authors' code number for number",
                "n": "5 regions at most (paper: the best of 3, 5, 7, 10 for SigLIP 2)",
                "tau": "0.25 (paper: the best of 0.10 to 0.30 for SigLIP 2); 1, an open gate, for "
                "encoders whose words and pictures share no space (ours: none is published)",
                "tap": "third block from the last with a class token, seventh without (authors' "
                "code; the paper says an intermediate layer). DINO: as CLIP (ours). Built-in "
                "encoder, which has no attention: each cell's exact share of the pooled vector "
                "stands in for what it receives (ours)",
                "geometry": "corrected: the map covers the centre square that the encoder saw, and "
                "nothing outside it is proposed (ours); released: it is stretched over the whole "
                "picture",
                "heads": "4 of largest variance (authors' code)",
                "window": "64 pixels of the encoder's input, whatever its size (authors' code)",
                "stride": "32 pixels (authors' code)",
                "iou": "0.3 (authors' code)",
                "smallest": "32 pixels of the original (authors' code)",
            },
            disagreements=(
                "CSLS is in the authors' code alone, on by default for LARE and off for the "
                "baseline. It estimates hubs from the test questions themselves. Here it is no "
                "part of LARE but a separate, transductive option of the bench.",
                "The repository's table repeats the paper's figures on COCO and Flickr30k to the "
                "last digit, though CSLS would move them.",
                "The repository's history holds a run without CSLS at 54.23 on COCO and 82.96 on "
                "Flickr30k (R@1, SigLIP), where the baselines are 54.24 and 82.94.",
                "On Flickr30k-Dense the gain at R@1 is +6 to +8 points in the paper and +0.2 to "
                "+1.2 in the repository, after the caption file was replaced.",
                "The paper says that the gate stays shut on standard sets. Cosines of true pairs "
                "of SigLIP lie about 0.1 to 0.15, so that a gate at 0.25 is nearly always open; "
                "scores hardly move because the boost is twice the square of a few hundredths.",
                "The paper says one caption a picture in Dense-Set; the published COCO-Dense file "
                "has 15 630 captions for 3 089 pictures, 63 % of them distinct.",
                "Tap, window, stride, overlap, smallest crop and number of heads are in the code "
                "alone. The figure's word cluster means fixed windows and greedy suppression.",
                "The code stretches the map over the whole picture although CLIP saw the centre "
                "square of it: boxes are displaced and squeezed (released geometry).",
                "The code returns all proposed boxes beside the vectors of those it encoded, so "
                "the two lists may differ in length. Here they are aligned in both modes.",
                "The model card says texts are cut at 64 tokens; CLIP's tokenizer takes 77. The "
                "project page names a workshop of CVPR 2026, the paper one of ICML 2026.",
            ),
        ),
        describer=lambda options: LareDescriber(read(options)),
        fusion=gate,
        when_asked=("tau",),
    )
)
