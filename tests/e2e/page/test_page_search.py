"""Asking in words: boxes, scores, the line, the parts, and the address."""

from __future__ import annotations

from collections.abc import Callable

from page_kit import Opened
from playwright.sync_api import Page, expect

Open = Callable[..., Opened]


def test_words_give_pictures_with_the_place_that_matched(opened: Open, page: Page) -> None:
    there = opened()
    there.ask("cat")
    assert there.names()[0] == "photo-cat.jpg"
    first = page.locator("[data-index='0']")
    hit = there.api("/v1/search?q=cat&limit=1")["hits"][0]
    frame = first.locator(".frame").bounding_box()
    mark = first.locator(".mark").bounding_box()
    assert frame
    assert mark
    x, y, w, h = hit["box"]
    scale = frame["width"] / hit["width"]
    for drawn, told in ((mark["x"] - frame["x"], x), (mark["y"] - frame["y"], y)):
        assert abs(drawn - told * scale) < 3
    assert abs(mark["width"] - w * scale) < 5
    assert abs(mark["height"] - h * scale) < 5
    assert first.locator(".score").inner_text() == f"{hit['score']:.3f}"


def test_a_tile_shows_the_place_close_up_when_it_has_the_focus(opened: Open, page: Page) -> None:
    opened("?q=cat")
    page.locator("[data-index='0']").hover()
    loupe = page.locator("[data-index='0'] .loupe img")
    expect(loupe).to_be_visible()
    page.wait_for_function("() => document.querySelector('.loupe img').naturalWidth > 0")
    page.locator("#q").hover()
    expect(page.locator(".loupe")).to_have_count(0)


def test_why_tells_parts_model_method_and_exactness(opened: Open, page: Page) -> None:
    there = opened("?q=cat")
    page.locator("[data-index='0']").focus()
    page.keyboard.press("w")
    sheet = page.locator("#sheet")
    expect(sheet).to_contain_text("exact: equal to comparing with every vector")
    hit = there.api("/v1/search?q=cat&limit=1")["hits"][0]
    for text in (hit["source"]["method"], hit["source"]["model"], f"{hit['score']:.3f}"):
        expect(sheet).to_contain_text(text)
    expect(sheet.locator(".share-part")).to_have_text(["cat"])
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_probably_not_begins_at_the_cut_off(opened: Open, page: Page) -> None:
    there = opened("?q=cat")
    answer = there.api("/v1/search?q=cat&limit=100")
    line = answer["cutoff"] if answer["likely_score"] is None else answer["likely_score"]
    above = sum(hit["score"] >= line for hit in answer["hits"])
    assert 0 < above < answer["total"]
    expect(page.locator(".grid-head.line")).to_contain_text("Probably not")
    expect(page.locator("#tools .summary strong")).to_have_text(str(above))
    below = page.locator(".tile.below").first
    assert below.get_attribute("data-index") == str(above)


def test_the_slider_moves_the_line_and_the_address(opened: Open, page: Page) -> None:
    there = opened("?q=cat")
    before = int(page.locator("#tools .summary strong").inner_text())
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_function("() => new URLSearchParams(location.search).has('min')")
    expect(page.locator("#tools .summary strong")).to_have_text("82")
    page.keyboard.press("PageUp")
    expect(page.locator("#tools .summary strong")).not_to_have_text("82")
    expect(page.locator("#tools .summary")).to_contain_text("above the cut-off")
    after = int(page.locator("#tools .summary strong").inner_text())
    assert after > before
    least = float(page.evaluate("new URLSearchParams(location.search).get('min')"))
    scores = [hit["score"] for hit in there.api("/v1/search?q=cat&limit=100")["hits"]]
    assert after == sum(score >= least for score in scores)
    assert f"{after} picture" in (slider.get_attribute("aria-valuetext") or "")
    page.get_by_role("button", name="calibrated").click()
    expect(page.locator("#tools .summary strong")).to_have_text(str(before))


def test_what_is_below_can_be_hidden(opened: Open, page: Page) -> None:
    opened("?q=cat")
    above = int(page.locator("#tools .summary strong").inner_text())
    page.get_by_label("Hide what is below").check()
    expect(page.locator(".grid-head.line")).to_have_count(0)
    expect(page.locator("#grid [data-id]")).to_have_count(above)


def test_nothing_matches_is_said(opened: Open, page: Page) -> None:
    opened("?q=cat&min=5")
    expect(page.locator("#told")).to_contain_text("Nothing here matches")
    expect(page.locator(".grid-head.line")).to_contain_text("Nearest, though nothing matches")
    assert page.locator("#grid [data-id]").count() > 0


def test_parts_become_chips_that_weigh_turn_and_go(opened: Open, page: Page) -> None:
    there = opened()
    there.ask("scissors + 2:cup - cat")
    chips = page.locator("#question .chip")
    expect(chips).to_have_count(3)
    page.get_by_role("button", name="More weight for scissors").click()
    there.wait_for_question("1.5:scissors + 2:cup - cat")
    page.get_by_role("button", name="cup: pulls, turn to push away").click()
    there.wait_for_question("1.5:scissors - 2:cup - cat")
    page.get_by_role("button", name="Remove cat").click()
    there.wait_for_question("1.5:scissors - 2:cup")
    expect(chips).to_have_count(2)


def test_a_mistake_is_shown_under_the_box_with_its_place(opened: Open, page: Page) -> None:
    there = opened()
    there.ask('cat + "dog')
    expect(page.locator("#problem")).to_contain_text("the quote is not closed")
    expect(page.locator("#problem")).to_contain_text("^")
    expect(page.locator("#q")).to_have_attribute("aria-invalid", "true")
    there.ask("cat")
    expect(page.locator("#problem")).to_be_hidden()


def test_back_and_forward_walk_through_the_questions(opened: Open, page: Page) -> None:
    there = opened()
    there.ask("cat")
    first = there.ids()
    there.ask("dandelion")
    assert there.ids() != first
    page.go_back()
    there.wait_for_question("cat")
    assert there.ids() == first
    assert page.locator("#q").input_value() == "cat"
    page.go_back()
    there.wait_for_question("")
    page.go_forward()
    there.wait_for_question("cat")
    assert there.ids() == first


def test_the_address_gives_the_same_ranking_in_another_tab(opened: Open, page: Page) -> None:
    there = opened()
    there.ask("2:chair - table")
    page.get_by_role("slider").focus()
    page.keyboard.press("PageUp")
    page.wait_for_function("() => new URLSearchParams(location.search).has('min')")
    other = Opened(page.context.new_page())
    other.page.goto(page.url)
    other.settle()
    assert other.ids() == there.ids()
    summary = "#tools .summary"
    assert other.page.inner_text(summary) == page.inner_text(summary)


def test_order_by_date_is_within_the_relevant(opened: Open, page: Page) -> None:
    there = opened("?q=scissors")
    page.locator("#tools select").select_option("newest")
    page.wait_for_function("() => new URLSearchParams(location.search).get('order') === 'newest'")
    there.settle()
    hits = there.api("/v1/search?q=scissors&limit=100&order=newest")["hits"]
    shown = there.ids()
    assert shown == [hit["id"] for hit in hits][: len(shown)]
    expect(page.locator(".grid-head.line")).to_have_count(0)
