"""What an installation costs: megabytes to fetch, megabytes on disk, seconds to start.

    python benchmarks/install.py [--starts 9]

Every wheel pinned in requirements/base.txt is downloaded together with a wheel built from this
checkout, and installed into a fresh environment. Start-up times are those of new processes of that
environment, with files in the page cache; the first one, before which nothing was compiled or
read, is given by itself. A package index must be reachable through pip.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import click

from common import hardware, write_rows

ROOT = Path(__file__).parent.parent


def pip(python: str, *arguments: str) -> None:
    """Run pip quietly; its errors are shown."""
    subprocess.run(
        [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True
    )


def megabytes(folder: Path) -> float:
    """Sum of the sizes of the files below a folder, in 10^6 bytes."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6


def start(command: list[str], times: int, environment: dict[str, str]) -> dict[str, float]:
    """Milliseconds of new processes: median, the first one's, and median processor time."""
    past, spent = [], []
    for _ in range(times + 1):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        past.append((time.perf_counter() - began) * 1e3)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3)
        if done.returncode not in (0, 1):  # 1: nothing above the cut-off
            raise SystemExit(f"{command}: {done.stderr.decode()}")
    return {
        "value": statistics.median(past[1:]),
        "first": round(past[0], 1),
        "cpu": round(statistics.median(spent[1:]), 1),
        "starts": times,
    }


@click.command(help=__doc__)
@click.option("--starts", default=9, show_default=True, help="processes of each command")
def main(starts: int) -> None:
    """Measure, print, and write the CSV."""
    rows: list[dict[str, Any]] = []

    def tell(what: str, value: float, unit: str, **more: Any) -> None:
        rows.append({"what": what, "value": round(value, 1), "unit": unit, **more})
        click.echo("  ".join(f"{k}={v}" for k, v in rows[-1].items()))

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        wheels, own = folder / "wheels", folder / "own"
        pip(
            sys.executable,
            *("wheel", "--no-deps", "--wheel-dir", str(own), str(ROOT)),
        )
        pinned = str(ROOT / "requirements" / "base.txt")
        pip(
            sys.executable,
            *("download", "--only-binary=:all:", "--no-deps", "-d", str(wheels), "-r", pinned),
        )
        count = len(list(wheels.iterdir()))
        tell("own wheel, weights within", megabytes(own), "MB")
        tell("wheels of its dependencies", megabytes(wheels), "MB", files=count)
        for wheel in sorted(wheels.iterdir(), key=lambda f: -f.stat().st_size)[:5]:
            tell(f"  {wheel.name.split('-')[0]}", wheel.stat().st_size / 1e6, "MB")
        tell("all there is to fetch", megabytes(own) + megabytes(wheels), "MB", files=count + 1)

        env = folder / "env"
        venv.create(env, with_pip=False)
        empty = megabytes(env)
        target = next((env / "lib").glob("python*")) / "site-packages"
        began = time.perf_counter()
        pip(
            sys.executable,
            *("--python", str(env / "bin" / "python"), "install", "--no-index", "--no-deps"),
            *("--no-compile", *map(str, wheels.iterdir()), *map(str, own.iterdir())),
        )
        tell("installing the fetched wheels", time.perf_counter() - began, "s")
        tell("installed", megabytes(env) - empty, "MB")
        tell("  of which needlepoint", megabytes(target / "needlepoint"), "MB")

        python, program = str(env / "bin" / "python"), str(env / "bin" / "needlepoint")
        library = str(folder / "library")
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NEEDLEPOINT"))}
        plain["HOME"] = str(folder)
        commands = {
            "python, nothing imported": [python, "-c", "pass"],
            "import needlepoint": [python, "-c", "import needlepoint"],
            "needlepoint --help": [program, "--help"],
        }
        for name, command in commands.items():
            tell(name, unit="ms", **start(command, starts, plain))
        pictures = str(ROOT / "samples" / "pictures")
        began = time.perf_counter()
        subprocess.run(
            [program, "--library", library, "index", pictures],
            check=True,
            capture_output=True,
            env=plain,
        )
        seconds = time.perf_counter() - began
        number = len(list((ROOT / "samples" / "pictures").iterdir()))
        tell("needlepoint index samples", seconds, "s", files=number)
        question = str(ROOT / "samples" / "queries")
        cutout = str(sorted(Path(question).glob("*.png"))[0])
        for name, asked in (("a picture", cutout), ("words", "teddy bear")):
            command = [program, "--library", library, "search", asked, "--format", "jsonl"]
            label = f"needlepoint search, {name}, new process"
            tell(label, unit="ms", **start(command, starts, plain))
    click.echo(f"{write_rows('install', rows)} ({hardware()})")


if __name__ == "__main__":
    main()
