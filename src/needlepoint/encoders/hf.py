"""``hf:ORG/NAME@REVISION`` and ``hf:FOLDER``: CLIP, SigLIP, SigLIP 2 (fixed resolution), DINOv2
with and without registers, DINOv3 ViT, BLIP-2 with its image-text-retrieval head, through
transformers, from local files only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.encoders import weights
from needlepoint.encoders.address import Address
from needlepoint.encoders.preprocess import Preprocess, Rule, Triple
from needlepoint.encoders.text import CANONICAL
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.parts import Encoder, EncoderCard, SpaceCard

JOINT = ("clip", "siglip")
LOOK = ("dinov2", "dinov2_with_registers", "dinov3_vit")
QUERIES = ("blip-2",)

#: alternatives of one file, in order of preference
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
TOKENIZER_FILES = ("tokenizer.json", "spiece.model", "vocab.json")
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")

#: a key of our own in a processor's file: see ``Preprocess.pad_ratio``
PAD_RATIO = "pad_ratio"

_FILTER_NAMES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_IMAGENET: dict[str, Any] = {
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
_OPENAI: dict[str, Any] = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "resample": 3,
}
#: what a processor assumes where its file is silent, by the family of the model
_ASSUMED: dict[str, dict[str, Any]] = {
    "clip": _OPENAI,
    "siglip": {
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": {"height": 224, "width": 224},
        "resample": 3,
    },
    "blip-2": {
        **{k: _OPENAI[k] for k in ("image_mean", "image_std", "resample")},
        "size": {"height": 224, "width": 224},
    },
    "dinov2": _OPENAI,
    "dinov2_with_registers": _OPENAI,
    "dinov3_vit": {**_IMAGENET, "size": {"height": 224, "width": 224}, "resample": 2},
}


def open_hf(address: Address, *, device: str = "cpu", threads: int | None = None) -> Encoder:
    """Open a Hugging Face model from a folder or the hub cache; never downloads.

    Raises:
        UsageError: a model type that is not supported.
        ModelUnavailable: files are missing or the weights do not fill the model.
    """
    folder = _folder(address)
    config = weights.read_json(folder / "config.json")
    kind = str(config.get("model_type", ""))
    _check_kind(kind, str(address))
    files = _weight_files(folder, address)
    _require(address, folder, [PROCESSOR_FILES, *([] if kind in LOOK else [TOKENIZER_FILES])])
    preprocess = read_preprocess(folder, kind)

    facts: dict[str, Any] = {
        "address": str(address),
        "title": address.name or folder.name,
        "family": kind,
        "input_size": preprocess.size,
        "resize": preprocess.rule,
        "mean": preprocess.mean,
        "std": preprocess.std,
        "interpolation": preprocess.interpolation,
        "weights_hash": weights.weights_hash(files),
        "licence": weights.licence_of(folder),
        "size_mb": weights.size_mb(files),
        "extra": {
            "shortest": preprocess.shortest,
            "rounding": preprocess.rounding,
            **({"pad_ratio": preprocess.pad_ratio} if preprocess.pad_ratio else {}),
            "precision": address.precision or "float32",
        },
    }
    if kind in QUERIES:
        from needlepoint.encoders.qformer import CONTEXT, open_qformer

        tokenize = HfTokenize(folder, CONTEXT, "blip")
        return open_qformer(address, folder, facts, preprocess, tokenize, device, threads)
    model = _load(folder, device, address)
    if kind in LOOK:
        return _open_look(model, facts, preprocess, device, threads)
    return _open_joint(model, facts, preprocess, folder, device, threads)


def _open_look(
    model: Any, facts: dict[str, Any], preprocess: Preprocess, device: str, threads: int | None
) -> Encoder:
    from needlepoint.encoders.hf_towers import DinoImages
    from needlepoint.encoders.vit import TorchLook

    tower = DinoImages(model)
    dim = int(model.config.hidden_size)
    card = EncoderCard(
        **facts,
        dim=dim,
        spaces=(SpaceCard("look", dim, "i8", ("image",)),),
        languages=(),
        patch=tower.patch,
        blocks=len(tower.blocks),
        prefix=tower.prefix,
        abilities=("dense", "tokens", "attention", "received"),
        limits="pictures and pieces of pictures only; no words",
    )
    return TorchLook(card, preprocess, tower, device, threads)


def _open_joint(
    model: Any,
    facts: dict[str, Any],
    preprocess: Preprocess,
    folder: Path,
    device: str,
    threads: int | None,
) -> Encoder:
    from needlepoint.encoders.hf_towers import ClipImages, ClipTexts, SiglipImages, SiglipTexts
    from needlepoint.encoders.vit import TorchClip

    clip = facts["family"] == "clip"
    image, text = (
        (ClipImages(model), ClipTexts(model, device))
        if clip
        else (SiglipImages(model), SiglipTexts(model))
    )
    context = int(model.config.text_config.max_position_embeddings)
    tokenize = HfTokenize(folder, context, "none" if clip else _canonical(folder))
    dim = int(model.config.projection_dim if clip else model.config.vision_config.hidden_size)
    card = EncoderCard(
        **facts,
        dim=dim,
        spaces=(SpaceCard("joint", dim, "i8", ("image", "text")),),
        languages=("multilingual",) if tokenize.canonical == "lower" else ("en",),
        canonical=tokenize.canonical,
        padding="max_length",
        context=context,
        patch=image.patch,
        blocks=len(image.blocks),
        prefix=image.prefix,
        abilities=("text", "dense", "tokens", "attention", "received", "inject"),
    )
    return TorchClip(card, preprocess, image, text, tokenize, device, threads)


class HfTokenize:
    """A tokenizer from a local folder that always pads to ``context`` tokens."""

    def __init__(self, folder: Path, context: int, canonical: str) -> None:
        from transformers import AutoTokenizer

        self.canonical = canonical
        self._context = context
        self._clean = CANONICAL[canonical]
        self.tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        found = self.tokenizer(
            [self._clean(text) for text in texts],
            padding="max_length",
            max_length=self._context,
            truncation=True,
        )
        return np.asarray(found["input_ids"], np.int64)


def read_preprocess(folder: Path, kind: str) -> Preprocess:
    """The preprocessing that ``preprocessor_config.json`` (or its newer form) states.

    Raises:
        UsageError: a rule this module does not have.
    """
    path = weights.first_present(folder, PROCESSOR_FILES)
    stated = weights.read_json(path) if path else {}
    stated = stated.get("image_processor", stated)
    told = {**_ASSUMED[kind], **{k: v for k, v in stated.items() if v is not None}}
    where = f"{path}: "
    if not told.get("do_resize", True) or not told.get("do_rescale", True):
        raise UsageError(where + "do_resize and do_rescale must be true")
    if abs(float(told.get("rescale_factor", 1 / 255)) * 255 - 1) > 1e-6:
        raise UsageError(where + f"rescale_factor must be 1/255, received {told['rescale_factor']}")
    size = told["size"]
    size = {"shortest_edge": size} if isinstance(size, int) else size
    rule: Rule = "shortest-crop" if "shortest_edge" in size else "squash"
    if rule == "shortest-crop":
        if not told.get("do_center_crop", True):
            raise UsageError(where + "a shortest-edge resize without a centre crop gives no square")
        shortest, target = int(size["shortest_edge"]), told["crop_size"]
    else:
        shortest, target = 0, size
    target = {"height": target, "width": target} if isinstance(target, int) else target
    if target.get("height") != target.get("width"):
        raise UsageError(where + f"the input must be square, received {target}")
    plain, pad_ratio = not told.get("do_normalize", True), float(told.get(PAD_RATIO, 0))
    return Preprocess(
        size=int(target["height"]),
        rule=rule,
        interpolation=_FILTER_NAMES.get(int(told["resample"]), str(told["resample"])),
        mean=(0.0, 0.0, 0.0) if plain else _triple(told["image_mean"]),
        std=(1.0, 1.0, 1.0) if plain else _triple(told["image_std"]),
        shortest=shortest,
        rounding="half-even" if pad_ratio else "floor",  # as those who pad have cropped
        pad_ratio=pad_ratio,
    )


def _triple(values: Sequence[float]) -> Triple:
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def _check_kind(kind: str, address: str) -> None:
    if kind in (*JOINT, *LOOK, *QUERIES):
        return
    if kind == "siglip2":
        raise UsageError(
            f"model '{address}' is a SigLIP 2 NaFlex model, whose variable resolution is not "
            "supported; use a fixed-resolution one, for example hf:google/siglip2-base-patch16-224"
        )
    raise UsageError(
        f"model '{address}' is of type '{kind}'; supported: {', '.join((*JOINT, *LOOK, *QUERIES))}"
    )


def _canonical(folder: Path) -> str:
    """SigLIP strips punctuation; SigLIP 2 (Gemma's vocabulary) was trained on lower case only."""
    path = folder / "tokenizer_config.json"
    named = str(weights.read_json(path).get("tokenizer_class", "")) if path.is_file() else ""
    return "lower" if named.startswith(("Gemma", "Siglip2")) else "siglip"


def _folder(address: Address) -> Path:
    if address.path:
        folder: Path | None = Path(address.path)
    else:
        folder = weights.cached_snapshot(address.name, address.revision)
    if folder is None or not (folder / "config.json").is_file():
        raise _missing(address, ["config.json", *_names(WEIGHT_FILES, PROCESSOR_FILES)], words=True)
    return folder


def _names(*groups: Sequence[str]) -> list[str]:
    return [" or ".join(group) for group in groups]


def _missing(address: Address, files: list[str], words: bool = False) -> ModelUnavailable:
    if words:
        files = [
            *files,
            f"{' or '.join(TOKENIZER_FILES)} and tokenizer_config.json (for models with words)",
        ]
    return weights.missing(str(address), files, repo=address.name, folder=address.path)


def _require(address: Address, folder: Path, groups: Sequence[Sequence[str]]) -> None:
    absent = [group for group in groups if weights.first_present(folder, group) is None]
    if absent:
        raise _missing(address, _names(*absent))


def _weight_files(folder: Path, address: Address) -> list[Path]:
    found = weights.first_present(folder, WEIGHT_FILES)
    if found is None:
        raise _missing(address, _names(WEIGHT_FILES))
    if found.suffix != ".json":
        return [found]
    shards = sorted(set(weights.read_json(found).get("weight_map", {}).values()))
    absent = [name for name in shards if not (folder / name).is_file()]
    if absent or not shards:
        raise _missing(address, absent or ["the weight files listed in " + found.name])
    return [folder / name for name in shards]


def _load(folder: Path, device: str, address: Address) -> Any:
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    from needlepoint.encoders.torch_tools import ready

    logging.disable_progress_bar()  # one line a model on stderr would pass for our own talk
    model, report = AutoModel.from_pretrained(
        str(folder), local_files_only=True, dtype=torch.float32, output_loading_info=True
    )
    if absent := sorted(report["missing_keys"]):
        # transformers would fill these with random numbers and go on
        raise ModelUnavailable(
            f"model '{address}': the weights in {folder} lack {len(absent)} tensors, first "
            f"{absent[0]}; the file is damaged or belongs to another model"
        )
    return ready(model, device, address.precision)
