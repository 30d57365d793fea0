"""Draw docs/pictures/page-*.jpg: the views of the page, from the real server in a real browser.

    python tools/page_pictures.py [VIEW ...]

Indexes a copy of the samples whose pictures have got places, serves it, and drives Chromium. The
tests of the page go through the same views.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
from PIL import ExifTags, Image, ImageEnhance

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
OUT = ROOT / "docs" / "pictures"
COMMAND = [sys.executable, "-c", "from needlepoint.cli.main import main; main()"]
PATIENCE_S = 120.0
MOST_BYTES = 250_000

CITIES = (
    *((48.137, 11.575), (52.520, 13.405), (48.857, 2.352), (41.385, 2.173), (59.329, 18.069)),
    *(
        (38.722, -9.139),
        (40.713, -74.006),
        (35.680, 139.690),
        (-33.870, 151.210),
        (64.150, -21.950),
    ),
)
SHOWN = ("desk-00.jpg", "toys-34.jpg", "toys-35.jpg", "photo-coffee.jpg")
QUESTION = "electric guitar"
CHANGE = "with a guitar"
ADDED = ("table-fan.png", "IMG_2044.jpg")
"""A good and a broken picture that the view of indexing adds."""

SETTLED = """() => {
  if (document.querySelector('[aria-busy="true"], .waiting')) return false;
  const seen = [...document.images].filter((image) => {
    const box = image.getBoundingClientRect();
    return box.width > 0 && box.bottom > 0 && box.top < innerHeight;
  });
  return seen.every((image) => image.complete && image.naturalWidth > 0);
}"""

DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def make_library(folder: Path, *, every: int = 1) -> Path:
    """A library of samples, each with a place in its EXIF data, and of an edited copy of one.

    With ``every``, of each n-th and of those that the views show.
    """
    pictures = folder / "pictures"
    (pictures / "edited").mkdir(parents=True)
    chance = random.Random(4)
    samples = sorted((SAMPLES / "pictures").iterdir())
    for path in [one for i, one in enumerate(samples) if i % every == 0 or one.name in SHOWN]:
        lat, lon = CITIES[min(int(abs(chance.gauss(0, 1)) * 3.4), len(CITIES) - 1)]
        wide = chance.choice((0.01, 0.05, 0.4))
        with Image.open(path) as image:
            exif = image.getexif()
            exif[ExifTags.IFD.GPSInfo] = _gps(
                lat + chance.gauss(0, wide), lon + chance.gauss(0, wide)
            )
            image.save(pictures / path.name, "JPEG", quality=90, exif=exif)
    with Image.open(SAMPLES / "pictures" / "photo-coffee.jpg") as image:
        ImageEnhance.Color(image).enhance(0.4).save(pictures / "edited" / "photo-coffee-grey.jpg")
    library = folder / "library"
    index = [*COMMAND, "index", str(pictures), "--library", str(library), "--quiet"]
    subprocess.run(index, env=_environment(folder), check=True)
    return library


def _gps(lat: float, lon: float) -> dict[int, Any]:
    def sexagesimal(value: float) -> tuple[float, float, float]:
        minutes, degrees = abs(value) % 1 * 60, float(int(abs(value)))
        return degrees, float(int(minutes)), round(minutes % 1 * 60, 3)

    tags = ExifTags.GPS
    return {
        tags.GPSLatitudeRef: "N" if lat >= 0 else "S",
        tags.GPSLatitude: sexagesimal(lat),
        tags.GPSLongitudeRef: "E" if lon >= 0 else "W",
        tags.GPSLongitude: sexagesimal(lon),
    }


def _environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NEEDLEPOINT_", "HF_"))}
    return {**kept, "HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def serving(library: Path) -> Iterator[str]:
    """The address of ``needlepoint serve`` on a library, while it is up."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--library", str(library), "--port", "0"],
        env=_environment(library.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    known = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if re.search(r"http://127\.0\.0\.1:\d+", line):
                known.set()
        known.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        known.wait(PATIENCE_S)
        found = re.search(r"http://127\.0\.0\.1:\d+", "".join(said))
        if found is None:
            raise RuntimeError(f"the server did not say its address: {''.join(said)}")
        yield found[0]
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        listener.join(PATIENCE_S)


def number_of(page: Page, base: str, name: str) -> int:
    """The number of the picture of a file name."""
    answer = page.request.get(f"{base}/v1/items", params={"where": f"name = '{name}'"})
    number: int = answer.json()["items"][0]["id"]
    return number


def settle(page: Page) -> None:
    """Wait until nothing is under way, every picture in sight is there, and all is drawn."""
    page.wait_for_function(SETTLED)
    page.evaluate(DRAWN)


def search(page: Page, base: str) -> None:
    """An answer with the places that matched."""
    page.goto(f"{base}/?q={QUESTION}")
    page.locator("#grid .mark").first.wait_for()
    settle(page)
    dismiss(page)


def dismiss(page: Page) -> None:
    """Close the notes of the last line."""
    while (notes := page.locator("#status .note button")).count():
        notes.first.click()


def piece(page: Page, base: str) -> None:
    """A box drawn on a picture, around a thing in it."""
    truth = json.loads((SAMPLES / "truth.json").read_text("utf-8"))["pictures"]
    scene = next(one for one in truth if one["file"] == "pictures/desk-00.jpg")
    box = next(one["box"] for one in scene["objects"] if one["name"] == "coffee cup")
    page.goto(f"{base}/?open={number_of(page, base, 'desk-00.jpg')}")
    image = page.locator("#viewer .plane > img")
    image.wait_for()
    settle(page)
    left, top, scale = _on_screen(image)
    corners = [(left + x * scale, top + y * scale) for x, y in (box[:2], _far(box))]
    drag(page, corners)
    page.locator("#viewer").get_by_text("Search for this piece").wait_for()


def _far(box: list[float]) -> tuple[float, float]:
    return box[0] + box[2], box[1] + box[3]


def _on_screen(image: Locator) -> tuple[float, float, float]:
    """Where a picture of the samples is: left, top, and pixels of the screen for one of its own."""
    where = image.bounding_box()
    assert where is not None
    return where["x"], where["y"], where["width"] / 960


def drag(page: Page, points: list[tuple[float, float]]) -> None:
    """Drag the mouse along points."""
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def change(page: Page, base: str) -> None:
    """A picture, and what is to be different in it."""
    asked = f"@{number_of(page, base, 'desk-00.jpg')} -> {CHANGE}"
    page.goto(f"{base}/?q={quote(asked)}")
    page.locator("#grid .tile").first.wait_for()
    settle(page)
    dismiss(page)


def heat(page: Page, base: str) -> None:
    """A picture, and how well each place of it answers a piece of another."""
    guitar = quote(f"@{number_of(page, base, 'toys-35.jpg')}#xywh=500,60,100,190")
    page.goto(f"{base}/?q={guitar}&open={number_of(page, base, 'toys-34.jpg')}")
    page.locator("#viewer .plane > img").wait_for()
    settle(page)
    page.get_by_role("button", name="Heat map").click()
    page.locator("#viewer .heat").wait_for()
    settle(page)


def filters(page: Page, base: str) -> None:
    """Filters with counts, and pictures by date."""
    page.goto(f"{base}/?q=chair&f=orientations:orientation = 'landscape'")
    if page.locator("#filters").is_hidden():
        page.keyboard.press("f")
    page.locator("#filters .facets summary").first.wait_for()
    settle(page)


def likeness(page: Page, base: str) -> None:
    """The map of the collection, with a line drawn around some pictures."""
    page.goto(f"{base}/?view=map&q={QUESTION}")
    page.locator(".map-tools").wait_for()
    settle(page)
    page.get_by_role("button", name="Draw around pictures").click()
    where = page.locator(".map-canvas").bounding_box()
    assert where is not None
    shape = [(0.3, 0.42), (0.42, 0.3), (0.56, 0.34), (0.6, 0.52), (0.5, 0.68), (0.36, 0.64)]
    drag(
        page,
        [(where["x"] + x * where["width"], where["y"] + y * where["height"]) for x, y in shape],
    )
    page.locator(".picked").wait_for()
    settle(page)


def places(page: Page, base: str) -> None:
    """The map of places, one of them picked."""
    page.goto(f"{base}/?view=geo&q={QUESTION}")
    page.locator(".geo-pin:not(.one)").first.click()
    page.locator(".picked").wait_for()
    settle(page)


def compare(page: Page, base: str) -> None:
    """Two versions of a picture over each other, and what differs."""
    ids = [number_of(page, base, name) for name in ("photo-coffee.jpg", "photo-coffee-grey.jpg")]
    page.goto(f"{base}/?view=compare&q=coffee cup&ids={ids[0]},{ids[1]}")
    page.get_by_role("button", name="Swipe").click()
    settle(page)


def conversation(page: Page, base: str) -> None:
    """Two turns of a conversation, and how the ranking moved."""
    page.goto(f"{base}/?side=chat&q={QUESTION}")
    words = page.get_by_label("Your turn")
    words.wait_for()
    settle(page)
    words.press("Enter")
    page.locator(".chat-turn").first.wait_for()
    settle(page)
    tiles = page.locator("#grid [data-id]")
    for which, key in ((0, "m"), (5, "l")):
        tiles.nth(which).focus()
        page.keyboard.press(key)
    words.fill("in the grass")
    words.press("Enter")
    page.locator(".flow").wait_for()
    settle(page)


def indexing(page: Page, base: str) -> None:
    """A run of indexing that left something out."""
    roots = page.request.get(f"{base}/v1/info").json()["roots"]
    folder = Path(roots[0]["path"])
    shutil.copy(SAMPLES / "queries" / "table-fan-19.png", folder / ADDED[0])
    (folder / ADDED[1]).write_bytes((folder / "photo-coffee.jpg").read_bytes()[:2000])
    page.goto(f"{base}/?side=jobs")
    page.get_by_role("button", name="Look for changes").click()
    page.locator(".jobs-state.done").wait_for()
    settle(page)


@dataclass(frozen=True)
class Shot:
    """A view as it is photographed."""

    view: Callable[[Page, str], None]
    width: int = 1440
    height: int = 900
    dark: bool = False


SHOTS = {
    "search": Shot(search),
    "piece": Shot(piece),
    "change": Shot(change),
    "heat": Shot(heat),
    "filters": Shot(filters),
    "map": Shot(likeness),
    "places": Shot(places),
    "compare": Shot(compare),
    "conversation": Shot(conversation),
    "narrow": Shot(search, 390, 844),
    "dark": Shot(places, dark=True),
    "indexing": Shot(indexing),
}


def take(browser: Browser, base: str, name: str, folder: Path) -> Path:
    """Photograph a view into ``folder/page-NAME.jpg``, which is returned."""
    shot = SHOTS[name]
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme="dark" if shot.dark else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_S * 1000)
    try:
        page = context.new_page()
        shot.view(page, base)
        page.mouse.move(2, 2)
        path = folder / f"page-{name}.jpg"
        for quality in (88, 80, 70, 60):
            page.screenshot(path=path, type="jpeg", quality=quality)
            if path.stat().st_size <= MOST_BYTES:
                break
        return path
    finally:
        context.close()


@click.command(help=__doc__)
@click.argument("views", nargs=-1, type=click.Choice(list(SHOTS)))
@click.option("--chromium", default="/usr/bin/chromium", show_default=True)
def main(views: tuple[str, ...], chromium: str) -> None:
    """Photograph the views, or all of them."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="needlepoint-") as folder:
        library = make_library(Path(folder))
        with serving(library) as base, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name in views or SHOTS:
                path = take(browser, base, name, OUT)
                click.echo(f"{path.name}: {path.stat().st_size} bytes")
            browser.close()


if __name__ == "__main__":
    main()
