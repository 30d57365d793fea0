"""Write docs/api/openapi.json: the description of the API, as the server tells it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from needlepoint.library import Library
from needlepoint.server.app import create_app

FILE = Path(__file__).resolve().parent.parent / "docs" / "api" / "openapi.json"


def description() -> str:
    """What ``/openapi.json`` answers, in lines that can be compared."""
    with TemporaryDirectory() as folder, Library.open(folder, create=True) as library:
        told = create_app(library).openapi()
    return json.dumps(told, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write the file; with --check, only compare it."""
    if "--check" not in sys.argv[1:]:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(description(), "utf-8")
    elif not FILE.is_file() or FILE.read_text("utf-8") != description():
        sys.exit("docs/api/openapi.json is not what the server tells: run tools/openapi.py")


if __name__ == "__main__":
    main()
