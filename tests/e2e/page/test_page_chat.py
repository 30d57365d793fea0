"""The conversation panel: words and marks, what moved, undo, and what is told when it fails."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect
from views_kit import Views


@pytest.fixture
def talk(views: Views) -> Locator:
    """The panel, open beside the answer to a question."""
    views.go("?side=chat&q=electric guitar", ".chat textarea")
    expect(views.page.get_by_label("Method")).to_have_value("feedback")
    return views.page.locator(".chat")


def say(views: Views, words: str, turns: int) -> None:
    """Send a turn with the keyboard and wait until it is the last of so many."""
    box = views.page.get_by_label("Your turn")
    box.fill(words)
    box.press("Enter")
    expect(views.page.locator(".chat-turn")).to_have_count(turns)
    expect(views.page.locator("#told")).to_contain_text(f"turn {turns}")


def order(views: Views) -> list[int]:
    """Numbers of the tiles, in order."""
    ids: list[int] = views.page.evaluate(
        "() => [...document.querySelectorAll('#grid [data-id]')]"
        ".sort((a, b) => a.dataset.index - b.dataset.index).map(tile => Number(tile.dataset.id))"
    )
    return ids


def test_the_question_of_the_page_is_offered_as_the_first_turn(views: Views, talk: Locator) -> None:
    expect(views.page.get_by_label("Your turn")).to_have_value("electric guitar")
    expect(talk).to_contain_text("words and marks work without one")
    say(views, "electric guitar", 1)
    told = views.api(f"/v1/conversations/{views.state('talk')}")
    shown = order(views)
    assert [hit["id"] for hit in told["turns"][0]["answer"]["hits"]][: len(shown)] == shown


def test_marks_move_the_ranking_and_the_page_tells_how(views: Views, talk: Locator) -> None:
    say(views, "electric guitar", 1)
    tiles = views.page.locator("#grid [data-id]")
    first, liked = order(views)[0], order(views)[3]
    tiles.nth(3).focus()
    views.page.keyboard.press("m")
    tiles.nth(0).focus()
    views.page.keyboard.press("l")
    expect(talk.locator(".chat-waiting")).to_have_count(2)
    say(views, "", 2)
    expect(talk.locator(".chat-waiting")).to_have_count(0)
    turn = views.api(f"/v1/conversations/{views.state('talk')}")["turns"][1]
    assert [mark["id"] for mark in turn["more"]] == [liked]
    assert [mark["id"] for mark in turn["less"]] == [first]
    assert turn["answer"]["hits"][0]["id"] == liked == order(views)[0]
    moves = [turn["moved"][str(hit["id"])] for hit in turn["answer"]["hits"]]
    rose = sum(move > 0 for move in moves if move is not None)
    expect(talk.locator(".chat-moved")).to_contain_text(f"▲ {rose} rose")
    chart = talk.get_by_role("img", name="moved")
    expect(chart.locator("image")).to_have_count(20)
    assert chart.locator(".flow-line.up").count() == sum(
        move is not None and move > 0 for move in moves[:10]
    )


def test_a_part_is_marked_where_it_is_drawn(views: Views, talk: Locator) -> None:
    say(views, "electric guitar", 1)
    number = order(views)[1]
    views.page.locator("#grid [data-id]").nth(1).focus()
    views.page.keyboard.press("m")
    talk.get_by_role("button", name="Whole").click()
    views.page.locator("#viewer .plane > img").wait_for()
    views.page.keyboard.press("b")
    views.page.get_by_role("button", name="More like this part").click()
    expect(views.page.locator("#viewer")).to_be_hidden()
    expect(talk.locator(".chat-waiting")).to_have_count(1)
    say(views, "", 2)
    [mark] = views.api(f"/v1/conversations/{views.state('talk')}")["turns"][1]["more"]
    assert mark["id"] == number
    assert mark["box"][2] > 0


def test_undo_gives_the_answer_and_the_words_back(views: Views, talk: Locator) -> None:
    say(views, "electric guitar", 1)
    before = order(views)
    say(views, "in the grass", 2)
    talk.get_by_role("button", name="Take the last turn back").click()
    expect(views.page.locator(".chat-turn")).to_have_count(1)
    expect(views.page.get_by_label("Your turn")).to_have_value("in the grass")
    expect(views.page.locator("#told")).to_contain_text("turn 1")
    assert order(views) == before


def test_a_conversation_is_found_again_by_its_address(views: Views, talk: Locator) -> None:
    say(views, "electric guitar", 1)
    say(views, "in the grass", 2)
    shown = order(views)
    views.page.reload()
    expect(views.page.locator(".chat-turn")).to_have_count(2)
    expect(views.page.locator("#told")).to_contain_text("turn 2")
    assert order(views) == shown


def test_a_conversation_that_is_gone_is_told(views: Views) -> None:
    views.go("?side=chat&talk=nothing", ".chat textarea")
    expect(views.page.locator(".notice")).to_contain_text("That conversation is over")
    assert views.state("talk") == ""


def test_leaving_gives_the_grid_back(views: Views, talk: Locator) -> None:
    say(views, "electric guitar", 1)
    views.page.get_by_role("button", name="Close the panel").click()
    expect(views.page.locator("#told")).to_be_hidden()
    expect(views.page.locator("#tools .summary")).to_contain_text("pictures")


def test_what_is_wrong_with_a_turn_is_told_and_the_words_stay(views: Views, talk: Locator) -> None:
    box = views.page.get_by_label("Your turn")
    box.fill("@999999")
    box.press("Enter")
    expect(views.page.locator(".notice")).to_contain_text("999999")
    expect(box).to_have_value("@999999")
    expect(views.page.locator(".chat-turn")).to_have_count(0)
