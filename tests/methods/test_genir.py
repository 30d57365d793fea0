"""GenIR over a stand-in server: descriptions, paintings, and the paper's baselines."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from talk_kit import Gallery, chat, script, seen_in

from chat_stand_in import Answer, StandIn, serving
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.methods.dialogue import Helpers, Mark, Turn, Understood
from needlepoint.methods.interactive.genir import ASKED, PAINTED, GenIR, dialogue
from needlepoint.outside.endpoint import Endpoint
from needlepoint.outside.generator import OpenAIImages, Paintings

pytest.importorskip("openai")

RULES = script(
    ("was painted", lambda last: last.replace("Description:", "").replace("Differences:", ","))
)
TURNS = [Turn("dog"), Turn("there is a child", ASKED), Turn("on the beach", ASKED)]


def method(server: StandIn, folder: Path, options: str = "", talks: bool = True) -> GenIR:
    painter = OpenAIImages(Endpoint(server.url, "painter", retries=0))
    helpers = Helpers(chat(server) if talks else None, None, Paintings(folder, painter))
    return dialogue(options, helpers)


def ranked(found: Understood, view: Gallery) -> list[int]:
    probes = found.probes if found.query is None else view.probes(found.query)
    return view.search(probes, len(view.rows))[0].tolist()


def test_the_painting_of_the_description_is_the_query(tmp_path: Path) -> None:
    view = Gallery()
    with serving(RULES) as server:
        genir = method(server, tmp_path)
        ranks, captions = [], []
        for end in (1, 2, 3):
            found = genir.understand(TURNS[:end], view)
            captions.append(found.text)
            ranks.append(ranked(found, view).index(3))
            with Image.open(io.BytesIO(found.picture)) as shown:
                assert shown.format == "JPEG"
                assert set(seen_in(np.asarray(shown)).split()) <= set(found.text.split())
        painted = [a["prompt"] for a in server.asked if "prompt" in a]
    assert painted == captions
    assert ranks[0] > ranks[-1] == 0  # hits rise by round
    assert view.looked == []  # the query never uses a picture of the library


def test_a_step_rewrites_the_description_before(tmp_path: Path) -> None:
    with serving(RULES) as server:
        genir = method(server, tmp_path)
        genir.understand(TURNS, Gallery())
        genir.understand(TURNS, Gallery())
        rewritten = [text for text in server.texts() if "Differences" in text]
    assert len(rewritten) == 2  # nothing is asked twice
    assert rewritten[0].split("\n") == ["Description: dog", "Differences: there is a child"]
    assert rewritten[1].endswith("Differences: on the beach")
    assert "there is a child" in rewritten[1].split("\n")[0]


def test_no_rounds_is_paint_once_and_search(tmp_path: Path) -> None:
    view = Gallery()
    with serving(RULES) as server:
        once, full = method(server, tmp_path, "rounds=0"), method(server, tmp_path)
        assert ranked(once.understand(TURNS[:1], view), view) == ranked(
            full.understand(TURNS[:1], view), view
        )
        later = once.understand(TURNS[:2], view)
        assert later.text == "dog"
        assert later.names == ("there is a child", PAINTED) or later.query is not None
        assert once.ask(TURNS[:1], view) == ""
        assert full.ask(TURNS[:1], view) == ASKED


def test_kept_paintings_give_identical_answers(tmp_path: Path) -> None:
    view = Gallery()
    with serving(RULES) as server:
        first = method(server, tmp_path).understand(TURNS, view)
        count = len(server.asked)
        again = method(server, tmp_path).understand(TURNS, view)
        assert sum("prompt" in asked for asked in server.asked[count:]) == 0
    assert (again.text, again.picture, again.query) == (first.text, first.picture, first.query)
    assert np.array_equal(again.query.parts[0].picture.pixels, first.query.parts[0].picture.pixels)


def test_without_a_chat_model_words_are_put_behind_the_description(tmp_path: Path) -> None:
    with serving(RULES) as server:
        found = method(server, tmp_path, talks=False).understand(TURNS, Gallery())
    assert found.text == "dog, there is a child, on the beach"


def test_marks_go_with_the_painting(tmp_path: Path) -> None:
    with serving(RULES) as server:
        turns = [*TURNS[:1], Turn(more=(Mark(5),))]
        found = method(server, tmp_path).understand(turns, Gallery())
    assert found.names == (PAINTED, "more like these")


def test_baselines() -> None:
    view = Gallery()
    with serving(RULES) as server:
        helpers = Helpers(chat(server))
        text = dialogue("feedback=text", helpers).understand(TURNS, view)
        assert (text.picture, view.looked) == (b"", [])
        found = dialogue("feedback=found", helpers).understand(TURNS, view)
    best = ranked(text, view)[0]
    assert ranked(found, view) == ranked(text, view)
    assert view.looked == [best]
    with Image.open(io.BytesIO(found.picture)) as shown:
        assert shown.format == "JPEG"


def test_a_folder_of_ready_paintings(tmp_path: Path) -> None:
    ready = Paintings(tmp_path)
    Image.fromarray(Gallery().pixels(4, 0)).save(ready.file("a  cat"))
    genir = dialogue("", Helpers(generator=ready))
    assert ranked(genir.understand([Turn("a cat")], Gallery()), Gallery())[0] == 4
    with pytest.raises(ModelUnavailable, match=str(ready.file("a dog"))):
        genir.understand([Turn("a dog")], Gallery())


BROKEN = {
    "nothing": Answer(body=b'{"created": 1, "data": []}'),
    "a URL": Answer(body=b'{"created": 1, "data": [{"url": "http://127.0.0.1/x.png"}]}'),
    "no base64": Answer("%%%"),
    "no picture": Answer("aGVsbG8="),
    "an error": Answer(status=500, body=b"{}"),
    "a page": Answer(body=b"<html>", headers={"content-type": "text/html"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_generator_that_fails_is_one_kind_of_error(tmp_path: Path, name: str) -> None:
    with serving([BROKEN[name]]) as server, pytest.raises(ModelUnavailable):
        method(server, tmp_path, talks=False).understand(TURNS[:1], Gallery())
    assert list(tmp_path.iterdir()) == []


def test_without_a_generator_the_method_says_what_to_give() -> None:
    with pytest.raises(ModelUnavailable, match="--generator"):
        dialogue("", Helpers())
    with pytest.raises(UsageError):
        dialogue("rounds=-1,feedback=text", Helpers())
