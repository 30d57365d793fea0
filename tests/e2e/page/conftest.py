"""The page in a real browser, served by the real command on a library of the samples."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))

from install_chromium import find_chromium
from page_kit import Opened, Watch
from views_kit import Views

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "samples" / "pictures"
COMMAND = [sys.executable, "-c", "from needlepoint.cli.main import main; main()"]
PATIENCE_S = 120.0
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; without one the tests of the page are skipped, but never in CI."""
    ours = ROOT / ".venv-test" / "chromium"
    found = find_chromium() or (str(ours) if ours.exists() else None)
    if found is None:
        said = "no Chromium: install one or set NEEDLEPOINT_CHROMIUM to its path"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return found


@pytest.fixture(scope="session")
def library_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of the samples, indexed by the command from pictures that lie in two folders."""
    home = tmp_path_factory.mktemp("page")
    pictures = home / "pictures"
    for file in sorted(PICTURES.iterdir()):
        below = pictures / ("photos" if file.name.startswith("photo-") else "scenes")
        below.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, below)
    library = home / "library"
    index = [*COMMAND, "index", str(pictures), "--library", str(library), "--quiet"]
    done = subprocess.run(index, env=_environment(home), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return library


@pytest.fixture(scope="session")
def served(library_folder: Path) -> Iterator[str]:
    """The address of ``needlepoint serve`` on the library, without a slash at its end."""
    serve = [*COMMAND, "serve", "--library", str(library_folder), "--port", "0"]
    process = subprocess.Popen(
        serve,
        env=_environment(library_folder.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    found: list[str] = []
    known = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            match = ADDRESS.search(line)
            if match and not found:
                found.append(match[0])
                known.set()
        known.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        known.wait(PATIENCE_S)
        assert found, "".join(lines)
        yield found[0]
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        listener.join(PATIENCE_S)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for the tests of a file; each has a context of its own.

    While it is there an event loop runs in this thread, and other files' tests may want their own.
    """
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_S * 250)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    """An empty tab at 1440 x 900; it fails the test for errors, violations and foreign requests."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_S * 250)
    page = context.new_page()
    watch = Watch(page, served)
    yield page
    context.close()
    assert not watch.problems, "\n".join(watch.problems)


@pytest.fixture
def opened(page: Page, served: str) -> Callable[..., Opened]:
    """``opened("?q=cat")`` goes there and waits until the grid shows its answer."""

    def go(query: str = "") -> Opened:
        page.goto(f"{served}/{query}")
        there = Opened(page)
        there.settle()
        return there

    return go


@pytest.fixture(scope="session")
def placed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of half the samples, all of which have places, beside its pictures."""
    from page_pictures import make_library

    return make_library(tmp_path_factory.mktemp("placed"), every=2).parent


@pytest.fixture(scope="session")
def placed(placed_folder: Path) -> Iterator[str]:
    """The address of a server on that library."""
    from page_pictures import serving

    with serving(placed_folder / "library") as base:
        yield base


@pytest.fixture
def views(browser: Browser, placed: str) -> Iterator[Views]:
    """An empty tab for the views beside the grid; it fails as :func:`page` does."""
    context = browser.new_context(
        viewport={"width": 1200, "height": 800}, reduced_motion="reduce", has_touch=True
    )
    context.set_default_timeout(PATIENCE_S * 250)
    there = Views(context.new_page(), placed)
    watch = Watch(there.page, placed)
    yield there
    context.close()
    assert not watch.problems, "\n".join(watch.problems)


def _environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NEEDLEPOINT_", "HF_"))}
    return {**kept, "HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
