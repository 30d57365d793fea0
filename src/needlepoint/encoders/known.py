"""Models worth trying first: address, size, licence, languages and what each is good for.

Any other address works too when its architecture is supported; this table only saves a search.
Sizes are float32 weights, four bytes a parameter; licences are those stated on the model's page.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Use = Literal["words", "pictures", "places"]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One line of ``needlepoint models``. ``size_mb`` counts 10^6 bytes of weights."""

    address: str
    title: str
    size_mb: int
    licence: str
    languages: tuple[str, ...]
    dim: int
    good_for: tuple[Use, ...]
    note: str
    recommended_for: tuple[Use, ...] = ()


_MODELS = (
    KnownModel(
        "builtin",
        "Built-in concept search",
        42,
        "Apache-2.0",
        ("en",),
        384,
        ("pictures", "places"),
        "in the wheel; no torch, no network; words cover about a thousand everyday things",
        ("places",),
    ),
    KnownModel(
        "open_clip:ViT-B-32/datacomp_xl_s13b_b90k",
        "CLIP ViT-B/32, DataComp-XL",
        605,
        "MIT",
        ("en",),
        512,
        ("words", "pictures"),
        "the quickest CLIP-class model on a processor without a graphics card",
        ("words",),
    ),
    KnownModel(
        "open_clip:ViT-B-32-256/datacomp_s34b_b86k",
        "CLIP ViT-B/32 at 256 pixels, DataComp",
        605,
        "MIT",
        ("en",),
        512,
        ("words", "pictures"),
        "as the one above with more pixels and a longer training",
    ),
    KnownModel(
        "hf:google/siglip2-base-patch16-224",
        "SigLIP 2 base, 16-pixel patches",
        1501,
        "Apache-2.0",
        ("multilingual",),
        768,
        ("words", "pictures", "places"),
        "many languages and a finer grid; several times the time of ViT-B/32 for each picture",
    ),
    KnownModel(
        "hf:google/siglip2-base-patch32-256",
        "SigLIP 2 base, 32-pixel patches",
        1506,
        "Apache-2.0",
        ("multilingual",),
        768,
        ("words", "pictures"),
        "many languages at about the speed of ViT-B/32",
    ),
    KnownModel(
        "hf:google/siglip-base-patch16-224",
        "SigLIP base",
        813,
        "Apache-2.0",
        ("en",),
        768,
        ("words", "pictures", "places"),
        "English; smaller download than SigLIP 2",
    ),
    KnownModel(
        "open_clip:MobileCLIP-S2/datacompdr",
        "MobileCLIP S2",
        397,
        "apple-amlr (research)",
        ("en",),
        512,
        ("words", "pictures"),
        "convolutional: whole pictures only, no windows of one pass; read its licence first",
    ),
    KnownModel(
        "hf:facebook/dinov2-small",
        "DINOv2 small",
        88,
        "Apache-2.0",
        (),
        384,
        ("pictures", "places"),
        "pictures and pieces only, no words",
        ("pictures",),
    ),
    KnownModel(
        "hf:facebook/dinov3-vits16-pretrain-lvd1689m",
        "DINOv3 ViT-S/16",
        86,
        "DINOv3 License (gated)",
        (),
        384,
        ("pictures", "places"),
        "pictures and pieces only; its page asks you to accept a licence before the download",
    ),
)


def known_models() -> list[dict[str, Any]]:
    """The curated table, in order of display.

    Returns:
        One dict a model: address, title, size_mb (10^6 bytes), licence, languages, dim (0: see
        the card), good_for, note, recommended_for (``words``: the one to fetch first for words).

    Example:
        >>> [m["address"] for m in known_models() if "words" in m["recommended_for"]]
        ['open_clip:ViT-B-32/datacomp_xl_s13b_b90k']
    """
    return [asdict(model) for model in _MODELS]
