"""What tests of the maps, the comparison and the panels ask of the page."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Point = tuple[float, float]
PATIENCE_S = 120.0


class Views:
    """A tab on a library with places."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base

    def go(self, query: str, wait_for: str) -> None:
        """Open the page at a query; wait until an element is there and nothing is under way."""
        from page_pictures import settle

        self.page.goto(f"{self.base}/{query}")
        self.page.locator(wait_for).first.wait_for()
        settle(self.page)

    def api(self, path: str) -> Any:
        """JSON of an address of the server."""
        return self.page.request.get(f"{self.base}{path}").json()

    def made(self, path: str, ready: Callable[[Any], bool]) -> Any:
        """JSON of an address once the server has made what it is asked for."""
        deadline = time.monotonic() + PATIENCE_S
        while not ready(told := self.api(path)):
            assert time.monotonic() < deadline, told
            self.page.wait_for_timeout(100)
        return told

    def state(self, name: str) -> str:
        """A value of the address, empty when it is not there."""
        value: str = self.page.evaluate(
            "name => new URLSearchParams(location.search).get(name) ?? ''", name
        )
        return value

    def wait_for_state(self, name: str, part: str) -> None:
        """Wait until a value of the address holds a text."""
        self.page.wait_for_function(
            "([name, part]) => "
            "new URLSearchParams(location.search).getAll(name).join().includes(part)",
            arg=[name, part],
        )

    def picked(self) -> int:
        """How many pictures the bar below a map says are picked."""
        bar = self.page.locator(".picked strong")
        bar.wait_for()
        return int(bar.inner_text().split()[0].replace(",", ""))

    def drag(self, points: list[Point]) -> None:
        """Drag the mouse along points of the canvas, in parts of its size."""
        from page_pictures import drag

        where = self.page.locator(".map-canvas").bounding_box()
        assert where is not None
        left, top, width, height = (where[key] for key in ("x", "y", "width", "height"))
        drag(self.page, [(left + x * width, top + y * height) for x, y in points])

    def looks(self, what: Locator | None = None, *, rest: bool = True) -> np.ndarray:
        """What an element (or the first canvas) looks like (at rest), uint8 ``[H, W, 3]``."""
        from page_pictures import DRAWN, settle

        if rest:
            settle(self.page)
        self.page.evaluate(DRAWN)
        shot = (what or self.page.locator(".map-canvas").first).screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))
