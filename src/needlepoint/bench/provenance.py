"""What a figure hangs on beside the method: the bytes of the data, the machine, the versions."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint import __version__
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError
from needlepoint.parts import Encoder


def data_digest(protocol: Protocol) -> str:
    """Hash (12 hex digits) of the bytes of all pictures, and of the annotations where there are."""
    seen = hashlib.blake2b(digest_size=6)
    root = Path(protocol.folder)
    names = [item.file for item in protocol.gallery]
    names += sorted({one.file for one in protocol.questions if one.file})
    for name in names:
        try:
            content = hashlib.blake2b((root / name).read_bytes(), digest_size=16).digest()
        except OSError as error:
            raise UsageError(
                f"protocol {protocol.name}: {root / name} cannot be read ({error.strerror}). "
                "Give the folder that holds the pictures."
            ) from error
        seen.update(name.encode() + b"\0" + content)
    truth = root / "truth.json"
    if truth.is_file():
        seen.update(truth.read_bytes())
    return seen.hexdigest()


def machine(encoder: Encoder) -> dict[str, Any]:
    """Hardware and versions, as they stand beside every figure."""
    told: dict[str, Any] = {
        "hardware": f"{os.cpu_count()}-core-{platform.machine().lower()}",
        "processor": _processor(),
        "python": platform.python_version(),
        "needlepoint": __version__,
        "numpy": np.__version__,
    }
    for name in ("onnxruntime", "torch", "open_clip_torch", "transformers"):
        try:
            told[name] = version(name)
        except PackageNotFoundError:
            continue
    device = getattr(encoder, "device", None)
    if getattr(device, "type", "cpu") == "cuda":
        told["accelerator"] = sys.modules["torch"].cuda.get_device_name(device)
    return told


def _processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()
