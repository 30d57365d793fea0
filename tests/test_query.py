"""The question language: what each form means, what is refused and where the caret points."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from needlepoint.errors import UsageError
from needlepoint.intake.walk import PICTURE_SUFFIXES
from needlepoint.query import PICTURE_ENDINGS, Part, Query


def parts(text: str) -> list[tuple[object, ...]]:
    return [(p.kind, p.value, p.weight, p.box, p.box_percent) for p in Query.parse(text).parts]


def text(value: str, weight: float = 1.0) -> tuple[object, ...]:
    return ("text", value, weight, None, False)


def picture(
    value: str,
    weight: float = 1.0,
    box: tuple[float, ...] | None = None,
    percent: bool = False,
) -> tuple[object, ...]:
    return ("picture", value, weight, box, percent)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("red bicycle", [text("red bicycle")]),
        ("  red bicycle \n", [text("red bicycle")]),
        ("./photo.jpg", [picture("./photo.jpg")]),
        ("~/x.png", [picture("~/x.png")]),
        ("/abs/x.webp", [picture("/abs/x.webp")]),
        ("../up/x", [picture("../up/x")]),
        ("photo.JPG", [picture("photo.JPG")]),
        ("trip/a#b.jpg", [picture("trip/a#b.jpg")]),
        ("https://example.org/a.jpg?x=1", [picture("https://example.org/a.jpg?x=1")]),
        ('"red - bicycle"', [text("red - bicycle")]),
        ('"say \\"hi\\" \\\\ now"', [text('say "hi" \\ now')]),
        ('"./my photo.jpg"', [picture("./my photo.jpg")]),
        ('"my photo.jpg"', [text("my photo.jpg")]),
        ("img:noending", [picture("noending")]),
        ('img:"my photo"', [picture("my photo")]),
        ("text:duck.jpg", [text("duck.jpg")]),
        ('text:"./duck.jpg"', [text("./duck.jpg")]),
        ("2:beach", [text("beach", 2.0)]),
        ("2: beach", [text("beach", 2.0)]),
        (".5:./photo.jpg", [picture("./photo.jpg", 0.5)]),
        ("2:/abs/x.jpg", [picture("/abs/x.jpg", 2.0)]),
        ("3:https://a.b/c", [picture("https://a.b/c", 3.0)]),
        ("1e1:x", [text("x", 10.0)]),
        ("16:9 monitor", [text("16:9 monitor")]),
        ("10:30 clock", [text("10:30 clock")]),
        ("t-shirt", [text("t-shirt")]),
        ("well-known C++ a+b x -y", [text("well-known C++ a+b x -y")]),
        ("C++ - java", [text("C++"), text("java", -1.0)]),
        ("AC/DC and / or", [text("AC/DC and / or")]),
        ('a 5" disk', [text('a 5" disk')]),
        ("-people + beach", [text("people", -1.0), text("beach")]),
        ("- 2:people + beach", [text("people", -2.0), text("beach")]),
        ("+ beach", [text("beach")]),
        (
            "2:beach - people + ./photo.jpg",
            [text("beach", 2.0), text("people", -1.0), picture("./photo.jpg")],
        ),
        ("a.jpg#xywh=10,20,200,150", [picture("a.jpg", box=(10, 20, 200, 150))]),
        ("a.jpg#xywh=pixel:1,2,3,4", [picture("a.jpg", box=(1, 2, 3, 4))]),
        ("a.jpg#xywh=percent:1.5,2,50,50", [picture("a.jpg", box=(1.5, 2, 50, 50), percent=True)]),
        ('"./a b.jpg"#xywh=1,2,3,4', [picture("./a b.jpg", box=(1, 2, 3, 4))]),
        ('"./a b.jpg#xywh=1,2,3,4"', [picture("./a b.jpg", box=(1, 2, 3, 4))]),
        ("@123", [("item", "123", 1.0, None, False)]),
        ("@007 - cat", [("item", "7", 1.0, None, False), text("cat", -1.0)]),
        ("@12#xywh=1,2,3,4", [("item", "12", 1.0, (1, 2, 3, 4), False)]),
        ("@someone", [text("@someone")]),
    ],
)
def test_meaning(question: str, expected: list[tuple[object, ...]]) -> None:
    assert parts(question) == expected
    assert Query.parse(str(Query.parse(question))) == Query.parse(question)


@pytest.mark.parametrize(
    ("question", "position", "told"),
    [
        ("-x", 1, "at least one part"),
        ("- x - y", 1, "at least one part"),
        ("0:x", 1, "above 0"),
        ("nan:x", 1, "above 0"),
        ("inf:x", 1, "above 0"),
        ("1e9:x", 1, "at most 1000"),
        ("a + -2:x", 5, " - 2:"),
        ("a +", 4, "must follow"),
        ("2:", 3, "must follow"),
        ("a + + b", 5, "both sides"),
        ("a.jpg#xywh=1,2", 6, "x,y,w,h"),
        ("a.jpg#xywh=1,2,0,4", 6, "above 0"),
        ("a.jpg#xywh=-1,2,3,4", 6, "from 0"),
        ("a.jpg#xywh=nan,2,3,4", 6, "x,y,w,h"),
        ("a.jpg#xywh=foo:1,2,3,4", 6, "x,y,w,h"),
        ("a.jpg#xywh=percent:60,0,50,10", 6, "0 to 100"),
        ('"abc', 1, "not closed"),
        ('a - "b', 5, "not closed"),
        ('"a" b', 4, "' + '"),
        ('a + ""', 5, "missing"),
        ('"words"#xywh=1,2,3,4', 8, "words cannot"),
        ("dog ./a.jpg", 5, "' + '"),
        ("dog @12", 5, "' + '"),
        ("dog https://a.b/c.jpg", 5, "' + '"),
        ("@12 dog", 4, "' + '"),
        ("./a b.jpg", 1, "quotes"),
    ],
)
def test_refusals_point_at_the_place(question: str, position: int, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        Query.parse(question)
    message, line, caret = str(caught.value).split("\n")
    assert told in message
    assert f"(at position {position})" in message
    assert line == "  " + question
    assert caret.index("^") == 2 + position - 1


@pytest.mark.parametrize("question", ["", "   ", "\n"])
def test_empty_questions_are_refused(question: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        Query.parse(question)


def test_the_caret_stays_in_sight_in_a_long_question() -> None:
    with pytest.raises(UsageError) as caught:
        Query.parse("word " * 400 + "+ + x")
    _, line, caret = str(caught.value).split("\n")
    assert len(line) < 100
    assert line[caret.index("^")] == "+"


def test_an_existing_file_is_one_picture(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    for name in ("my photo.jpg", "a - b.png", "x#xywh=1.jpg", "plain"):
        open(name, "w").close()
    assert parts("my photo.jpg") == [picture("my photo.jpg")]
    assert parts("my photo.jpg#xywh=1,2,3,4") == [picture("my photo.jpg", box=(1, 2, 3, 4))]
    assert parts("a - b.png") == [picture("a - b.png")]
    assert parts("x#xywh=1.jpg") == [picture("x#xywh=1.jpg")]
    assert parts("./my photo.jpg + dog") == [picture("./my photo.jpg"), text("dog")]
    assert parts("dog + my photo.jpg") == [text("dog"), picture("my photo.jpg")]
    piece = picture("./my photo.jpg", box=(1, 2, 3, 4))
    assert parts("./my photo.jpg#xywh=1,2,3,4 - dog") == [piece, text("dog", -1)]
    assert parts("plain") == [text("plain")], "a word is a word even when a file has its name"


def test_coerce_takes_what_people_have(tmp_path: object) -> None:
    from pathlib import Path

    query = Query.parse("a dog")
    assert Query.coerce(query) is query
    assert Query.coerce("a dog") == query
    assert Query.coerce(Path("some words")).parts == (Part("picture", "some words"),)
    assert Query.coerce(Part("item", "4")).parts[0].value == "4"


def test_coerce_carries_pixels() -> None:
    grey = np.full((4, 6), 90, np.uint8)
    part = Query.coerce(grey).parts[0]
    assert part.picture is not None
    assert part.picture.pixels.shape == (4, 6, 3)
    assert (part.picture.pixels == 90).all()
    clear = np.zeros((3, 3, 4), np.uint8)
    see_through = Query.coerce(clear).parts[0].picture
    assert see_through is not None
    assert (see_through.pixels == 128).all(), "alpha goes over neutral grey"
    assert Query.coerce(grey) == Query.coerce(grey.copy()), "equal pictures are equal questions"
    assert Query.coerce(grey) != Query.coerce(grey.T.copy())
    assert "array" not in repr(Query.coerce(grey))


def test_coerce_turns_a_pil_picture_upright() -> None:
    image = Image.new("RGB", (20, 10), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    turned = Image.open(_saved(image, exif))
    upright = Query.coerce(turned).parts[0].picture
    assert upright is not None
    assert upright.pixels.shape == (20, 10, 3)


def _saved(image: Image.Image, exif: Image.Exif) -> object:
    import io

    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    out.seek(0)
    return out


@pytest.mark.parametrize(
    "bad",
    [
        3,
        None,
        b"x",
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((0, 2, 3), np.uint8),
    ],
)
def test_coerce_refuses_other_things(bad: object) -> None:
    with pytest.raises(UsageError, match="Received"):
        Query.coerce(bad)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Part("text", " "),
        lambda: Part("item", "x"),
        lambda: Part("item", "007"),
        lambda: Part("text", "x", weight=0.0),
        lambda: Part("text", "x", weight=float("nan")),
        lambda: Part("text", "x", weight=-1001.0),
        lambda: Part("text", "x", box=(0, 0, 1, 1)),
        lambda: Part("picture", "x", box=(0, 0, 0, 1)),
        lambda: Part("picture", "x", box_percent=True),
        lambda: Part("sound", "x"),  # type: ignore[arg-type]
        lambda: Query(()),
        lambda: Query((Part("text", "x", weight=-1.0),)),
    ],
)
def test_parts_and_questions_check_themselves(make: object) -> None:
    with pytest.raises(UsageError):
        make()  # type: ignore[operator]


def test_every_ending_that_is_indexed_can_be_asked_with() -> None:
    assert {f".{ending}" for ending in PICTURE_ENDINGS} == PICTURE_SUFFIXES


def test_home_is_expanded_only_when_the_file_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    part = Query.parse("~/x.png").parts[0]
    assert (part.value, part.file) == ("~/x.png", "/somewhere/x.png")


@pytest.mark.parametrize(
    ("question", "parts_before", "change"),
    [
        ("./bag.jpg -> in green, without the strap", "./bag.jpg", "in green, without the strap"),
        ("@12#xywh=1,2,3,4  ->  red - not blue", "@12#xywh=1,2,3,4", "red - not blue"),
        ("2:@1 + @2 - dogs -> as one -> day", "2:@1 + @2 - dogs", "as one -> day"),
        ('"./a -> b.jpg" -> at "night"', '"./a -> b.jpg"', 'at "night"'),
        ("@1\n->\nin red\n", "@1", "in red"),
    ],
)
def test_a_change_is_all_that_follows_the_arrow(question, parts_before, change):
    query = Query.parse(question)
    assert query.change == change
    assert query.parts == Query.parse(parts_before).parts
    assert Query.parse(str(query)) == query
    assert query == Query.parse(parts_before).changed(change)
    assert query != Query.parse(parts_before)


@pytest.mark.parametrize("question", ["a->b", "text:a->b", '"left -> right"', "b --> a", "a --> b"])
def test_not_every_arrow_is_a_change(question):
    assert Query.parse(question).change == ""


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("@1 ->", "say here what is to be different"),
        ("-> in green", "a picture must stand before"),
        ("bag -> in green", "a change needs a picture"),
        ("bag - @1 -> in green", "a change needs a picture"),
    ],
)
def test_a_change_needs_a_picture_and_words(question, told):
    with pytest.raises(UsageError, match=told):
        Query.parse(question)


def test_a_file_with_an_arrow_in_its_name_is_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a -> b.jpg").write_bytes(b"")
    assert parts("./a -> b.jpg") == [picture("./a -> b.jpg")]
    assert Query.parse("./a -> b.jpg", files=False).change == "b.jpg"
