"""``needlepoint export``: an encoder as ONNX files that run without torch (``onnx:FOLDER``).

Written: ``image.onnx`` (pixels to unit vectors, and to the raw tokens of the last block for a
plain ViT), ``text.onnx`` and ``tokenizer.json`` where there are words, and ``card.json``. Each
file is run again with onnxruntime, and the largest difference from torch goes into the card.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from needlepoint.encoders.address import open_encoder, parse
from needlepoint.encoders.onnx import CARD, FORMAT, IMAGE, TEXT, TOKENIZER, OnnxClip, open_onnx
from needlepoint.encoders.tokenizer_json import tokenizer_json
from needlepoint.encoders.torch_tools import pick
from needlepoint.encoders.vit import TorchClip, TorchImages, TorchPlainClip, TorchViT
from needlepoint.errors import ModelUnavailable, NeedlepointError, UsageError

TOLERANCE = 1e-4
"""Largest difference of a unit vector's component that an export may have."""

_PROBES = (
    "a photo of a dog",
    "Two RED bicycles, one duck; & three cats!",
    "it's 3 o'clock: naïve café – 北京 🦆",
    "under_score and   many    spaces",
    " ".join(["long"] * 120),
)


def export(address: str, folder: str | Path) -> dict[str, Any]:
    """Write an encoder as ONNX files and check them against torch.

    Args:
        address: a torch encoder (``open_clip:`` or ``hf:``).
        folder: where to write; created when absent, must not hold another model.

    Returns:
        What was measured: ``image_max_difference``, ``tokens_max_difference`` and
        ``text_max_difference`` (largest absolute difference; None where there is no such output)
        and ``files`` with their bytes.

    Raises:
        UsageError: not a torch encoder, or a folder that is not empty.
        ModelUnavailable: the model, or the packages that write ONNX, are not on this machine.
        NeedlepointError: the files differ from torch by more than ``TOLERANCE``, or the tokenizer
            by one id; nothing of use is left in the folder.
    """
    target = Path(folder).expanduser()
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(f"folder: {target} is not empty; name a new one")
    absent = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if absent:
        raise ModelUnavailable(
            f"export needs {' and '.join(absent)}: pip install 'needlepoint[torch]'"
        )
    if parse(address).precision:
        raise UsageError(f"model '{address}': export writes float32; leave out '+bf16'")
    encoder = open_encoder(address)
    if not isinstance(encoder, (TorchViT, TorchImages)):
        raise UsageError(f"model '{address}' is not a torch encoder; only those can be exported")
    if stem := encoder.card.extra.get("stem"):
        raise UsageError(
            f"model '{address}' stands on the stem '{stem}', a network of its own that is not "
            "part of its weights; it cannot be exported"
        )
    target.mkdir(parents=True, exist_ok=True)
    plain, words = isinstance(encoder, TorchViT), False
    side, pad = encoder.preprocess.size, 0
    pixels = torch.rand(2, 3, side, side)
    _write(_Image(encoder), pixels, target / IMAGE, "pixels", ["vector", "tokens"][: 1 + plain])
    if isinstance(encoder, (TorchClip, TorchPlainClip)):
        words = True
        ids = encoder.token_ids(_PROBES)
        pad = int(encoder.token_ids([""])[0, -1])
        _write(_Text(encoder), torch.from_numpy(ids[:2]), target / TEXT, "ids", ["vector"])
        (target / TOKENIZER).write_text(tokenizer_json(encoder.tokenize), encoding="utf-8")
    told: dict[str, Any] = {
        "format": FORMAT,
        "from": address,
        "card": {**asdict(encoder.card), "abilities": _abilities(words, plain)},
        "preprocess": asdict(encoder.preprocess),
        "grid": [side // encoder.card.patch] * 2 if plain else None,
        "text": words,
        "pad_id": pad,
    }
    (target / CARD).write_text(json.dumps(told, indent=1), encoding="utf-8")
    told["measured"] = _measure(encoder, target)
    (target / CARD).write_text(json.dumps(told, indent=1), encoding="utf-8")
    files = {path.name: path.stat().st_size for path in sorted(target.iterdir())}
    return {**told["measured"], "files": files}


class _Image(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, encoder: TorchViT | TorchImages) -> None:
        super().__init__()
        self._encoder = encoder

    def forward(self, pixels: Any) -> Any:
        if isinstance(self._encoder, TorchImages):
            return torch.nn.functional.normalize(self._encoder.forward(pixels), dim=-1)
        tower = self._encoder.tower
        tokens, context = tower.embed(pixels)
        for block in tower.blocks:
            tokens = tower.run(block, tokens, context)
        vector = torch.nn.functional.normalize(tower.pool(tokens), dim=-1)
        return vector, tokens[:, tower.prefix :]


class _Text(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, encoder: TorchClip | TorchPlainClip) -> None:
        super().__init__()
        self._tower = encoder.text

    def forward(self, ids: Any) -> Any:
        tokens = self._tower.start(self._tower.words(ids))
        for block in self._tower.blocks:
            tokens = self._tower.run(block, tokens)
        ends = pick(tokens, self._tower.where(ids))
        pooled = self._tower.joint(self._tower.final(ends))
        return torch.nn.functional.normalize(pooled, dim=-1)


def _write(module: Any, example: Any, path: Path, name: str, outputs: list[str]) -> None:
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            str(path),
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _measure(encoder: Any, folder: Path) -> dict[str, float | None]:
    """Run both on the same probes; an export that differs too much is an error."""
    exported = open_onnx(folder)
    rng = np.random.default_rng(0)
    sizes = ((240, 320), (320, 240), (97, 61))
    pictures = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    want = frozenset({"tokens"} if isinstance(encoder, TorchViT) else ())
    ours = encoder.image_features(pictures, want=want)
    theirs = exported.image_features(pictures, want=want)
    measured: dict[str, float | None] = {
        "image_max_difference": _difference(ours.vector, theirs.vector),
        "tokens_max_difference": None,
        "text_max_difference": None,
    }
    if want:
        measured["tokens_max_difference"] = _difference(ours.tokens, theirs.tokens)
    if isinstance(exported, OnnxClip):
        ids = exported.text_features(_PROBES, want=frozenset({"ids"})).ids
        wrong = np.flatnonzero((ids != encoder.token_ids(_PROBES)).any(axis=1))
        if len(wrong):
            raise NeedlepointError(
                f"export: the tokenizer in {folder} reads {_PROBES[wrong[0]][:60]!r} differently"
            )
        measured["text_max_difference"] = _difference(
            encoder.text_features(_PROBES).vector, exported.text_features(_PROBES).vector
        )
    for name in ("image_max_difference", "text_max_difference"):
        if (found := measured[name]) is not None and not found <= TOLERANCE:
            raise NeedlepointError(f"export: {name} is {found:.2g}, allowed is {TOLERANCE}")
    return measured


def _difference(one: Any, other: Any) -> float:
    return float(np.abs(one - other).max())


def _abilities(words: bool, plain: bool) -> list[str]:
    return [name for name, has in (("text", words), ("tokens", plain)) if has]
