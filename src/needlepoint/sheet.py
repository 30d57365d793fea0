"""The contact sheet: one HTML file that shows an answer, with nothing outside itself."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from needlepoint.errors import NeedlepointError
from needlepoint.picture import Box, Picture

if TYPE_CHECKING:
    from needlepoint.query import Part
    from needlepoint.results import Decode, Hit, Results

SHOT, CLOSE_UP, CHIP = 720, 176, 280  # long sides in pixels of the embedded thumbnails

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title} · needlepoint</title><style>{style}</style></head><body>
<header><p class="name">needlepoint · contact sheet</p>
<ul class="question" aria-label="question">{question}</ul>
<p class="facts">{facts}</p>{notes}</header>
<main>{body}</main>
<footer>{footer}</footer>
</body></html>
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"


def render(results: Results, decode: Decode) -> str:
    """The page of an answer; pictures are opened with ``decode`` one at a time."""
    above = [hit for hit in results.hits if hit.match is not False]
    below = [hit for hit in results.hits if hit.match is False]
    body = _grid(above, decode, "grid")
    if below:
        cutoff = "" if results.cutoff is None else f" ({results.cutoff:.3f})"
        told = "the nearest there is, but probably not what was meant"
        body += f'<p class="line">Below the cut-off{cutoff}: {told}</p>'
        body += _grid(below, decode, "grid below")
    if not results.hits:
        body = '<p class="line">Nothing was found.</p>'
    notes = "".join(f"<li>{_text(note)}</li>" for note in results.notes)
    return _PAGE.format(
        policy=escape(_POLICY),
        title=_text(results.query.text or str(results.query)),
        style=_style(),
        question=_question(results.query.parts, decode),
        facts=_facts(results, len(above)),
        notes=f'<ul class="notes">{notes}</ul>' if notes else "",
        body=body,
        footer=_source(results.hits),
    )


def _style() -> str:
    return files("needlepoint").joinpath("sheet.css").read_text("utf-8")


def _text(text: str) -> str:
    from needlepoint.results import printable

    return escape(printable(text))


def _facts(results: Results, matching: int) -> str:
    count = len(results.hits)
    facts = [f"{count} picture{'' if count == 1 else 's'}"]
    if results.cutoff is not None:
        facts.append(f"{matching} above the cut-off of {results.cutoff:.3f}")
    facts.append("exact ranking" if results.exact else "approximate ranking")
    if results.timings:
        total = results.timings.get("total", sum(results.timings.values()))
        facts.append(f"{total:.0f} ms")
    return " · ".join(facts)


def _source(hits: Sequence[Hit]) -> str:
    if not hits:
        return ""
    source = hits[0].source
    named = [f"{key} {source[key]}" for key in ("model", "method", "library") if source.get(key)]
    return _text(" · ".join(named))


def _question(parts: Sequence[Part], decode: Decode) -> str:
    items = []
    for number, part in enumerate(parts):
        away = part.weight < 0
        sign = f'<li class="sign">{"−" if away else "+"}</li>' if number or away else ""
        weight = "" if abs(part.weight) == 1 else f"<small>×{abs(part.weight):g}</small>"
        items.append(
            f'{sign}<li class="part{" away" if away else ""}">{_part(part, decode)}{weight}</li>'
        )
    return "".join(items)


def _part(part: Part, decode: Decode) -> str:
    if part.kind == "text":
        return f"<span>{_text(part.value)}</span>"
    if part.kind == "item" or part.is_url:
        return f"<span>{_text(str(part))}</span>"
    name = "picture" if part.picture is not None else os.path.basename(part.value)
    try:
        picture = part.picture or decode(part.file, at_least=CHIP)
    except (NeedlepointError, OSError):
        return f"<span>{_text(name)}</span>"
    width, height = picture.size
    box = part.box
    if box is not None and part.box_percent:
        x, y, w, h = box
        box = (x * width / 100, y * height / 100, w * width / 100, h * height / 100)
    return f"{_shot(picture, box, CHIP, name)}<small>{_text(name)}</small>"


def _grid(hits: Sequence[Hit], decode: Decode, style: str) -> str:
    cards = "".join(_card(hit, decode) for hit in hits)
    return f'<div class="{style}">{cards}</div>' if cards else ""


def _card(hit: Hit, decode: Decode) -> str:
    close = ""
    try:
        picture = decode(hit.path, at_least=_wanted(hit))
        frame = _shot(picture, hit.box, SHOT, os.path.basename(hit.path))
        if hit.box is not None:
            close = (
                f'<img class="close" alt="the place, enlarged" src="{_close_up(picture, hit.box)}">'
            )
    except (NeedlepointError, OSError) as error:
        frame = _text(getattr(error, "reason", None) or "cannot be opened")
    state = {
        True: '<span class="state yes">match</span>',
        False: '<span class="state">below</span>',
    }
    chance = "" if hit.probability is None else f" · {hit.probability:.0%}"
    label = state[hit.match].replace("</span>", f"{chance}</span>") if hit.match is not None else ""
    folder, name = os.path.split(hit.path)
    where = "whole picture" if hit.place is None else "at {},{} · {}×{}".format(*hit.place)
    return (
        f'<figure><div class="frame"><span class="rank">{hit.rank}</span>{frame}</div>'
        f'<figcaption>{close}<div class="text"><div class="top"><b>{hit.score:.3f}</b>{label}</div>'
        f'<a class="file" href="file://{quote(os.fsencode(hit.path))}">{_text(name)}</a>'
        f"<p>@{hit.id} · {hit.width}×{hit.height} px</p><p>{where}</p><p>{_text(folder)}</p>"
        "</div></figcaption></figure>"
    )


def _wanted(hit: Hit) -> int:
    """Long side to decode so that the close-up is sharp, not more than four shots wide."""
    if hit.box is None:
        return SHOT
    magnified = CLOSE_UP / max(hit.box[2], hit.box[3], 1) * max(hit.width, hit.height)
    return min(max(SHOT, math.ceil(magnified)), SHOT * 4)


def _shot(picture: Picture, box: Box | None, side: int, name: str) -> str:
    width, height = picture.size
    overlay = ""
    if box is not None:
        x, y, w, h = box
        place = (100 * x / width, 100 * y / height, 100 * w / width, 100 * h / height)
        overlay = '<i style="left:{:.3f}%;top:{:.3f}%;width:{:.3f}%;height:{:.3f}%"></i>'.format(
            *place
        )
    return (
        f'<div class="shot" style="--r:{width / height:.4f}">'
        f'<img alt="{_text(name)}" src="{_jpeg(picture, None, side)}">{overlay}</div>'
    )


def _close_up(picture: Picture, box: Box) -> str:
    """A square round the box, half as wide again and cut at the borders, as a data URI."""
    x, y, w, h = box
    half = 0.75 * max(w, h)
    columns, rows = (x + w / 2) / picture.scale_x, (y + h / 2) / picture.scale_y
    wide, high = half / picture.scale_x, half / picture.scale_y
    height, width = picture.pixels.shape[:2]
    left, top = max(0, math.floor(columns - wide)), max(0, math.floor(rows - high))
    right = min(width, max(left + 1, math.ceil(columns + wide)))
    bottom = min(height, max(top + 1, math.ceil(rows + high)))
    scaled = (min(left, right - 1), min(top, bottom - 1), right, bottom)
    return _jpeg(picture, scaled, CLOSE_UP)


def _jpeg(picture: Picture, crop: tuple[int, int, int, int] | None, side: int) -> str:
    from PIL import Image

    image = Image.fromarray(picture.pixels)
    if crop is not None:
        image = image.crop(crop)
    scale = side / max(image.size)
    if scale < 1 or crop is not None:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82, optimize=True, progressive=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
