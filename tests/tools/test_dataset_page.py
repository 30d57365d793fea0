"""The page of datasets is what the cards say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_on_disk_is_generated_from_the_cards():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "dataset_page.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
