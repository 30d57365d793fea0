"""A small gallery whose words and pictures are known, and models that answer by rule."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from chat_stand_in import Answer, StandIn, said
from needlepoint.methods.dialogue import Mark
from needlepoint.outside.chat import ChatModel
from needlepoint.outside.endpoint import Endpoint
from needlepoint.outside.openai_chat import OpenAIChat
from needlepoint.parts import Floats
from needlepoint.picture import Pixels
from needlepoint.query import Query
from needlepoint.store.base import Ids, Probe

WORDS = ("dog", "cat", "red", "blue", "ball", "beach", "sofa", "garden", "child", "window")
PICTURES = (
    *("dog beach", "dog red sofa", "dog ball garden", "dog child beach", "cat sofa"),
    *("cat window blue", "child ball red", "cat garden", "dog window", "blue ball beach"),
    *("dog blue ball", "child beach", "dog cat", "red ball garden"),
)


def vector(text: str) -> Floats:
    """The known words of a text as a unit vector; unknown ones count little."""
    row = np.full(len(WORDS) + 1, 1e-3)
    for word in text.lower().replace(",", " ").replace("?", " ").replace(".", " ").split():
        row[WORDS.index(word) if word in WORDS else len(WORDS)] += 1.0
    row[len(WORDS)] *= 0.05
    return np.float32(row / np.linalg.norm(row))


def pixels_of(text: str) -> Pixels:
    """A painting from which :func:`seen_in` reads the words back."""
    picture = np.full((64, 64 * len(WORDS), 3), 20, np.uint8)
    for word in text.lower().replace(",", " ").split():
        if word in WORDS:
            place = 64 * WORDS.index(word)
            picture[:, place : place + 64] = 230
    return picture


def seen_in(pixels: Pixels) -> str:
    """The words of a painting."""
    width = pixels.shape[1] / len(WORDS)
    means = [pixels[:, int(n * width) : int((n + 1) * width)].mean() for n in range(len(WORDS))]
    return " ".join(word for word, mean in zip(WORDS, means, strict=True) if mean > 128)


class Gallery:
    """A ``View`` of :data:`PICTURES`; what it is asked for is kept in ``looked``."""

    def __init__(self, captions: bool = True) -> None:
        self.rows = np.stack([vector(text) for text in PICTURES])
        self.looked: list[int] = []
        self.searched: list[int] = []
        self._captions = captions

    def probes(self, query: Query) -> list[Probe]:
        return [replace(self._probe(part), weight=part.weight) for part in query.parts]

    def marked(self, marks: Sequence[Mark]) -> list[Probe]:
        return [Probe(0, self.rows[mark.id]) for mark in marks]

    def standard(self, probes: Sequence[Probe]) -> list[Probe]:
        found = []
        for probe in probes:
            scores = self.rows @ probe.vector
            found.append(replace(probe, mean=float(scores.mean()), std=float(scores.std())))
        return found

    def sample(self, count: int, space: int) -> Ids:
        return np.arange(min(count, len(self.rows)), dtype=np.int64)

    def search(self, probes: Sequence[Probe], k: int) -> tuple[Ids, Floats]:
        self.searched.append(k)
        score = sum(p.weight * (self.rows @ p.vector - p.mean) / p.std for p in probes)
        order = np.lexsort((np.arange(len(self.rows)), -score))[:k]
        return order.astype(np.int64), np.float32(score[order])

    def wholes(self, ids: Sequence[int], space: int) -> Floats:
        return self.rows[list(ids)]

    def captions(self, ids: Sequence[int]) -> list[str]:
        return [PICTURES[number] if self._captions else "" for number in ids]

    def pixels(self, number: int, side: int) -> Pixels:
        self.looked.append(number)
        return pixels_of(PICTURES[number])

    def seen(self, pixels: Pixels) -> Probe:
        return Probe(0, vector(seen_in(pixels)))

    def _probe(self, part: Any) -> Probe:
        if part.kind == "text":
            return Probe(0, vector(part.value))
        if part.kind == "item":
            return Probe(0, self.rows[int(part.value)])
        return self.seen(part.picture.pixels)


def chat(server: StandIn) -> ChatModel:
    """A client of a stand-in that does not wait long."""
    return OpenAIChat(Endpoint(server.url, "toy", seconds=20.0, retries=0))


def painted(text: str) -> Answer:
    """An image answer: the painting of a text as PNG."""
    out = io.BytesIO()
    Image.fromarray(pixels_of(text)).save(out, "PNG")
    return Answer(base64.b64encode(out.getvalue()).decode())


def script(
    *rules: tuple[str, Callable[[str], str] | str],
) -> Callable[[str, dict[str, Any]], Answer]:
    """Answers by the first rule whose words the system message (or the last) holds."""

    def answer(path: str, asked: dict[str, Any]) -> Answer:
        if path.endswith("/images/generations"):
            return painted(asked["prompt"])
        head, last = said(asked["messages"][0]), said(asked["messages"][-1])
        for words, reply in rules:
            if words in head or words in last:
                return Answer(reply if isinstance(reply, str) else reply(last))
        raise AssertionError(f"no rule for {json.dumps(asked)[:300]}")

    return answer
