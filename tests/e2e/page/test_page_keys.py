"""Without a mouse, for people who listen, and on small and dark screens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from page_kit import Opened
from playwright.sync_api import Page, expect

from needlepoint.errors import UsageError
from needlepoint.query import Query

Open = Callable[..., Opened]

NAMELESS = """() => {
  const open = document.querySelector("dialog[open]") ?? document;
  const controls = "button, input, select, a[href], [role=gridcell], [role=slider]";
  return [...open.querySelectorAll(controls)]
    .filter((one) => one.checkVisibility() && !one.closest("#view, #side"))
    .filter((one) => !(one.getAttribute("aria-label") || one.innerText?.trim() || one.title
      || [...(one.labels ?? [])].some((label) => label.innerText.trim())))
    .map((one) => one.outerHTML.slice(0, 200));
}"""

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const weak = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
    const apart = node.closest(":disabled, .frame, .unseen, .skip");
    if (!text || apart || !node.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${ratio.toFixed(2)} ${node.className} ${node.textContent}`);
  }
  return weak;
}"""

QUESTIONS = (
    "red bicycle",
    "2:beach + dog - people",
    "- people + 0.5:beach",
    '"black + white" - text:"duck.jpg"',
    "@12#xywh=1,2,3,4 + 1.5:@3",
    'img:"upload:0123abc"#xywh=percent:10,20,30.5,40 - cat',
    "./duck.jpg + https://example.org/a.png#xywh=0,0,9,9",
    "t-shirt - 3:4 ratio",
    "10:30 train",
    "a+b",
    "well, who? me & you; 50%",
)
WRONG = ('cat + "dog', "cat + ", "0:cat", "- cat", "@1#xywh=1,2", '"cat"#xywh=1,2,3,4')


def test_a_whole_search_without_a_mouse(opened: Open, page: Page) -> None:
    there = opened()
    there.ask("cat")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("data-index", "0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    columns = int(page.locator("#grid").get_attribute("aria-colcount") or 0)
    expect(focused).to_have_attribute("data-index", str(1 + columns))
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(page.locator("#selection strong")).to_have_text("1 selected")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    ids = there.ids()
    for key, number in (("ArrowRight", ids[1]), ("ArrowRight", ids[2]), ("ArrowLeft", ids[1])):
        page.keyboard.press(key)
        page.wait_for_function(f"() => location.search.includes('open={number}')")
    page.keyboard.press("+")
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(focused).to_have_attribute("data-id", str(ids[1]))
    page.keyboard.press("y")
    there.wait_for_question(f"@{ids[1]}")
    assert there.ids()[0] == ids[1]


def test_help_tells_the_keys_and_the_language(opened: Open, page: Page) -> None:
    opened()
    page.keyboard.press("?")
    sheet = page.locator("#help")
    for text in ("beach + sunset - people", "Draw a box", "near(48.1, 11.5, 20)", "Saved searches"):
        expect(sheet).to_contain_text(text)
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_filters_open_and_close_with_the_focus_in_them(opened: Open, page: Page) -> None:
    opened()
    page.keyboard.press("f")
    expect(page.locator("#filters")).to_be_visible()
    page.wait_for_function(
        "() => document.querySelector('#filters').contains(document.activeElement)"
    )
    page.get_by_role("button", name="Close the filters").press("Enter")
    expect(page.locator("#filters-button")).to_be_focused()


def test_results_are_announced(opened: Open, page: Page) -> None:
    there = opened()
    there.ask("cat")
    above = page.locator("#tools .summary strong").inner_text()
    expect(page.locator("#live")).to_have_text(f"82 pictures, {above} probably match")


def test_everything_has_a_name_and_a_role(opened: Open, page: Page) -> None:
    there = opened("?q=2:cat - dog")
    page.keyboard.press("f")
    expect(page.locator("#filters .pick").first).to_be_visible()
    assert page.evaluate(NAMELESS) == []
    tree = page.locator("body").aria_snapshot()
    for piece in (
        'searchbox "Question',
        'grid "Pictures for',
        "main:",
        'navigation "Views"',
        "slider",
    ):
        assert piece in tree, tree
    assert "gridcell" in tree
    assert "rank 1" in tree
    tabbable = page.locator("#grid [tabindex='0']")
    expect(tabbable).to_have_count(1)
    page.locator("[data-index='0']").click()
    expect(page.locator("#viewer .facts").first).to_be_visible()
    assert page.evaluate(NAMELESS) == []
    assert there.question() == "2:cat - dog"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(opened: Open, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    opened("?q=2:cat - dog")
    page.keyboard.press("f")
    expect(page.locator("#filters .pick").first).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 20, 19)")


def test_colours_can_be_chosen_and_are_remembered(opened: Open, page: Page) -> None:
    opened()
    for _ in range(2):
        page.keyboard.press("d")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == "rgb(20, 20, 19)"
    opened()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844), (3840, 2160)])
def test_it_fits_small_and_large_screens(opened: Open, page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    opened("?q=cat")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    seen = page.locator("#q, #filters-button, #views button").all()
    for one in seen:
        box = one.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width + 1
    assert int(page.locator("#grid").get_attribute("aria-colcount") or 0) >= 2
    page.locator("[data-index='0']").click()
    close = page.get_by_role("button", name="Close the picture")
    box = close.bounding_box()
    assert box
    assert box["x"] + box["width"] <= width
    close.click()
    expect(page.locator("#viewer")).to_be_hidden()


def test_the_page_reads_questions_as_the_server_does(opened: Open, page: Page) -> None:
    opened()
    read = """async text => {
      const {parts, print} = await import("/static/question.js");
      const read = parts(text);
      return read && {read, again: parts(print(read)), print: print(read)};
    }"""
    for text in QUESTIONS:
        told = [
            {
                "kind": part.kind,
                "value": part.value,
                "weight": part.weight,
                "box": None if part.box is None else list(part.box),
                "percent": part.box_percent,
            }
            for part in Query.parse(text, files=False).parts
        ]
        mine = page.evaluate(read, text)
        assert mine["read"] == told, text
        pulls_first = sorted(told, key=lambda part: part["weight"] < 0)
        assert mine["again"] == pulls_first, text
        again = Query.parse(mine["print"], files=False).parts
        assert [(p.kind, p.value, p.weight) for p in again] == [
            (part["kind"], part["value"], part["weight"]) for part in pulls_first
        ]
    for text in WRONG:
        with pytest.raises(UsageError):
            Query.parse(text, files=False)
        assert page.evaluate(read, text) is None or text == "- cat"
