"""What runs the models keeps to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
from needlepoint.encoders.address import open_encoder
open_encoder("builtin").text_features(["a cat"])
"""


def test_the_runtime_prepares_no_reports(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", CODE], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
