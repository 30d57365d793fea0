"""Asking with pictures: drawn boxes; pasted, dropped and picked ones; more and less like one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from page_kit import Opened, Watch
from playwright.sync_api import Browser, Page, expect

Open = Callable[..., Opened]

QUERIES = Path(__file__).parents[3] / "samples" / "queries"
PICTURES = Path(__file__).parents[3] / "samples" / "pictures"

# The page's policy allows no fetch of a data URL, to tests neither.
BLOB = """const made = (kind, text) =>
    new Blob([Uint8Array.from(atob(text), one => one.charCodeAt(0))], {type: kind});"""
PUT_ON_CLIPBOARD = f"""async ([kind, text]) => {{
  {BLOB}
  const blob = made(kind, text);
  await navigator.clipboard.write([new ClipboardItem({{[kind]: blob}})]);
}}"""
DROP = f"""([kind, text, name]) => {{
  {BLOB}
  const carried = new DataTransfer();
  carried.items.add(new File([made(kind, text)], name, {{type: kind}}));
  const at = document.getElementById("grid");
  for (const event of ["dragenter", "dragover", "drop"]) {{
    const options = {{dataTransfer: carried, bubbles: true, cancelable: true}};
    at.dispatchEvent(new DragEvent(event, options));
  }}
}}"""


def carried(path: Path) -> list[str]:
    """Media type, content in base64 and name of a file, as a page takes them from a test."""
    kind = "image/png" if path.suffix == ".png" else "image/jpeg"
    return [kind, base64.b64encode(path.read_bytes()).decode(), path.name]


def ready(page: Page) -> tuple[float, float, float, float]:
    """Where the opened picture lies on the screen, once it is there: x, y, width, height."""
    expect(page.locator("#viewer")).to_be_visible()
    page.wait_for_function("() => document.querySelector('.plane > img')?.naturalWidth > 1")
    box = page.locator(".plane").bounding_box()
    assert box
    return box["x"], box["y"], box["width"], box["height"]


def test_a_box_drawn_with_the_mouse_finds_the_picture_itself_first(
    opened: Open, page: Page
) -> None:
    there = opened()
    number = there.ids()[2]
    page.locator("[data-index='2']").click()
    x, y, w, h = ready(page)
    assert page.get_by_role("button", name="Find similar pictures").is_visible()
    page.mouse.move(x + 0.3 * w, y + 0.4 * h)
    page.mouse.down()
    page.mouse.move(x + 0.5 * w, y + 0.5 * h, steps=4)
    page.mouse.move(x + 0.6 * w, y + 0.7 * h, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Search for this piece").click()
    there.settle()
    item = there.api(f"/v1/items/{number}")
    asked, _, piece = there.question().partition("#xywh=")
    assert asked == f"@{number}"
    shares = [
        value / side
        for value, side in zip(
            map(float, piece.split(",")), [item["width"], item["height"]] * 2, strict=True
        )
    ]
    assert all(abs(a - b) < 0.02 for a, b in zip(shares, (0.3, 0.4, 0.3, 0.3), strict=True))
    expect(page.locator("#viewer")).to_be_hidden()
    assert there.ids()[0] == number
    expect(page.locator("#question .chip-thumb img")).to_be_visible()


def test_a_box_is_moved_and_sized_with_the_keyboard(opened: Open, page: Page) -> None:
    there = opened("?q=cat")
    first = there.ids()[0]
    page.locator("[data-index='0']").focus()
    page.keyboard.press("Enter")
    ready(page)
    page.keyboard.press("b")
    box = page.locator(".drawn")
    expect(box).to_be_focused()
    before = box.bounding_box()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowRight"):
        page.keyboard.press(key)
    after = box.bounding_box()
    assert before
    assert after
    assert after["x"] > before["x"]
    assert after["y"] > before["y"]
    assert after["width"] > before["width"]
    assert abs(after["height"] - before["height"]) < 1
    assert "Box, 32 by 30 percent at 39, 37" in (box.get_attribute("aria-label") or "")
    page.keyboard.press("Enter")
    there.settle()
    page.wait_for_function("() => location.search.includes('xywh')")
    there.settle()
    assert there.ids()[0] == first


def test_a_pasted_picture_becomes_part_of_the_question(opened: Open, page: Page) -> None:
    there = opened()
    page.evaluate(PUT_ON_CLIPBOARD, carried(QUERIES / "puzzle-10.png")[:2])
    page.keyboard.press("ControlOrMeta+v")
    page.wait_for_function("() => location.search.includes('upload')")
    there.settle()
    expect(page.locator("#question .chip-name")).to_have_text("your picture")
    page.wait_for_function("() => document.querySelector('.chip-thumb img').naturalWidth > 0")
    assert page.locator("#q").input_value() == ""
    assert page.locator("#q").get_attribute("placeholder") == "Add words"


def test_a_dropped_picture_finds_itself_and_takes_words_along(opened: Open, page: Page) -> None:
    there = opened()
    page.evaluate(DROP, carried(PICTURES / "photo-rocket.jpg"))
    page.wait_for_function("() => location.search.includes('upload')")
    there.settle()
    assert there.names()[0] == "photo-rocket.jpg"
    page.locator("#q").fill("cat")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.search.includes('q=cat')")
    there.settle()
    assert there.question().startswith('cat + img:"upload:')
    expect(page.locator("#question .chip")).to_have_count(2)
    assert page.locator("#q").input_value() == "cat"


def test_a_file_that_is_no_picture_is_refused_in_words(opened: Open, page: Page) -> None:
    opened()
    text = base64.b64encode(b"<b>no</b>").decode()
    page.evaluate(DROP, ["text/html", text, "page.html"])
    expect(page.locator("#notices")).to_contain_text("Drop a picture file.")
    page.evaluate(DROP, ["image/png", text, "broken.png"])
    expect(page.locator("#notices")).not_to_contain_text("Drop a picture file.")
    expect(page.locator("#notices .notice")).to_be_visible()
    assert "upload" not in page.url


def test_a_picked_picture_takes_a_box_of_its_own(opened: Open, page: Page) -> None:
    there = opened()
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Search with a picture").click()
    chosen.value.set_files(PICTURES / "photo-cat.jpg")
    page.wait_for_function("() => location.search.includes('upload')")
    there.settle()
    assert there.names()[0] == "photo-cat.jpg"
    page.locator(".chip-thumb").click()
    x, y, w, h = ready(page)
    page.mouse.move(x + 0.1 * w, y + 0.2 * h)
    page.mouse.down()
    page.mouse.move(x + 0.5 * w, y + 0.6 * h, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Search for this piece").click()
    page.wait_for_function("() => location.search.includes('percent')")
    there.settle()
    assert there.names()[0] == "photo-cat.jpg"
    expect(page.locator(".chip-thumb .mark")).to_be_visible()


def test_a_forgotten_upload_is_given_again(opened: Open, page: Page) -> None:
    there = opened()
    gone = {"type": "urn:needlepoint:upload-gone", "status": 404, "detail": "gone"}
    page.route(
        "**/v1/search?*upload*",
        lambda route: route.fulfill(status=404, json=gone, content_type="application/problem+json"),
        times=1,
    )
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.url) if r.method == "POST" else None)
    page.evaluate(DROP, carried(PICTURES / "photo-rocket.jpg"))
    page.wait_for_function("() => document.querySelector('[data-index=\"0\"] .name')")
    expect(page.locator("[data-index='0'] .name")).to_have_text("photo-rocket.jpg")
    there.settle()
    assert len(sent) == 2
    expect(page.locator("#problem")).to_be_hidden()


def test_more_and_less_like_a_picture_change_the_question(opened: Open, page: Page) -> None:
    there = opened("?q=chair")
    first, second = there.ids()[:2]
    page.locator("[data-index='1']").focus()
    page.keyboard.press("m")
    there.wait_for_question(f"chair + @{second}")
    assert there.ids()[0] == second
    page.locator(f"[data-id='{first}']").focus()
    page.keyboard.press("l")
    there.wait_for_question(f"chair + @{second} - @{first}")
    assert first not in there.ids()[:3]
    expect(page.locator(".chip.away")).to_have_count(1)


def test_less_like_this_without_a_question_says_what_is_missing(opened: Open, page: Page) -> None:
    opened()
    page.locator("[data-index='0']").focus()
    page.keyboard.press("l")
    expect(page.locator("#notices")).to_contain_text("needs a question")


def test_the_heat_map_lies_over_the_picture(opened: Open, page: Page) -> None:
    there = opened()
    number = there.ids()[0]
    opened(f"?q=@{number}%23xywh=100,100,120,120&open={number}")
    _, _, width, _ = ready(page)
    page.keyboard.press("h")
    canvas = page.locator("canvas.heat")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box
    assert abs(box["width"] - width) < 1
    told = there.api(f"/v1/items/{number}/heat?q=@{number}%23xywh=100,100,120,120")
    size = canvas.evaluate("one => [one.width, one.height]")
    assert size == [told["columns"], told["rows"]]
    page.keyboard.press("h")
    expect(canvas).to_have_count(0)


def test_the_wheel_zooms_where_the_pointer_is(opened: Open, page: Page) -> None:
    opened()
    page.locator("[data-index='0']").click()
    x, y, w, h = ready(page)
    point = (x + 0.25 * w, y + 0.25 * h)
    page.mouse.move(*point)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        "width => document.querySelector('.plane').getBoundingClientRect().width > 1.2 * width",
        arg=w,
    )
    x2, y2, w2, h2 = ready(page)
    assert abs((point[0] - x2) / w2 - 0.25) < 0.03
    assert abs((point[1] - y2) / h2 - 0.25) < 0.03
    page.mouse.move(x + 0.5 * w, y + 0.5 * h)
    page.mouse.down(button="middle")
    page.mouse.move(x + 0.5 * w + 40, y + 0.5 * h + 30)
    page.mouse.up(button="middle")
    assert ready(page)[0] > x2
    page.keyboard.press("0")
    assert ready(page)[2] == w


def test_fingers_draw_a_box_and_zoom(browser: Browser, served: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    watch = Watch(page, served)
    page.goto(f"{served}/?q=cat")
    Opened(page).settle()
    page.locator("[data-index='0']").tap()
    x, y, w, h = ready(page)
    fingers = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": x + a * w, "y": y + b * h, "id": n} for n, (a, b) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", (0.2, 0.2))
    touch("touchMove", (0.5, 0.4))
    touch("touchMove", (0.7, 0.6))
    touch("touchEnd")
    drawn = page.locator(".drawn").bounding_box()
    assert drawn
    assert abs(drawn["width"] - 0.5 * w) < 8
    assert page.get_by_role("button", name="Search for this piece").is_visible()
    touch("touchStart", (0.4, 0.5))
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    for step in range(1, 6):
        touch("touchMove", (0.4 - step * 0.05, 0.5), (0.6 + step * 0.05, 0.5))
    touch("touchEnd")
    assert ready(page)[2] > 1.5 * w
    context.close()
    assert watch.problems == []


def test_the_matched_place_is_a_box_to_go_on_from(opened: Open, page: Page) -> None:
    there = opened("?q=cat")
    hit = there.api("/v1/search?q=cat&limit=1")["hits"][0]
    page.locator("[data-index='0']").click()
    ready(page)
    page.get_by_role("button", name="Box the matched place").click()
    page.get_by_role("button", name="More like this part").click()
    page.wait_for_function("() => location.search.includes('xywh')")
    there.settle()
    said, _, piece = there.question().partition("#xywh=")
    assert said == f"cat + @{hit['id']}"
    assert all(abs(int(a) - b) <= 1 for a, b in zip(piece.split(","), hit["box"], strict=True))


def test_what_is_refused_over_a_picture_is_said_over_the_picture(opened: Open, page: Page) -> None:
    there = opened("?q=cat+%2B+dog")
    page.locator("[data-index='0']").click()
    ready(page)
    page.keyboard.press("h")
    notice = page.locator("#viewer > .notice")
    expect(notice).to_contain_text("a heat map needs a question")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)
    assert there.question() == "cat + dog"
