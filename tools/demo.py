"""The demo: index the sample pictures, ask three questions, draw a contact sheet with boxes.

Runs the installed command the way a user would, in a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"


def command(library: Path, *arguments: str) -> list[str]:
    """The installed command of this environment, on the demo's own library."""
    return [str(Path(sys.executable).parent / "needlepoint"), *arguments, "--library", str(library)]


def show(text: str) -> None:
    """One line to the terminal, at once."""
    print(text, flush=True)


def ask(library: Path, out: Path, name: str, question: str) -> list[str]:
    """Ask once for the eye (table) and once for the page; returns what stands on the page."""
    show(f"\n$ needlepoint search {question!r} -k 5")
    done = subprocess.run(command(library, "search", question, "-k", "5"), check=False)
    sheet = out / f"{name}.html"
    asked = [question, "-k", "12", "--format", "html", "-o", str(sheet), "--quiet"]
    subprocess.run(command(library, "search", *asked), check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the search failed with exit code {done.returncode}")
    return [name, question, sheet.name]


def box_of(file: str, name: str) -> list[int]:
    """Where the samples' truth says that a thing stands in a picture: x, y, w, h."""
    truth = json.loads((SAMPLES / "truth.json").read_text("utf-8"))
    picture = next(one for one in truth["pictures"] if one["file"] == file)
    box: list[int] = next(one["box"] for one in picture["objects"] if one["name"] == name)
    return box


def main() -> None:
    """Index, ask, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".demo", help="folder for the results")
    out: Path = parser.parse_args().out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    library = out / "library"
    started = time.monotonic()
    show(f"$ needlepoint index {SAMPLES / 'pictures'}")
    subprocess.run(command(library, "index", str(SAMPLES / "pictures")), check=True)

    x, y, w, h = box_of("pictures/desk-00.jpg", "coffee cup")
    questions = [
        ("words", "electric guitar"),
        ("picture", str(SAMPLES / "queries" / "table-fan-19.png")),
        ("region", f"{SAMPLES / 'pictures' / 'desk-00.jpg'}#xywh={x},{y},{w},{h}"),
    ]
    pages = [ask(library, out, name, question) for name, question in questions]
    show(f"\nDone in {time.monotonic() - started:.0f} s. Contact sheets, boxes drawn:")
    for name, _, file in pages:
        show(f"  {name:8} {out / file}")
    opened = " ".join(command(library, "serve", "--open"))
    show(f"\nTo search with the mouse, open the page:\n  {opened}")


if __name__ == "__main__":
    main()
