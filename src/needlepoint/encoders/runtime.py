"""onnxruntime, which reports its use to its makers unless it is told not to before it loads."""

from __future__ import annotations

import os
from typing import Any


def onnxruntime() -> Any:
    """The package, loaded without its reports; whoever wants them sets the variable to 0."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
