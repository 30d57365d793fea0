"""The method pages are what the cards say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_pages_on_disk_are_generated_from_the_cards():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "method_pages.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
