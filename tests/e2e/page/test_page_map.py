"""The map of the collection: what is drawn, drawn around, searched inside, and how it moves."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Route, expect
from views_kit import Views

MANY = 100_000
ACCENT = (0xB9, 0x3A, 0x1E)
INK = 60
"""How far a pixel must be from the paper to count as drawn on."""


@pytest.fixture
def laid(views: Views) -> dict[str, Any]:
    """The map as the server made it of the pictures there are; the page is open there."""
    made = views.made("/v1/map", lambda told: told.get("current"))
    views.go("?view=map", ".map-tools")
    return made


def inked(pixels: np.ndarray) -> float:
    """The part of what is seen that is drawn on."""
    paper = np.median(pixels.reshape(-1, 3), axis=0)
    return float((np.abs(pixels - paper).max(2) > INK).mean())


def coloured(pixels: np.ndarray) -> float:
    """The part of what is seen that has the accent's colour."""
    return float((np.abs(pixels.astype(int) - ACCENT).max(2) < 6).mean())


def spot(made: dict[str, Any], index: int, scale: float = 20_000) -> str:
    """The address of the map with one of its pictures in the middle."""
    return quote(f"map:{made['x'][index]},{made['y'][index]},{scale}")


def test_all_pictures_are_on_it(views: Views, laid: dict[str, Any]) -> None:
    expect(views.page.locator(".map-legend")).to_have_text(f"{len(laid['ids'])} pictures")
    assert len(laid["ids"]) == views.api("/v1/info")["pictures"]
    assert inked(views.looks()) > 0.05


def test_the_picture_in_the_middle_opens_by_key_and_by_click(
    views: Views, laid: dict[str, Any]
) -> None:
    views.go(f"?view=map&spot={spot(laid, 7)}", ".map-tools")
    canvas = views.page.locator(".map-canvas")
    where = canvas.bounding_box()
    assert where
    views.page.mouse.move(where["x"] + where["width"] / 2, where["y"] + where["height"] / 2)
    card = views.page.locator(".map-card")
    name = views.api(f"/v1/items/{laid['ids'][7]}")["name"]
    expect(card).to_contain_text(name)
    canvas.click()
    views.wait_for_state("open", str(laid["ids"][7]))
    views.page.keyboard.press("Escape")
    expect(views.page.locator("#viewer")).to_be_hidden()
    canvas.focus()
    views.page.keyboard.press("+")
    expect(views.page.locator("#live")).to_have_text(name)
    views.page.keyboard.press("Enter")
    views.wait_for_state("open", str(laid["ids"][7]))


def test_the_place_on_the_map_is_in_the_address(views: Views, laid: dict[str, Any]) -> None:
    canvas = views.page.locator(".map-canvas")
    canvas.focus()
    for key in ("+", "+", "ArrowLeft"):
        views.page.keyboard.press(key)
    views.wait_for_state("spot", "map:")
    canvas.blur()
    differ = 1.0
    for _ in range(5):  # the address follows the hand with a delay
        seen = views.looks()
        views.go(views.page.url.removeprefix(f"{views.base}/"), ".map-tools")
        differ = (np.abs(views.looks().astype(int) - seen).max(2) > INK).mean()
        if differ < 0.02:
            break
    assert differ < 0.02
    canvas.focus()
    views.page.keyboard.press("0")
    views.page.wait_for_function("() => !new URLSearchParams(location.search).has('spot')")


def test_a_lasso_takes_what_lies_inside_it(views: Views, laid: dict[str, Any]) -> None:
    views.page.get_by_role("button", name="Draw around pictures").click()
    views.drag([(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)])
    assert views.picked() == len(laid["ids"])
    views.page.get_by_role("button", name="Forget what is picked").click()
    expect(views.page.locator(".picked")).to_be_hidden()
    views.page.keyboard.down("Shift")
    views.drag([(0.5, 0.01), (0.99, 0.01), (0.99, 0.99), (0.5, 0.99), (0.5, 0.02)])
    views.page.keyboard.up("Shift")
    middle = (min(laid["x"]) + max(laid["x"])) / 2
    right = sum(x > middle for x in laid["x"])
    assert abs(views.picked() - right) <= 2


def test_searching_inside_the_picked_is_a_filter_of_the_address(
    views: Views, laid: dict[str, Any]
) -> None:
    views.page.locator(".map-canvas").focus()
    views.page.keyboard.press("b")
    for _ in range(3):
        views.page.keyboard.press("Shift+ArrowRight")
    views.page.keyboard.press("Enter")
    picked = views.picked()
    assert 0 < picked < len(laid["ids"])
    views.page.get_by_label("Search inside these").fill("electric guitar")
    views.page.keyboard.press("Enter")
    views.wait_for_state("f", "map:")
    assert views.state("q") == "electric guitar"
    where = views.state("f").removeprefix("map:")
    answer = views.api(f"/v1/search?q=electric guitar&where={quote(where)}")
    assert answer["total"] == picked
    tiles = views.page.locator("#grid [data-id]")
    expect(tiles.first).to_have_attribute("data-id", str(answer["hits"][0]["id"]))


def test_numbers_become_a_filter_while_it_is_short(views: Views, laid: dict[str, Any]) -> None:
    shown = views.page.evaluate(
        """async () => {
          const { filterOfIds } = await import("/static/picked.js");
          const odd = Array.from({ length: 281 }, (_, i) => 2 * i);
          const most = filterOfIds(odd.slice(1));
          return [filterOfIds([5, 1, 2, 3, 9]), most !== null, filterOfIds(odd)];
        }"""
    )
    assert shown == ["(id between 1 and 3 or id in (5, 9))", True, None]


@pytest.mark.parametrize("words", ["", "electric guitar"])
def test_more_than_a_filter_can_name_is_shown_all_the_same(views: Views, words: str) -> None:
    made = views.made("/v1/map", lambda told: told.get("current"))
    real = len(made["ids"])
    others = list(range(10_001, 10_601, 2))
    made["ids"] += others
    for axis in ("x", "y"):
        made[axis] += [0.5] * len(others)
    views.page.route("**/v1/map", lambda route: route.fulfill(json=made))
    views.page.goto(f"{views.base}/?view=map")
    views.page.get_by_role("button", name="Draw around pictures").click()
    views.drag([(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)])
    assert views.picked() == real + len(others)
    if words:
        views.page.get_by_label("Search inside these").fill(words)
        views.page.keyboard.press("Enter")
    else:
        views.page.get_by_role("button", name="Show these").click()
    told = views.page.locator("#told")
    expect(told).to_contain_text(f"{real + len(others)} pictures picked on the map")
    tiles = views.page.locator("#grid [data-id]")
    if words:
        first = views.api(f"/v1/search?q={words}&limit=1")["hits"][0]["id"]
        expect(tiles.first).to_have_attribute("data-id", str(first))
    else:
        expect(views.page.locator("#tools .summary")).to_contain_text(f"{real} pictures")


def test_hits_of_the_question_are_told_and_coloured(views: Views, laid: dict[str, Any]) -> None:
    plain = coloured(views.looks())
    views.go("?view=map&q=electric guitar", ".map-tools")
    likely = views.api("/v1/search?q=electric guitar")["likely"]
    expect(views.page.locator(".map-legend")).to_contain_text(
        f"{likely} best for “electric guitar”"
    )
    assert coloured(views.looks()) > plain + 0.0005


def test_a_filter_leaves_the_rest_pale_and_out_of_the_lasso(
    views: Views, laid: dict[str, Any]
) -> None:
    kept = views.api("/v1/items?where=name ~ photo&fields=brief")["total"]
    views.go("?view=map&where=name ~ photo", ".map-tools")
    expect(views.page.locator(".map-legend")).to_contain_text(f"{kept} of {len(laid['ids'])}")
    views.page.get_by_role("button", name="Draw around pictures").click()
    views.drag([(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)])
    assert views.picked() == kept


def test_progress_is_shown_until_the_map_is_made(views: Views) -> None:
    made = views.made("/v1/map", lambda told: told.get("current"))
    answers = iter([{"progress": 0.25}, {"progress": 0.5}, made])

    def answer(route: Route) -> None:
        told = next(answers)
        route.fulfill(status=202 if "progress" in told else 200, json=told)

    views.page.route("**/v1/map", answer)
    views.page.goto(f"{views.base}/?view=map")
    expect(views.page.locator(".map-state progress")).to_have_attribute("value", "0.25")
    views.page.locator(".map-tools").wait_for()
    assert next(answers, None) is None


def test_a_hundred_thousand_pictures_are_drawn_and_found(views: Views) -> None:
    chance = np.random.default_rng(5)
    middles = chance.random((30, 2))
    places = middles[chance.integers(30, size=MANY)] + chance.normal(0, 0.02, (MANY, 2))
    places = np.clip(places, 0, 1).round(4)
    body = json.dumps(
        {
            "ids": list(range(1, MANY + 1)),
            "x": places[:, 0].tolist(),
            "y": places[:, 1].tolist(),
            "space": "look",
            "made": "now",
            "current": True,
        }
    )
    views.page.route(
        "**/v1/map", lambda route: route.fulfill(body=body, content_type="application/json")
    )
    # pictures that do not exist have no thumbnails: the tab must bear that too
    views.page.route("**/v1/items/**", lambda route: route.fulfill(status=404, json={}))
    views.page.goto(f"{views.base}/?view=map")
    expect(views.page.locator(".map-legend")).to_have_text("100,000 pictures")
    views.page.locator(".map-tools").wait_for()
    drawn = views.looks(rest=False)
    assert inked(drawn) > 0.02
    views.page.get_by_role("button", name="Draw around pictures").click()
    views.drag([(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)])
    assert views.picked() == MANY
    views.page.get_by_role("button", name="Forget what is picked").click()
    views.page.locator(".map-canvas").focus()
    views.page.keyboard.press("+")
    assert (np.abs(views.looks(rest=False).astype(int) - drawn).max(2) > INK).mean() > 0.01


def test_points_are_found_as_by_looking_at_each(views: Views) -> None:
    views.page.goto(f"{views.base}/?view=map")
    chance = np.random.default_rng(2)
    places = chance.random((2000, 2))
    box = [0.2, 0.31, 0.57, 0.6]
    found, nearest = views.page.evaluate(
        """async ([x, y, box]) => {
          const { Scatter } = await import("/static/scatter.js");
          const points = new Scatter(x.map((_, i) => i), x, y, 1.5);
          const line = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]];
          return [points.inside(line).sort((a, b) => a - b), points.nearest(0.75, 0.5, 0.4)];
        }""",
        [places[:, 0].tolist(), places[:, 1].tolist(), box],
    )
    x, y = places[:, 0] * 1.5, places[:, 1]
    inside = (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])
    assert found == np.nonzero(inside)[0].tolist()
    assert nearest == int(np.hypot(x - 0.75, y - 0.5).argmin())
