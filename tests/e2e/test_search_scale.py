"""The program that measures search runs, and finds an exact search exact."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "search_scale.py"


def test_a_small_run_is_exact_and_leaves_a_row(tmp_path: Path) -> None:
    table = tmp_path / "scale.csv"
    size = ["--pictures", "80", "--regions", "4", "--dim", "64", "--questions", "4"]
    subprocess.run(
        [sys.executable, PROGRAM, *size, "--judged", "2", "--core", "0", "--csv", table],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
    )
    with table.open() as file:
        (row,) = csv.DictReader(file)
    assert row["mode"] == "exact"
    assert float(row["recall_at_10"]) == 1
    assert float(row["disk_mb"]) > 0
