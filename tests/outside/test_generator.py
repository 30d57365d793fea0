"""Painters: what is asked of a server, what is taken from it, and paintings that are kept."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chat_stand_in import Answer, serving
from needlepoint.errors import ModelUnavailable
from needlepoint.outside.captioner import ChatCaptioner
from needlepoint.outside.endpoint import Endpoint
from needlepoint.outside.generator import OpenAIImages, Paintings
from needlepoint.outside.openai_chat import OpenAIChat
from needlepoint.picture import Picture

pytest.importorskip("openai")

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def sent(kind: str = "PNG", size: tuple[int, int] | None = None) -> Answer:
    image = Image.fromarray(PIXELS) if size is None else Image.new("RGB", size)
    out = io.BytesIO()
    image.save(out, kind)
    return Answer(base64.b64encode(out.getvalue()).decode())


def test_what_is_asked_and_what_comes() -> None:
    with serving([sent()]) as server:
        painter = OpenAIImages(Endpoint(server.url, "toy"), size="256x256")
        assert np.array_equal(painter.paint("a duck"), PIXELS)
        assert server.asked == [
            {
                "model": "toy",
                "prompt": "a duck",
                "n": 1,
                "size": "256x256",
                "response_format": "b64_json",
            }
        ]
    assert painter.name == f"openai:{server.url}#toy 256x256"


@pytest.mark.parametrize(
    "answer",
    [
        sent("GIF"),
        sent("BMP"),
        sent(size=(5, 5)),
        sent(size=(5000, 20)),
        Answer("aGk="),
        Answer(""),
    ],
    ids=["gif", "bmp", "small", "large", "text", "empty"],
)
def test_only_plain_pictures_of_plain_sizes_are_taken(answer: Answer) -> None:
    with serving([answer]) as server, pytest.raises(ModelUnavailable):
        OpenAIImages(Endpoint(server.url, "toy")).paint("a duck")


def test_a_painting_is_made_once_and_is_always_the_same(tmp_path: Path) -> None:
    with serving([sent()]) as server:
        painter = OpenAIImages(Endpoint(server.url, "toy"))
        first = Paintings(tmp_path / "new", painter).paint("a  duck\n")
        again = Paintings(tmp_path / "new", painter).paint("a duck")
        assert len(server.asked) == 1
        Paintings(tmp_path / "new", painter).paint("a goose")
        assert len(server.asked) == 2
    assert np.array_equal(first, again)
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_a_damaged_painting_is_made_anew(tmp_path: Path) -> None:
    with serving([sent()]) as server:
        kept = Paintings(tmp_path, OpenAIImages(Endpoint(server.url, "toy")))
        first = kept.paint("a duck")
        kept.file("a duck").write_bytes(b"no picture")
        assert np.array_equal(kept.paint("a duck"), first)
        assert len(server.asked) == 2


def test_a_disk_that_fails_only_stops_the_keeping(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with serving([sent()]) as server:
        kept = Paintings(tmp_path / "file", OpenAIImages(Endpoint(server.url, "toy")))
        assert kept.paint("a duck").shape == PIXELS.shape


def test_a_captioner_that_sees_is_shown_the_picture_and_answers_in_one_line() -> None:
    with serving([Answer("A duck\non a pond.")]) as server:
        chat = OpenAIChat(Endpoint(server.url, "toy"))
        picture = Picture.from_pixels(PIXELS, "x")
        told = ChatCaptioner(chat, side=32).caption([picture, picture], ["", "a photo of"])
        assert told == ["A duck on a pond.", "a photo of A duck on a pond."]
        text, shown = server.asked[0]["messages"][-1]["content"]
    assert "25 words" in text["text"]
    data = base64.b64decode(shown["image_url"]["url"].partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        assert max(image.size) == 32
