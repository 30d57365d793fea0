"""``open_clip:ARCH/TAG``, ``open_clip:ARCH@FILE`` and ``open_clip:local-dir:FOLDER``, from local
files only. Models whose text tower is open_clip's own are supported, the image tower may be any;
tokens, attention and maps need a plain ViT."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.encoders import weights
from needlepoint.encoders.address import Address
from needlepoint.encoders.preprocess import Preprocess, Rule, Triple
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.parts import Encoder, EncoderCard, SpaceCard

#: names open_clip gives a checkpoint, in its order of preference
WEIGHT_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
)
CONFIG_FILE = "open_clip_config.json"
PAD_RATIO = "pad_ratio"
"""A key of our own in a folder's config: see ``Preprocess.pad_ratio``."""
#: what an open_clip tokenizer from the hub consists of
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")

_RULES: dict[str, Rule] = {
    "shortest": "shortest-crop",
    "squash": "squash",
    "longest": "longest-pad",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What an address needs: architecture, weights, tokenizer and overrides of the config.

    ``model`` and ``tokenizer_source`` are names as open_clip's factory takes them.
    """

    model: str
    weights: Path
    config: dict[str, Any]
    preprocess: dict[str, Any]
    quick_gelu: bool
    licence: str
    stem: str = ""
    pad_ratio: float = 0.0


def open_open_clip(address: Address, *, device: str = "cpu", threads: int | None = None) -> Encoder:
    """Open an open_clip model from local files; never downloads.

    Raises:
        UsageError: an unknown architecture or tag, or a text tower that is not open_clip's own.
        ModelUnavailable: files are missing or do not fit the architecture.
    """
    from needlepoint.encoders.open_clip_towers import image_tower, text_tower
    from needlepoint.encoders.vit import TorchClip, TorchPlainClip

    parts = locate(address)
    if "hf_model_name" in parts.config["text_cfg"]:
        raise UsageError(
            f"model '{address}' has a text tower of transformers inside open_clip, which is not "
            "supported; use a model with open_clip's own text tower or an hf: address"
        )
    tokenize = OpenClipTokenize(address, parts)
    model = load_model(address, parts, device, threads)
    text = text_tower(model)
    if text is None:
        raise UsageError(f"model '{address}' has a text tower of an unsupported kind")
    tower = image_tower(model.visual)
    preprocess = replace(read_preprocess(model.visual), pad_ratio=parts.pad_ratio)
    dim = int(parts.config["embed_dim"])
    card = EncoderCard(
        address=str(address),
        title=f"{address.name} {address.tag}".strip() or Path(address.path).name,
        family="open_clip",
        dim=dim,
        spaces=(SpaceCard("joint", dim, "i8", ("image", "text")),),
        input_size=preprocess.size,
        resize=preprocess.rule,
        mean=preprocess.mean,
        std=preprocess.std,
        interpolation=preprocess.interpolation,
        weights_hash=weights.weights_hash([parts.weights]),
        licence=parts.licence,
        languages=("multilingual",) if tokenize.many_languages else ("en",),
        canonical=tokenize.canonical,
        padding="max_length",
        context=tokenize.context,
        patch=0 if tower is None else tower.patch,
        blocks=0 if tower is None else len(tower.blocks),
        prefix=0 if tower is None else tower.prefix,
        size_mb=weights.size_mb([parts.weights]),
        abilities=("text", "inject")
        if tower is None
        else ("text", "dense", "tokens", "attention", "received", "inject"),
        limits="whole pictures only: the image tower is not a plain ViT" if tower is None else "",
        extra={
            "shortest": preprocess.shortest,
            "rounding": preprocess.rounding,
            # the same weights with the other activation give other vectors
            "quick_gelu": parts.quick_gelu,
            "precision": address.precision or "float32",
            **({"stem": parts.stem} if parts.stem else {}),
            **({"pad_ratio": parts.pad_ratio} if parts.pad_ratio else {}),
        },
    )
    if tower is None:
        return TorchPlainClip(card, preprocess, model.visual, text, tokenize, device, threads)
    return TorchClip(card, preprocess, tower, text, tokenize, device, threads)


def locate(address: Address) -> Parts:
    """Find the files of an address and the facts open_clip keeps about it.

    Raises:
        UsageError: open_clip knows no such architecture or tag.
        ModelUnavailable: files are missing.
    """
    if not address.name:
        return _locate_folder(address)
    config = built_in(address)
    if address.path:
        if not Path(address.path).is_file():
            raise weights.missing(
                str(address), [Path(address.path).name], folder=str(Path(address.path).parent)
            )
        quick = bool(config.get("quick_gelu", False))
        return Parts(address.name, Path(address.path), config, {}, quick, "unknown")
    told = tag_facts(address)
    repo, names = hub_source(told)
    found = weights.first_present(weights.cached_snapshot(repo), names) if repo else None
    if found is None:
        files = [" or ".join(names), CONFIG_FILE] if repo else [str(told.get("url", "weights"))]
        raise weights.missing(str(address), files, repo=repo or address.name)
    licence = weights.licence_of(found.parent)
    return Parts(
        address.name,
        found,
        config,
        {k: told[k] for k in ("mean", "std", "interpolation", "resize_mode") if k in told},
        # open_clip 3 only warns when a tag was trained with QuickGELU and the name says GELU
        bool(told.get("quick_gelu", False)) or bool(config.get("quick_gelu", False)),
        licence,
    )


def tag_facts(address: Address) -> dict[str, Any]:
    """What open_clip's table says of a tag: hub source, preprocessing, QuickGELU."""
    import open_clip

    told = open_clip.get_pretrained_cfg(address.name, address.tag)
    if not told:
        tags = open_clip.list_pretrained_tags_by_model(address.name)
        raise UsageError(
            f"model '{address}': open_clip knows no tag '{address.tag}' of {address.name}; "
            f"it knows {', '.join(tags) or 'none'}"
        )
    return dict(told)


def hub_source(told: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Hub name and acceptable weight files of a tag; an empty name when it is not on the hub."""
    place = str(told.get("hf_hub", ""))
    repo, _, name = place.rpartition("/")
    return repo, (name,) if name else WEIGHT_FILES


class OpenClipTokenize:
    """open_clip's tokenizer of a model, from local files, always padded to ``context``."""

    def __init__(self, address: Address, parts: Parts) -> None:
        import open_clip

        text = parts.config["text_cfg"]
        source = str(text.get("hf_tokenizer_name", ""))
        stated = text.get("tokenizer_kwargs", {}) or {}
        clean = str(stated.get("clean", "whitespace" if source else "lower"))
        self.canonical = "clip" if clean == "lower" else clean
        self.context = int(text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH))
        self.many_languages = int(text.get("vocab_size", 0)) > 200_000
        if source and address.name:
            folder = weights.cached_snapshot(source)
            absent = [n for n in TOKENIZER_FILES if weights.first_present(folder, [n]) is None]
            if absent:
                raise weights.missing(str(address), absent, repo=source)
            self.tokenizer = open_clip.tokenizer.HFTokenizer(
                str(folder),
                context_length=self.context,
                tokenizer_mode=text.get("tokenizer_mode"),
                **stated,
            )
        else:
            self.tokenizer = open_clip.get_tokenizer(parts.model)

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        return np.asarray(self.tokenizer(list(texts), context_length=self.context), np.int64)


def read_preprocess(visual: Any) -> Preprocess:
    """The preprocessing open_clip keeps beside its image tower."""
    told = visual.preprocess_cfg
    size = told["size"]
    sides = {int(s) for s in size} if isinstance(size, (tuple, list)) else {int(size)}
    if len(sides) != 1:
        raise UsageError(f"preprocess size: the input must be square, received {size}")
    return Preprocess(
        size=sides.pop(),
        rule=_RULES[told.get("resize_mode") or "shortest"],
        interpolation=told.get("interpolation") or "bicubic",
        mean=_triple(told["mean"]),
        std=_triple(told["std"]),
        rounding="half-even",
    )


def _triple(values: Any) -> Triple:
    many = tuple(values) if isinstance(values, (tuple, list)) else (values,) * 3
    return float(many[0]), float(many[1]), float(many[2])


def built_in(address: Address) -> dict[str, Any]:
    """The architecture file of open_clip that an address names."""
    import open_clip

    config = open_clip.get_model_config(address.name)
    if config is None:
        near = difflib.get_close_matches(address.name, open_clip.list_models(), n=3, cutoff=0.5)
        raise UsageError(
            f"model '{address}': open_clip knows no architecture '{address.name}'"
            + (f"; did you mean {', '.join(near)}?" if near else "")
        )
    return dict(config)


def _locate_folder(address: Address) -> Parts:
    folder = Path(address.path)
    found = weights.first_present(folder, WEIGHT_FILES)
    config_path = folder / CONFIG_FILE
    absent = [CONFIG_FILE] if not config_path.is_file() else []
    if found is None:
        absent.append(" or ".join(WEIGHT_FILES))
    if found is None or absent:
        raise weights.missing(str(address), absent, folder=str(folder))
    told = weights.read_json(config_path)
    config = told.get("model_cfg")
    if not isinstance(config, dict):
        raise ModelUnavailable(f"{config_path} has no model_cfg")
    if config.get("text_cfg", {}).get("hf_tokenizer_name"):
        absent = [n for n in TOKENIZER_FILES if not (folder / n).is_file()]
        if absent:
            raise weights.missing(str(address), absent, folder=str(folder))
    return Parts(
        f"local-dir:{folder}",
        found,
        config,
        {},
        bool(config.get("quick_gelu", False)),
        weights.licence_of(folder),
        str(told.get("stem", "")),
        float(told.get(PAD_RATIO, 0)),
    )


def load_model(address: Address, parts: Parts, device: str, threads: int | None) -> Any:
    """open_clip's module with the weights of an address, in eval mode, frozen.

    Raises:
        ModelUnavailable: the files do not fit the architecture.
    """
    import open_clip

    from needlepoint.encoders.stem import check_stem, filled_later, put_stem
    from needlepoint.encoders.torch_tools import ready

    local = parts.model.startswith("local-dir:")
    if parts.stem:
        check_stem(parts.stem, parts.config, str(address))
    try:
        with filled_later() if parts.stem else nullcontext():
            model = open_clip.create_model(
                parts.model,
                pretrained=None if local else str(parts.weights),
                device=device,
                precision="fp32",
                force_quick_gelu=parts.quick_gelu,
                force_preprocess_cfg=parts.preprocess,
                load_weights=not parts.stem,
                require_pretrained=not parts.stem,
            )
        if parts.stem:
            put_stem(model.visual, threads)
            open_clip.load_checkpoint(model.to(device), str(parts.weights))
    except (RuntimeError, ValueError, OSError, json.JSONDecodeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelUnavailable(
            f"model '{address}': {parts.weights} does not load: {' '.join(lines[:2])}"
        ) from error
    return ready(model, device, address.precision)
