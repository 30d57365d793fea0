"""The map of places: what stands where, and filters by a place and by a box."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import expect
from views_kit import Views

from needlepoint.where_terms import haversine


@pytest.fixture
def placed_map(views: Views) -> dict[str, Any]:
    """The pictures with places as the server tells them; the page is open there."""
    views.go("?view=geo", ".geo-pin")
    places: dict[str, Any] = views.api("/v1/places")
    return places


def counts(views: Views) -> list[int]:
    """How many pictures each pin stands for."""
    labels = views.page.locator(".geo-pin").evaluate_all(
        "pins => pins.map(pin => pin.getAttribute('aria-label'))"
    )
    return [int(found[1]) if (found := re.match(r"(\d+) pictures", one)) else 1 for one in labels]


def test_every_picture_stands_somewhere(views: Views, placed_map: dict[str, Any]) -> None:
    assert sum(counts(views)) == len(placed_map["ids"]) > 30
    legend = views.page.locator(".map-legend")
    expect(legend).to_have_text(f"{len(placed_map['ids'])} pictures with a place")
    pixels = views.looks()
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_pins_do_not_lie_on_each_other(views: Views, placed_map: dict[str, Any]) -> None:
    views.page.locator(".map-canvas").focus()
    for _ in range(3):
        boxes = [pin.bounding_box() for pin in views.page.locator(".geo-pin").all()]
        middles = np.array(
            [(b["x"] + b["width"] / 2, b["y"] + b["height"] / 2) for b in boxes if b]
        )
        apart = np.linalg.norm(middles[:, None] - middles[None], axis=2)
        assert apart[~np.eye(len(middles), dtype=bool)].min() > 40
        views.page.keyboard.press("+")


def test_a_pin_becomes_a_filter_by_distance(views: Views, placed_map: dict[str, Any]) -> None:
    views.page.locator(".geo-pin:not(.one)").first.focus()
    views.page.keyboard.press("Enter")
    picked = views.picked()
    views.page.get_by_role("button", name="Show these").click()
    views.wait_for_state("f", "place:near(")
    where = views.state("f").removeprefix("place:")
    lat, lon, km = (float(one) for one in re.findall(r"-?[\d.]+", where))
    pairs = zip(placed_map["lat"], placed_map["lon"], strict=True)
    inside = sum((haversine(lat, lon, *pair) or 0.0) <= km for pair in pairs)
    told = views.api(f"/v1/items?where={quote(where)}&fields=brief")["total"]
    assert picked == inside == told
    expect(views.page.locator("#tools .summary")).to_contain_text(f"{picked} picture")


@pytest.mark.parametrize("how", ["mouse", "keys"])
def test_a_box_becomes_a_filter(views: Views, placed_map: dict[str, Any], how: str) -> None:
    if how == "mouse":
        views.page.get_by_role("button", name="Draw a box").click()
        views.drag([(0.02, 0.02), (0.6, 0.9)])
    else:
        views.page.locator(".map-canvas").focus()
        views.page.keyboard.press("b")
        for _ in range(12):
            views.page.keyboard.press("Shift+ArrowRight")
            views.page.keyboard.press("Shift+ArrowDown")
        views.page.keyboard.press("Enter")
    picked = views.picked()
    assert 0 < picked < len(placed_map["ids"])
    views.page.get_by_label("Search inside these").fill("electric guitar")
    views.page.keyboard.press("Enter")
    views.wait_for_state("f", "place:lat between")
    where = views.state("f").removeprefix("place:")
    assert views.api(f"/v1/items?where={quote(where)}&fields=brief")["total"] == picked
    assert views.state("q") == "electric guitar"


def test_zooming_in_parts_what_stands_together(views: Views, placed_map: dict[str, Any]) -> None:
    before = max(counts(views))
    views.page.locator(".geo-pin:not(.one)").first.click()
    views.page.locator(".picked").get_by_role("button", name="Zoom in").click()
    views.page.wait_for_function(
        "before => [...document.querySelectorAll('.geo-count')]"
        ".every(one => Number(one.textContent) < before)",
        arg=before,
    )
    views.wait_for_state("spot", "geo:")


def test_the_best_of_the_answer_are_framed(views: Views) -> None:
    views.go("?view=geo&q=electric guitar", ".geo-pin")
    expect(views.page.locator(".map-legend")).to_contain_text("best for “electric guitar”")
    assert views.page.locator(".geo-pin.hit").count() > 0


def test_without_places_it_says_why(views: Views) -> None:
    views.go("?view=geo&where=not has(gps)", ".map-canvas")
    expect(views.page.locator(".map-state")).to_contain_text("knows its place")


def test_the_projection_and_the_outline_agree_with_the_tool(views: Views) -> None:
    views.page.goto(f"{views.base}/?view=geo")
    back, corner, km = views.page.evaluate(
        """async () => {
          const earth = await import("/static/earth.js");
          const world = await (await fetch("/static/world.json")).json();
          const all = world.land.flatMap((line) => earth.unpack(line, world.unit));
          const lats = all.map(([, lat]) => lat);
          return [
            [earth.latOf(earth.toY(48.137)), earth.lonOf(earth.toX(11.575))],
            [Math.max(...lats), Math.max(...all.map(([lon]) => lon))],
            earth.kilometres(48.137, 11.575, -33.87, 151.21),
          ];
        }"""
    )
    assert back == pytest.approx([48.137, 11.575])
    assert corner == pytest.approx([83.6, 180.0], abs=0.1)
    assert km == pytest.approx(haversine(48.137, 11.575, -33.87, 151.21))
