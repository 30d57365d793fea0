"""MaO: one vector a picture that stands for all of its objects, however small.

Multi-object Attention Optimization, arXiv 2503.07038. Shapes: R objects, S side of the encoder's
input, D dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.objects import open_objects
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import Encoder, EncoderCard, Floats
from needlepoint.picture import Picture, Pixels
from needlepoint.regions.cropped import encode_all, squeezed
from needlepoint.regions.crops import ReleasedCrops, square_around
from needlepoint.regions.describe import Description
from needlepoint.regions.masks import Mask, resize_mask
from needlepoint.regions.objects import Objects, ObjectSource, box_mask
from needlepoint.search.fusion import BEST, WHOLE, Fusion

if TYPE_CHECKING:
    from needlepoint.encoders.last_block import LastBlocks

NAME = "mao"


@dataclass(frozen=True, slots=True)
class Options:
    """What may be told to MaO; ``auto`` leaves it to the mode.

    ``stage`` ``a`` is the mean of the crops' vectors, ``b`` refines it. ``mode`` ``reference`` is
    the paper, ``released`` the authors' code. ``tokens``: one for all crops (``joint``), one each
    (``per-crop``, kept as regions), or the mean of those (``averaged``). ``objects``: where they
    come from (see ``open_objects``); ``shape``: their masks, or their boxes as masks. ``crops``:
    squares from the ``original``, cut as ``released``, or the ``whole`` picture against the union
    of the masks. ``layer``: the attention of the last ``block`` or of a pooling ``head``. ``loss``
    soft IoU or Dice; ``norm``: maps scaled per ``crop`` or over the picture's ``batch`` of crops.
    ``steps`` of AdamW at rate ``lr``; ``alpha`` of the pull towards the crops' own vectors;
    ``min_side`` of a crop in pixels, 0 for the encoder's input.
    """

    stage: Literal["a", "b"] = "b"
    mode: Literal["reference", "released"] = "reference"
    tokens: Literal["auto", "joint", "per-crop", "averaged"] = "auto"
    objects: str = "ncut"
    shape: Literal["mask", "box"] = "mask"
    crops: Literal["auto", "original", "released", "whole"] = "auto"
    layer: Literal["auto", "block", "head"] = "auto"
    loss: Literal["auto", "iou", "dice"] = "auto"
    norm: Literal["auto", "crop", "batch"] = "auto"
    steps: str = "auto"
    alpha: float = 0.03
    lr: float = 0.1
    min_side: int = 0

    def __post_init__(self) -> None:
        if self.steps != "auto" and not self.steps.isdecimal():
            raise UsageError(
                f"method {NAME}: steps is {self.steps!r}. Allowed: auto, or a number from 0."
            )
        if not (self.alpha >= 0 and 0 < self.lr < np.inf and self.min_side >= 0):
            raise UsageError(
                f"method {NAME}: alpha is {self.alpha:g}, lr {self.lr:g}, min_side "
                f"{self.min_side}. Allowed: alpha and min_side of at least 0, lr above 0."
            )

    @property
    def kept(self) -> str:
        """How many tokens: ``joint``, ``per-crop`` or ``averaged``."""
        return _told(self.tokens, self, "joint", "per-crop")

    @property
    def cut(self) -> str:
        """How crops are made: ``original``, ``released`` or ``whole``."""
        return _told(self.crops, self, "original", "released")

    @property
    def count(self) -> int:
        """Steps of stage B: 80 (paper), 100 (the released configuration)."""
        return int(_told(self.steps, self, "80", "100"))

    @property
    def overlap(self) -> Literal["iou", "dice"]:
        """What is maximised."""
        return "dice" if _told(self.loss, self, "iou", "dice") == "dice" else "iou"

    @property
    def normal(self) -> Literal["crop", "batch"]:
        """Over what the lowest and highest relevance are taken."""
        return "batch" if _told(self.norm, self, "crop", "batch") == "batch" else "crop"


def _told(value: str, options: Options, reference: str, released: str) -> str:
    if value != "auto":
        return value
    return released if options.mode == "released" else reference


def read(text: str) -> Options:
    """The options of a recipe.

    Example:
        >>> read("mode=released").kept, read("steps=10").count
        ('per-crop', 10)
    """
    return read_options(Options, text, NAME)


@dataclass(frozen=True, slots=True)
class Views:
    """The k crops of a picture: pixels, masks bool ``[S, S]``, and boxes float32 ``[k, 4]``."""

    crops: list[Pixels]
    masks: list[Mask]
    boxes: Floats


def views(picture: Picture, objects: Objects, options: Options, card: EncoderCard) -> Views:
    """What of a picture stage A encodes and stage B optimises on.

    An object whose mask has no pixel at the encoder's size is left out with its box.
    """
    side, pixels = card.input_size, picture.pixels
    rows, cols = pixels.shape[:2]
    scale = np.array([picture.scale_x, picture.scale_y] * 2, np.float32)
    boxes = objects.boxes / scale
    masks = objects.masks
    if masks is None or options.shape == "box":
        masks = [box_mask(box, cols, rows) for box in boxes]
    cut: list[tuple[Pixels, Mask] | None] = []
    if options.cut == "whole":
        union = np.zeros((rows, cols), np.bool_)
        for mask in masks:
            union |= mask
        cut = [(pixels, resize_mask(union, side, side))]
        x, y = picture.size
        boxes, scale = np.array([[0, 0, x, y]], np.float32), np.ones(4, np.float32)
    elif options.cut == "released":
        cut = released_crops(card).cut(pixels, masks)
    else:
        for box, mask in zip(boxes, masks, strict=True):
            square = square_around(box, cols, rows, options.min_side or side)
            cut.append((square.cut(pixels), resize_mask(square.cut(mask), side, side)))
    kept = [i for i, one in enumerate(cut) if one is not None and one[1].any()]
    chosen = [one for one in (cut[i] for i in kept) if one is not None]
    return Views([crop for crop, _ in chosen], [mask for _, mask in chosen], (boxes * scale)[kept])


def released_crops(card: EncoderCard) -> ReleasedCrops:
    """The filter and margin that the released code has for an encoder."""
    if card.family.startswith("dino"):
        return ReleasedCrops(card.input_size, Image.Resampling.LANCZOS, 0.1, 0)
    return ReleasedCrops(card.input_size, Image.Resampling.BILINEAR, 0.0, 5)


def released_floor(card: EncoderCard) -> float | None:
    """What the released code adds to the range of a map; None where it leaves a flat map alone.

    That is for DINO and for SigLIP, known by having no class token.
    """
    return None if card.family.startswith("dino") or not card.prefix else 1e-6


@dataclass
class MaoDescriber:
    """Objects, their crops, and the vector or vectors that stand for them.

    A picture without objects keeps its plain vector; as released it is refined against a mask of
    all of it. One token is stored as the whole vector; tokens per crop are stored as regions with
    their objects' boxes, the first of them also as the whole, so that the best of all counts.
    """

    options: Options
    source: ObjectSource
    _reader: LastBlocks | None = field(default=None, repr=False)

    @property
    def recipe(self) -> str:
        """``mao`` and the options that are not the defaults."""
        return recipe_text(NAME, self.options)

    def side(self, card: EncoderCard) -> int:
        """0: objects are cut from the full size.

        Raises:
            UsageError: stage B and the encoder has no tokens; better before a folder is read.
        """
        if self.options.stage == "b" and "tokens" not in card.abilities:
            raise UsageError(
                f"method {NAME} with stage=b needs a plain vision transformer on torch, and "
                f"{card.address} is none. Use an hf: or open_clip: ViT, or --method mao:stage=a."
            )
        return 0

    def describe(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[list[Description]]:
        """See ``Describer``.

        Raises:
            UsageError: stage B and the encoder is no plain vision transformer on torch.
        """
        found = self.source.find(encoder, pictures)
        return [
            self._one(encoder, picture, objects)
            for picture, objects in zip(pictures, found, strict=True)
        ]

    def _one(self, encoder: Encoder, picture: Picture, objects: Objects) -> list[Description]:
        options = self.options
        seen = views(picture, objects, options, encoder.card)
        if not seen.crops and options.mode == "released":
            side = encoder.card.input_size
            pixels = released_crops(encoder.card).resize(picture.pixels)
            box = np.array([[0, 0, *picture.size]], np.float32)
            seen = Views([pixels], [np.ones((side, side), np.bool_)], box)
        if not seen.crops:
            tokens = encode_all(encoder, [picture.pixels])
        elif options.stage == "a":
            tokens = self._mean(encoder, seen)
        else:
            tokens = {encoder.card.spaces[0].name: self._refined(encoder, seen)}
        many = options.kept == "per-crop" and bool(seen.crops)
        boxes = seen.boxes if many else np.zeros((0, 4), np.float32)
        return [
            Description(space, rows[0], rows[: len(boxes)], boxes) for space, rows in tokens.items()
        ]

    def _mean(self, encoder: Encoder, seen: Views) -> dict[str, Floats]:
        """Stage A: the crops' vectors or their mean, unit length ``[1 or k, D]``, by space.

        The mean is of what the encoder puts out, before any normalisation, where it can tell.
        """
        if hasattr(encoder, "tower"):
            raw = {encoder.card.spaces[0].name: _array(self._blocks(encoder).vectors(seen.crops))}
        else:
            size = encoder.card.input_size
            raw = encode_all(encoder, [squeezed(crop, size) for crop in seen.crops])
        return {
            space: _unit(rows if self.options.kept == "per-crop" else rows.mean(0, keepdims=True))
            for space, rows in raw.items()
        }

    def _refined(self, encoder: Encoder, seen: Views) -> Floats:
        """Stage B: tokens of unit length, ``[1 or k, D]``."""
        import torch

        from needlepoint.regions.relevance import EPS, Aim, Refinement

        options, count = self.options, len(seen.crops)
        block = self._blocks(encoder).read(seen.crops)
        floor = released_floor(encoder.card) if options.mode == "released" else EPS
        aim = Aim.at(block, seen.masks, options.overlap, options.normal, floor)
        joint = options.kept == "joint"
        owner = torch.zeros(count, dtype=torch.long) if joint else torch.arange(count)
        owner = owner.to(block.base.device)
        tokens = _array(
            Refinement.of(block, aim, owner, options.alpha).run(options.count, options.lr)
        )
        return _unit(tokens.mean(0, keepdims=True)) if options.kept == "averaged" else tokens

    def _blocks(self, encoder: Encoder) -> LastBlocks:
        """What reads crops through this encoder; kept, for it holds copies of weights."""
        from needlepoint.encoders.last_block import LastBlocks

        reader = self._reader
        if reader is None or reader.encoder is not encoder:
            layer = self.options.layer
            if layer == "auto":
                reader = LastBlocks(encoder, "block" if self.options.mode == "released" else None)
            else:
                reader = LastBlocks(encoder, layer)
            self._reader = reader
        return reader


def _array(tensor: Any) -> Floats:
    rows: Floats = tensor.cpu().numpy().astype(np.float32)
    return rows


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return unit


def describer(text: str) -> MaoDescriber:
    """What is kept of a picture under the options of a recipe."""
    options = read(text)
    return MaoDescriber(options, open_objects(options.objects))


def fusion(text: str, card: EncoderCard) -> Fusion:
    """The one vector, or the best of the tokens per crop."""
    return BEST if read(text).kept == "per-crop" else WHOLE


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="MaO: multi-object attention optimization",
            paper="arXiv 2503.07038 (NeurIPS 2025); relevance: LeGrad, arXiv 2404.03214; one "
            "object: MaskInversion, arXiv 2407.20034",
            year=2025,
            task="fine-grained",
            parts=(
                "ObjectSource: where objects are",
                "Describer: crops through the encoder, then one token optimised so that its "
                "explanation covers every object",
                "Scorer: inner product",
            ),
            recipe="mao*",
            needs=(),
            stores="1 vector (tokens=joint, averaged), or one an object with its box (per-crop)",
            passes="one an object, what the source of objects costs, and for stage b 80 steps "
            "through the last attention of each crop",
            evidence="paper's equations",
            parameters={
                "stage": "a: mean of the crops' vectors, on every encoder; b: refined, on plain "
                "vision transformers on torch",
                "mode": "reference: the paper; released: the authors' code",
                "tokens": "joint (paper), per-crop (authors' code), averaged (an option there)",
                "objects": "ncut (ours: no detector needed); owlv2:FOLDER+sam:FOLDER (authors' "
                "code), windows:N, annotations:FILE, which looks at ground truth",
                "shape": "mask, or the box as a mask",
                "crops": "original: squares from the full size, never smaller than the encoder's "
                "input (paper); released: cut from the picture resized to the input; whole: one "
                "view against the union of the masks",
                "layer": "last block's attention (authors' code). SigLIP, reference mode: that of "
                "its pooling head, as LeGrad has it (ours), of its output before normalisation, "
                "since the cosine of a vector with itself has no derivative. Sums over more "
                "layers are not offered: only the last needs no graph through others",
                "loss": "iou (paper), dice (authors' code)",
                "norm": "crop (ours: no crop changes another's), batch (authors' code)",
                "steps": "80 (paper), 100 (authors' configuration)",
                "alpha": "0.03 (paper). The paper adds over crops, the code and we take means, "
                "which is the same up to the scale of alpha between the two terms",
                "lr": "0.1, AdamW without decay (paper). The start is the mean of outputs that "
                "are not normalised (ours): AdamW's first step moves each number by 0.1",
                "min_side": "the encoder's input (paper)",
            },
            disagreements=(
                "The paper optimises one token over all crops. No branch of the released code "
                "does: it keeps one token a crop, each an entry of its own, so its index is of "
                "many vectors a picture and average precision is taken over entries. Here "
                "pictures are what is ranked, in every mode.",
                "The paper never enlarges small objects. The released code resizes the picture "
                "to 224 pixels first and cuts objects out of that.",
                "The paper maximises IoU per crop, the code Dice over maps scaled by the lowest "
                "and highest relevance of all crops.",
                "The released code crops a gallery picture to its first annotation box where it "
                "has one; a setting against that is never read. Here only objects=annotations:FILE "
                "looks at annotations.",
                "The released detector hands back scores that suppression has not thinned out, "
                "so they belong to other boxes. Here they are aligned.",
                "The released CLIP path fails with two or more masks, its reader of CLIP masks "
                "imports a module that is not there, and the documented key of masks is never "
                "read, so that every picture gets a mask of all of it (seen by running it on "
                "small random models). Released mode is what the code evidently means to compute.",
                "The code's map for SigLIP takes the mean of tokens, which is not what its vector "
                "is made of.",
                "83.70 mAP on VoxDet is with annotated boxes and masks; with detected ones the "
                "paper reports 68.54, and optimising on the whole picture (48.24) is then worse "
                "than not optimising.",
            ),
            places=False,
        ),
        describer=describer,
        fusion=fusion,
    )
)
