"""Models of transformers from folders on this machine. Nothing here downloads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from needlepoint.errors import ModelUnavailable, UsageError

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


def load_local(folder: str, kind: str, model_class: str, device: str) -> tuple[Any, dict[str, Any]]:
    """A model in float32 for inference, and what ``preprocessor_config.json`` says (or nothing).

    Args:
        folder: with ``config.json`` and weights as transformers writes them.
        kind: ``model_type`` that the config must state.
        model_class: name of the class in transformers.
        device: of torch.

    Raises:
        ModelUnavailable: files are missing, or the weights do not fill the model.
        UsageError: a model of another type.
    """
    place = Path(folder).expanduser()
    absent = [] if (place / "config.json").is_file() else ["config.json"]
    if not any((place / name).is_file() for name in WEIGHTS):
        absent.append(" or ".join(WEIGHTS))
    if absent:
        raise ModelUnavailable(
            f"{kind} model {folder!r}: put {' and '.join(absent)} into that folder, as "
            "transformers saves them; nothing is downloaded"
        )
    found = json.loads((place / "config.json").read_text(encoding="utf-8")).get("model_type")
    if found != kind:
        raise UsageError(f"the model in {folder!r} is of type {found!r}. Allowed here: {kind}.")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ModelUnavailable(
            f"{kind} needs the optional packages of needlepoint[torch]: {error}"
        ) from error
    model, report = getattr(transformers, model_class).from_pretrained(
        str(place), local_files_only=True, dtype=torch.float32, output_loading_info=True
    )
    if lacking := sorted(report["missing_keys"]):
        raise ModelUnavailable(
            f"{kind} model {folder!r}: the weights lack {len(lacking)} tensors, first {lacking[0]}"
        )
    stated = place / "preprocessor_config.json"
    told = json.loads(stated.read_text(encoding="utf-8")) if stated.is_file() else {}
    return model.eval().to(device), told
