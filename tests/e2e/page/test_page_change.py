"""Picking a result and typing a change: the line of the change, its keys, and the address."""

from __future__ import annotations

from collections.abc import Callable

from page_kit import Opened
from playwright.sync_api import Page, expect

Open = Callable[..., Opened]


def test_pick_a_result_and_type_a_change(opened: Open, page: Page) -> None:
    there = opened("?q=cat")
    first = there.ids()[0]
    page.locator("[data-index='0']").focus()
    page.keyboard.press("x")
    there.wait_for_question(f"@{first}")
    line = page.get_by_label("Change: what is to be different")
    expect(line).to_be_focused()
    page.keyboard.type("at night - or not")
    page.keyboard.press("Enter")
    there.wait_for_question(f"@{first} -> at night - or not")
    assert first not in there.ids()
    shown = there.ids()
    told = there.api(f"/v1/search?q=%40{first}%20-%3E%20at%20night%20-%20or%20not&limit=100")
    assert shown == [hit["id"] for hit in told["hits"]][: len(shown)]
    page.locator("[data-index='0']").focus()
    page.keyboard.press("w")
    expect(page.locator("#sheet")).to_contain_text("Made of the question")
    expect(page.locator("#sheet .share-part")).to_have_text(["the picture", "the words"])
    page.keyboard.press("Escape")
    page.reload()
    there.settle()
    expect(line).to_have_value("at night - or not")
    expect(page.locator("#q")).to_have_value("")
    assert there.ids() == shown


def test_a_change_lives_with_the_other_parts_and_goes_with_its_picture(
    opened: Open, page: Page
) -> None:
    there = opened("?q=%401%20-%3E%20in%20red")
    page.locator("#q").fill("2:cup")
    page.keyboard.press("Enter")
    there.wait_for_question("2:cup + @1 -> in red")
    page.get_by_role("button", name="More weight for @1").click()
    there.wait_for_question("2:cup + 1.5:@1 -> in red")
    page.locator("[data-index='0']").focus()
    number = there.ids()[0]
    page.keyboard.press("l")
    there.wait_for_question(f"2:cup + 1.5:@1 - @{number} -> in red")
    page.get_by_role("button", name="Remove @1").click()
    there.wait_for_question(f"2:cup - @{number}")
    expect(page.locator(".change")).to_be_hidden()


def test_a_piece_of_an_open_picture_is_changed_in_words(opened: Open, page: Page) -> None:
    there = opened("?open=3")
    page.keyboard.press("b")
    page.keyboard.press("x")
    page.wait_for_function("() => document.activeElement.id === 'change'")
    asked = there.question()
    assert asked.startswith("@3#xywh=")
    page.keyboard.type("the same, but red")
    page.keyboard.press("Enter")
    there.wait_for_question(f"{asked} -> the same, but red")
    page.get_by_role("button", name="No change").click()
    there.wait_for_question(asked)
