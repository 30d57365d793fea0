"""The grid at a hundred thousand pictures, and folded near-duplicates; answers are made up here."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from page_kit import Opened
from playwright.sync_api import Page, Route, expect

Open = Callable[..., Opened]

MANY = 100_000
FEW = 400
"""Tiles that may be in the document at once."""
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def month(index: int) -> str:
    back = index // 500
    return f"{2024 - back // 12}-{12 - back % 12:02d}"


def many(route: Route) -> None:
    """A page of made-up items, newest first, 500 to a month."""
    asked = parse_qs(urlsplit(route.request.url).query)
    start = int(asked.get("cursor", ["0"])[0])
    end = min(start + int(asked["limit"][0]), MANY)
    items = [
        {"id": at + 1, "width": 640, "height": 480, "taken": f"{month(at)}-03T10:00:00"}
        for at in range(start, end)
    ]
    body = {"items": items, "total": MANY, "next": str(end) if end < MANY else None}
    route.fulfill(status=200, body=json.dumps(body), content_type="application/json")


def large(page: Page) -> None:
    page.route("**/v1/items?*", many)
    page.route("**/thumb?*", lambda r: r.fulfill(status=200, body=GIF, content_type="image/gif"))


def tiles(page: Page) -> int:
    count: int = page.evaluate("document.querySelectorAll('#grid .tile').length")
    return count


def test_a_hundred_thousand_pictures_scroll(opened: Open, page: Page) -> None:
    large(page)
    opened()
    expect(page.locator("#tools .summary")).to_contain_text("100,000")
    most = tiles(page)
    height = page.evaluate("document.getElementById('grid').scrollHeight")
    assert height > 1_000_000
    for share in (0.05, 0.5, 0.2, 0.9, 1.0, 0.0, 0.7):
        # Every jump scrolls through many positions in between, as a dragged thumb does.
        most = max(
            most,
            page.evaluate(
                """async share => {
                  const grid = document.getElementById("grid");
                  const from = grid.scrollTop;
                  const to = share * (grid.scrollHeight - grid.clientHeight);
                  let most = 0;
                  for (let step = 1; step <= 20; step += 1) {
                    grid.scrollTop = from + ((to - from) * step) / 20;
                    await new Promise(requestAnimationFrame);
                    most = Math.max(most, grid.querySelectorAll(".tile").length);
                  }
                  return most;
                }""",
                share,
            ),
        )
    assert most < FEW
    page.wait_for_function(
        """() => {
          const grid = document.getElementById("grid");
          const area = grid.getBoundingClientRect();
          const seen = [...grid.querySelectorAll(".tile")].filter((one) => {
            const place = one.getBoundingClientRect();
            return place.bottom > area.top && place.top < area.bottom;
          });
          const there = (one) => one.dataset.id && one.querySelector("img").src;
          return seen.length > 8 && seen.every(there);
        }"""
    )


def test_pictures_that_were_only_scrolled_past_are_not_fetched(opened: Open, page: Page) -> None:
    large(page)
    opened()
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "/thumb" in r.url else None)
    page.evaluate(
        """async () => {
          const grid = document.getElementById("grid");
          for (let step = 0; step < 60; step += 1) {
            grid.scrollTop += grid.clientHeight;
            await new Promise(requestAnimationFrame);
          }
        }"""
    )
    page.wait_for_function("() => !document.querySelector('#grid img[data-src]')")
    assert len(asked) < 60 * 10


def test_the_keyboard_reaches_the_last_of_many(opened: Open, page: Page) -> None:
    large(page)
    opened()
    page.locator("[data-index='0']").focus()
    page.keyboard.press("End")
    page.wait_for_function(f"() => document.activeElement?.dataset.id === '{MANY}'")
    rows = int(page.locator("#grid").get_attribute("aria-rowcount") or 0)
    columns = int(page.locator("#grid").get_attribute("aria-colcount") or 0)
    row = page.locator(":focus").locator("xpath=..").get_attribute("aria-rowindex")
    assert int(row or 0) == rows
    assert rows * columns >= MANY
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    page.wait_for_function("() => document.activeElement?.dataset.id === '1'")


def test_months_have_headings(opened: Open, page: Page) -> None:
    large(page)
    opened()
    expect(page.locator(".grid-head").first).to_contain_text("December 2024")
    # 500 pictures a month: the second heading stands right before picture 501.
    page.locator("[data-index='0']").focus()
    for _ in range(40):
        page.keyboard.press("PageDown")
        if page.locator(".grid-head", has_text="November 2024").count():
            break
    expect(page.locator(".grid-head", has_text="November 2024")).to_have_count(1)
    row = page.locator("[data-id='501']").locator("xpath=..")
    before = page.locator("[data-id='500']").locator("xpath=..")
    assert int(row.get_attribute("aria-rowindex") or 0) == 2 + int(
        before.get_attribute("aria-rowindex") or 0
    )


def hit(rank: int, folded: list[int]) -> dict[str, Any]:
    return {
        "rank": rank,
        "id": rank,
        "path": f"/p/{rank}.jpg",
        "name": f"{rank}.jpg",
        "score": 1 - rank / 100,
        "score_kind": "cosine",
        "box": None,
        "match": None,
        "probability": None,
        "width": 640,
        "height": 480,
        "taken": None,
        "lat": None,
        "lon": None,
        "why": [],
        "folded": folded,
        "source": {"method": "dense", "model": "builtin", "exact": False},
    }


def test_folded_near_duplicates_open(opened: Open, page: Page) -> None:
    large(page)
    hits = [hit(1, [7, 8, 9]), hit(2, [])]
    answer = {
        "query": "x",
        "hits": hits,
        "total": 2,
        "matching": None,
        "cutoff": None,
        "exact": False,
        "notes": ["a note of the library"],
        "timings": {"search": 1.5},
        "took_ms": 2.5,
        "next": None,
    }
    page.route("**/v1/search?*", lambda r: r.fulfill(status=200, json=answer))
    opened("?q=x")
    expect(page.locator(".grid-head.line")).to_have_count(0)
    expect(page.locator("#status")).to_contain_text("approximate ranking")
    expect(page.locator("#status")).to_contain_text("a note of the library")
    page.get_by_role("button", name="Dismiss: a note of the library").click()
    expect(page.locator("#status")).not_to_contain_text("a note of the library")
    page.get_by_role("button", name="+3 near-duplicates, show them").click()
    expect(page.locator("#sheet .folded-one")).to_have_count(4)
    page.get_by_role("button", name="Select all of them").click()
    expect(page.locator("#selection strong")).to_have_text("4 selected")
