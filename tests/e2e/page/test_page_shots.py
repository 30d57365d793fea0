"""The photographs in the docs: each view is reached, looks like something, and is small enough.

``NEEDLEPOINT_PICTURES`` names a folder that keeps them, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from views_kit import Views

from page_pictures import ADDED, MOST_BYTES, SHOTS, take

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the photographs go."""
    kept = Path(os.environ.get("NEEDLEPOINT_PICTURES", tmp_path))
    kept.mkdir(parents=True, exist_ok=True)
    return kept


@pytest.fixture(scope="module")
def tidied(placed_folder: Path) -> Iterator[None]:
    """Takes away what the photograph of indexing puts among the pictures."""
    yield
    for name in ADDED:
        (placed_folder / "pictures" / name).unlink(missing_ok=True)


@pytest.mark.usefixtures("tidied")
@pytest.mark.parametrize("name", list(SHOTS))
def test_a_view_can_be_photographed(browser: Browser, placed: str, folder: Path, name: str) -> None:
    path = take(browser, placed, name, folder)
    assert path.stat().st_size <= MOST_BYTES
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    shot = SHOTS[name]
    assert pixels.shape == (shot.height, shot.width, 3)
    if name not in ("piece", "heat"):
        assert (pixels.mean() < 110) == shot.dark
    # not blank anywhere where there ought to be something: each quarter has contrast
    rows, columns = shot.height // 2, shot.width // 2
    for top in (0, rows):
        for left in (0, columns):
            quarter = pixels[top : top + rows, left : left + columns]
            assert quarter.std() > 8, (top, left)
    assert len(np.unique(pixels.reshape(-1, 3) // 16, axis=0)) > 100


def test_the_guide_shows_every_photograph() -> None:
    guide = (DOCS / "page.md").read_text("utf-8")
    for name in SHOTS:
        assert f"](pictures/page-{name}.jpg)" in guide
        path = DOCS / "pictures" / f"page-{name}.jpg"
        assert 10_000 < path.stat().st_size <= MOST_BYTES


NAMELESS = """() => [...document.querySelectorAll("#view, #side")].flatMap((part) =>
  [...part.querySelectorAll("button, input, select, textarea, canvas, a[href], [role=img]")]
    .filter((one) => one.checkVisibility() && !one.closest("[aria-hidden=true]"))
    .filter((one) => ![one.ariaLabel, one.innerText?.trim(), one.labels?.length].some(Boolean))
    .map((one) => one.outerHTML.slice(0, 120)))"""
WIDE = """() => [...document.querySelectorAll("#view *, #side *")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
  .filter((one) => !one.closest(".geo-pins, .compare-facts, svg"))
  .map((one) => one.className)"""


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("?view=map", ".map-tools"),
        ("?view=geo", ".geo-pin"),
        ("?view=compare&ids=1,2,3", ".compare-facts td"),
        ("?side=chat", ".chat textarea"),
        ("?side=jobs", ".jobs-form button"),
    ],
)
def test_every_control_has_a_name_and_fits_a_narrow_screen(
    views: Views, query: str, there: str
) -> None:
    views.go(query, there)
    assert views.page.evaluate(NAMELESS) == []
    views.page.set_viewport_size({"width": 390, "height": 844})
    views.page.locator(there).first.wait_for()
    assert views.page.evaluate(WIDE) == []
