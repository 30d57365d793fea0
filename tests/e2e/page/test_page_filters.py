"""Filters, selection, export, saved searches."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from page_kit import Opened
from playwright.sync_api import Page, expect

Open = Callable[..., Opened]


def box_of(page: Page, title: str, index: int) -> tuple[object, int]:
    """A check box of a group of filters, and the count beside it, once counts are as they stay."""
    page.wait_for_function(
        """() => document.querySelector("#filters .pick")
          && !document.querySelector("#filters[aria-busy]")"""
    )
    group = page.locator("#filters details").filter(has=page.locator("summary", has_text=title))
    row = group.locator("label.pick").nth(index)
    return row.locator("input"), int(row.locator(".pick-count").inner_text())


def shown(page: Page, count: int) -> None:
    expect(page.locator("#tools .summary strong")).to_have_text(
        f"{count} picture{'' if count == 1 else 's'}"
    )


def test_one_kind_is_or_and_two_kinds_are_and(opened: Open, page: Page) -> None:
    there = opened()
    page.keyboard.press("f")
    camera, cameras = box_of(page, "Camera", 0)
    camera.check()
    shown(page, cameras)
    other, others = box_of(page, "Camera", 1)
    other.check()
    shown(page, cameras + others)
    year, within = box_of(page, "Year", 0)
    assert within < cameras + others
    year.check()
    shown(page, within)
    expect(page.locator("#filters .filter-chips .chip")).to_have_count(3)
    expect(page.locator("#filters-button")).to_have_text("Filters (3)")
    here = page.url
    other = Opened(page.context.new_page())
    other.page.goto(here)
    other.settle()
    assert other.ids() == there.ids()
    page.get_by_role("button", name="Clear all").click()
    shown(page, 82)


def test_counts_of_a_kind_stay_while_it_is_picked(opened: Open, page: Page) -> None:
    opened()
    page.keyboard.press("f")
    first, _ = box_of(page, "Camera", 0)
    _, before = box_of(page, "Camera", 1)
    first.check()
    expect(page.locator("#filters .filter-chips .chip")).to_have_count(1)
    _, after = box_of(page, "Camera", 1)
    assert before == after > 0


def test_the_filter_line_filters_and_says_its_mistakes(opened: Open, page: Page) -> None:
    there = opened("?q=cat")
    page.keyboard.press("f")
    line = page.get_by_label("Filter line")
    line.fill("folder = photos and")
    line.press("Enter")
    expect(page.locator("#where-problem")).to_contain_text("a condition is missing")
    line.fill("name ~ 'photo'")
    line.press("Enter")
    expect(page.locator("#where-problem")).to_be_hidden()
    page.wait_for_function("() => !document.querySelector('#grid [aria-label*=\"yard\"]')")
    there.settle()
    assert there.names()
    assert all(name.startswith("photo-") for name in there.names())


def test_a_filter_that_finds_nothing_can_be_cleared(opened: Open, page: Page) -> None:
    opened("?where=year = 1901")
    expect(page.locator("#told")).to_contain_text("No picture passes the filters")
    page.get_by_role("button", name="Clear the filters").click()
    shown(page, 82)


def test_select_by_click_range_and_keys(opened: Open, page: Page) -> None:
    there = opened("?q=cat")
    ids = there.ids()
    page.locator("[data-index='0']").click(modifiers=["ControlOrMeta"])
    page.locator("[data-index='4']").click(modifiers=["Shift"])
    chosen = page.locator("#grid [aria-selected='true']")
    expect(chosen).to_have_count(5)
    expect(page.locator("#selection strong")).to_have_text("5 selected")
    page.locator("[data-index='2']").focus()
    page.keyboard.press("Space")
    expect(chosen).to_have_count(4)
    page.get_by_role("button", name="Copy paths").click()
    expect(page.locator("#notices")).to_contain_text("4 paths copied")
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    told = [there.api(f"/v1/items/{ids[at]}")["path"] for at in (0, 1, 3, 4)]
    assert copied == told
    page.locator("[data-index='2']").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()


def test_paths_of_everything_are_copied_though_only_numbers_are_here(
    opened: Open, page: Page
) -> None:
    there = opened()
    page.locator("[data-index='0']").focus()
    page.keyboard.press("ControlOrMeta+a")
    expect(page.locator("#selection strong")).to_have_text("82 selected")
    page.keyboard.press("p")
    expect(page.locator("#notices")).to_contain_text("82 paths copied")
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    items = there.api("/v1/items?order=newest&limit=100")["items"]
    assert copied == [item["path"] for item in items]


def test_export_gives_json_csv_and_paths(opened: Open, page: Page, tmp_path: Path) -> None:
    there = opened("?q=cat")
    answer = there.api("/v1/search?q=cat&limit=100")
    above = answer["hits"][: answer["likely"] or answer["matching"]]
    page.keyboard.press("e")
    page.get_by_label("Which pictures").select_option("above")
    texts = {}
    for name in ("JSON", "CSV", "Paths"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        file = tmp_path / name
        download.value.save_as(file)
        texts[name] = file.read_text("utf-8")
    paths = [hit["path"] for hit in above]
    assert texts["Paths"].splitlines() == paths
    assert [one["path"] for one in json.loads(texts["JSON"])["pictures"]] == paths
    rows = list(csv.DictReader(texts["CSV"].splitlines()))
    assert [row["path"] for row in rows] == paths
    assert [float(row["score"]) for row in rows] == [hit["score"] for hit in above]


def test_a_search_is_saved_opened_and_deleted(opened: Open, page: Page) -> None:
    there = opened("?q=2:chair - table&where=name ~ 'yard'&order=newest")
    ids = there.ids()
    page.keyboard.press("s")
    page.get_by_label("Name of this search").fill("chairs, outside?")
    page.get_by_role("button", name="Save this search").click()
    expect(page.locator("#sheet")).to_contain_text("Saved as")
    other = Opened(page.context.new_page())
    other.page.goto(page.url.partition("?")[0])
    other.settle()
    other.page.keyboard.press("s")
    other.page.locator(".saved-one", has_text="chairs, outside?").click()
    other.wait_for_question("2:chair - table")
    assert other.page.evaluate("new URLSearchParams(location.search).get('order')") == "newest"
    # The filters stand open in the first tab alone, which leaves room for fewer tiles.
    assert other.ids()[: len(ids)] == ids
    other.page.keyboard.press("s")
    other.page.get_by_role("button", name="Delete chairs, outside?").click()
    expect(other.page.locator("#sheet")).to_contain_text("Nothing is saved yet")
