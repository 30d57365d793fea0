"""What tests of the server share: the pictures served, and the type of ``ask``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "pictures"
NAMES = (
    *("photo-cat", "photo-coffee", "photo-rocket", "photo-astronaut", "photo-dogs", "photo-wine"),
    *("desk-00", "desk-01", "kitchen-04", "toys-08", "yard-00", "yard-01"),
)

Ask = Callable[..., TestClient]
