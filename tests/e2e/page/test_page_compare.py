"""Comparing: side by side and over each other, moved together, with what differs."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect
from views_kit import Views

from page_pictures import number_of

COFFEE = ("photo-coffee.jpg", "photo-coffee-grey.jpg")
FRAMES = """() => new Promise((done) => {
  let asked = 0;
  const ask = window.requestAnimationFrame;
  window.requestAnimationFrame = (run) => (asked += 1, ask.call(window, run));
  setTimeout(() => {
    window.requestAnimationFrame = ask;
    done(asked);
  }, 300);
})"""
"""How many frames the page asks for in a while."""


@pytest.fixture
def coffee(views: Views) -> list[int]:
    """Numbers of a picture and its edited copy."""
    return [number_of(views.page, views.base, name) for name in COFFEE]


def colourful(pixels: np.ndarray) -> float:
    """How far from grey the middle of what is shown is."""
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : -height // 4, width // 3 : -width // 3].astype(int)
    return float((middle.max(2) - middle.min(2)).mean())


def test_facts_that_differ_are_listed_and_the_rest_on_demand(
    views: Views, coffee: list[int]
) -> None:
    views.go(f"?view=compare&q=coffee cup&ids={coffee[0]},{coffee[1]}", ".compare-facts td")
    rows = views.page.locator(".compare-facts tbody tr")
    labels = rows.locator("th").all_inner_texts()
    assert {"Score", "Name", "Folder", "File"} <= set(labels)
    assert "Pixels" not in labels
    assert "Format" not in labels
    hits = views.api(f"/v1/search?q=coffee cup&where=id in ({coffee[0]}, {coffee[1]})")["hits"]
    scores = {hit["id"]: f"{hit['score']:.3f}" for hit in hits}
    assert rows.nth(labels.index("Score")).locator("td").all_inner_texts() == [
        scores[number] for number in coffee
    ]
    views.page.get_by_label("Also what is the same").check()
    assert {"Pixels", "Format"} <= set(rows.locator("th").all_inner_texts())


def test_panes_show_the_same_part_when_one_is_enlarged(views: Views, coffee: list[int]) -> None:
    views.go(f"?view=compare&ids={coffee[0]},{coffee[1]}", ".compare-facts td")
    panes = views.page.locator(".compare-frame")
    before = [views.looks(panes.nth(i)) for i in (0, 1)]
    panes.nth(0).locator("canvas").focus()
    for key in ("+", "+", "ArrowRight", "ArrowDown"):
        views.page.keyboard.press(key)
    after = [views.looks(panes.nth(i)) for i in (0, 1)]
    for i in (0, 1):
        assert np.abs(after[i].astype(int) - before[i]).mean() > 5
    assert views.page.evaluate(FRAMES) <= 1  # and when they stand still, nothing is drawn
    # the copy is the same but for its colours: where both look, their light is the same
    light = [one.mean(2)[20:-20, 20:-20] for one in after]
    assert np.corrcoef(light[0].ravel(), light[1].ravel())[0, 1] > 0.9


def test_swipe_shows_one_on_each_side_of_the_edge(views: Views, coffee: list[int]) -> None:
    views.go(f"?view=compare&ids={coffee[0]},{coffee[1]}", ".compare-facts td")
    views.page.get_by_role("button", name="Swipe").click()
    edge = views.page.get_by_label("How much of A is seen")
    expect(views.page.locator(".compare-frame canvas[aria-busy]")).to_have_count(0)
    seen = {}
    for part in ("1", "0"):
        edge.fill(part)
        seen[part] = colourful(views.looks())
    assert seen["1"] > 1.5 * seen["0"]


def test_flicker_stands_still_for_those_who_want_less_motion(
    views: Views, coffee: list[int]
) -> None:
    views.go(f"?view=compare&ids={coffee[0]},{coffee[1]}", ".compare-facts td")
    views.page.get_by_role("button", name="Flicker").click()
    expect(views.page.locator(".compare-frame canvas[aria-busy]")).to_have_count(0)
    expect(views.page.get_by_role("button", name="Play")).to_be_visible()
    first = colourful(views.looks())
    views.page.get_by_role("button", name="Change over").click()
    expect(views.page.locator(".compare-front")).to_have_text("B")
    assert first > 1.5 * colourful(views.looks())


def test_difference_of_a_picture_and_its_copy_is_dark(views: Views, coffee: list[int]) -> None:
    views.go(f"?view=compare&ids={coffee[0]},{coffee[1]}", ".compare-facts td")
    plain = views.looks().mean()
    views.page.get_by_role("button", name="Difference").click()
    expect(views.page.locator(".compare-frame canvas[aria-busy]")).to_have_count(0)
    dark = views.looks()
    height, width = dark.shape[:2]
    assert dark[height // 3 : -height // 3, width // 3 : -width // 3].mean() < plain / 2


def test_four_are_shown_and_can_be_taken_out(views: Views) -> None:
    ids = [item["id"] for item in views.api("/v1/items?limit=4&fields=brief")["items"]]
    views.go(f"?view=compare&ids={','.join(map(str, ids))}", ".compare-facts td")
    expect(views.page.locator(".compare-pane")).to_have_count(4)
    expect(views.page.get_by_role("button", name="Swipe")).to_be_disabled()
    views.page.locator(".compare-name .icon-button").first.click()
    expect(views.page.locator(".compare-pane")).to_have_count(3)
    assert views.state("ids") == ",".join(map(str, ids[1:]))


def test_fewer_than_two_are_told_what_to_do(views: Views) -> None:
    views.go("?view=compare", ".compare .empty")
    expect(views.page.locator(".compare .empty")).to_contain_text("Select two to four pictures")
