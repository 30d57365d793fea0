"""A run as one HTML page: figures, then questions with their best answers and the boxes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from needlepoint.bench.results import MEASURES, Run
from needlepoint.bench.scoring import Answer
from needlepoint.errors import PictureError
from needlepoint.intake.decode import decode
from needlepoint.picture import Box, Picture
from needlepoint.regions.focus import cut
from needlepoint.results import printable

SIDE = 240
"""Long side in pixels of an embedded picture."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; base-uri 'none'"/>
<meta name="viewport" content="width=device-width,initial-scale=1"/>
<title>{title} · needlepoint bench</title><style>{style}</style></head><body>
<header><h1>{title}</h1>{head}</header>
<main>{body}</main>
</body></html>
"""
_MARKS = {
    "R@1": "a right picture is first",
    "R@5": "a right picture is among the first five",
    "R@10": "a right picture is among the first ten",
    "mAP": "mean average precision",
    "box_hits": "the answering box has its centre on the thing",
    "region_hits": "the same of the best region, whatever answered",
}


def report(
    run: Run,
    folder: Path | None = None,
    *,
    questions: int = 30,
    shown: int = 5,
    megabytes: float = 8.0,
) -> str:
    """The page of a run.

    Questions are evenly spread from the best answered to the worst. Each shows its first answers
    with the box that answered (solid) and the true boxes (dashed), and the best placed right
    picture where none of the first is right.

    Args:
        run: what is shown.
        folder: where its pictures are; the folder of the run when None.
        questions: at most so many.
        shown: answers a question.
        megabytes: the page ends before it grows beyond this, and says so.

    Returns:
        HTML that needs nothing outside itself; all text is escaped.
    """
    place = Path(str(run.protocol["folder"])) if folder is None else folder
    facts = {one["id"]: one for one in run.protocol["questions"]}
    chosen = _spread(run.answers, questions)
    body: list[str] = []
    room = megabytes * 1e6
    for answer in chosen:
        section = _question(run, answer, facts[answer.id], place, shown)
        room -= len(section.encode())
        if room < 0:
            body.append(
                f'<p class="soft">The page is full: {len(body)} of {len(chosen)} questions.</p>'
            )
            break
        body.append(section)
    return _PAGE.format(
        title=_text(f"{run.method} · {run.name}"),
        style=files("needlepoint.bench").joinpath("report.css").read_text("utf-8"),
        head=_head(run),
        body="\n".join(body),
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _head(run: Run) -> str:
    cost = run.cost
    told = [
        f"{run.encoder['address']} · fusion {run.key['fusion']}",
        f"{len(run.gallery)} pictures, {len(run.answers)} questions, seed {run.key['seed']}, "
        f"data {run.key['data']}, revision {run.key['revision']}",
        f"{cost['passes']:.1f} encoder passes and {cost['bytes']:.0f} bytes a picture",
        ", ".join(f"{name} {value}" for name, value in run.machine.items()),
        *run.notes,
        *(str(note) for note in run.protocol["notes"]),
    ]
    rows = []
    for measure in MEASURES:
        found = run.interval(measure)
        if found is not None:
            low_high = f"{100 * found.low:.1f} to {100 * found.high:.1f}"
            rows.append(
                f"<tr><td>{measure}</td><td>{100 * found.estimate:.1f} %</td><td>{low_high}</td>"
                f'<td class="soft">{_MARKS[measure]}</td></tr>'
            )
    head = "<tr><th>measure</th><th>value</th><th>95 % interval</th><th></th></tr>"
    lines = "".join(f'<p class="soft">{_text(line)}</p>' for line in told)
    return f"{lines}<table>{head}{''.join(rows)}</table>"


def _spread(answers: Sequence[Answer], count: int) -> list[Answer]:
    """``count`` answers evenly spread from the best to the worst; those without truth left out."""
    ordered = sorted(
        (one for one in answers if one.ranks), key=lambda one: (-one.average_precision(), one.id)
    )
    if len(ordered) <= count:
        return ordered
    return [ordered[i * (len(ordered) - 1) // max(1, count - 1)] for i in range(count)]


def _question(run: Run, answer: Answer, facts: dict[str, Any], folder: Path, shown: int) -> str:
    first = answer.ranks[0]
    title = _text(facts["text"]) or f"picture {_text(facts['file'])}"
    told = (
        f"{_text(answer.id)} · first right answer at {first} · "
        f"{len(answer.found)} right pictures · average precision {answer.average_precision():.3f}"
    )
    figures = []
    if facts["file"]:
        figures.append(_asked(folder / facts["file"], facts["box"]))
    listed = answer.top[:shown]
    for rank, (i, score) in enumerate(listed, 1):
        figures.append(_figure(run, answer, facts, folder, i, f"{rank} · {score:.3f}"))
    if first > shown:
        figures.append(_figure(run, answer, facts, folder, answer.found[0], f"at {first}"))
    return (
        f'<section><h2>{title}</h2><p class="soft">{told}</p>'
        f'<div class="row">{"".join(figures)}</div></section>'
    )


def _asked(path: Path, box: list[float] | None) -> str:
    try:
        picture = decode(path, at_least=0 if box else 2 * SIDE)
        if box:
            x, y, w, h = box
            picture = Picture.from_pixels(cut(picture, (x, y, w, h)))
        inner = f'<img alt="the question" src="{_image(picture)}"/>'
    except PictureError as error:
        inner = f"<span>{_text(error.reason)}</span>"
    return (
        f'<figure class="asked"><span class="shot">{inner}</span>'
        "<figcaption>asked</figcaption></figure>"
    )


def _figure(
    run: Run, answer: Answer, facts: dict[str, Any], folder: Path, i: int, told: str
) -> str:
    name, right = run.gallery[i].id, i in answer.found
    try:
        picture = decode(folder / run.gallery[i].file, at_least=2 * SIDE)
        width, height = picture.size
        boxes = [_drawn(box, width, height, "box") for box in facts["boxes"].get(name, ())]
        said = answer.places.get(i)
        if said is not None:
            boxes.append(_drawn(said, width, height, "box said"))
        inner = f'<img alt="{_text(name)}" src="{_image(picture)}"/>{"".join(boxes)}'
    except PictureError as error:
        inner = f"<span>{_text(error.reason)}</span>"
    mark = "✓" if right else "✗"
    return (
        f'<figure class="{"right" if right else "wrong"}"><span class="shot">{inner}</span>'
        f'<figcaption><span class="mark">{mark}</span> {_text(told)} · {_text(name)}</figcaption>'
        "</figure>"
    )


def _drawn(box: Box | Sequence[float], width: int, height: int, style: str) -> str:
    """A box as an element over the picture, in per cent of it, clipped to it."""
    x, y, w, h = box
    left, top = max(0.0, x / width), max(0.0, y / height)
    wide = max(0.0, min(1.0, (x + w) / width) - left)
    high = max(0.0, min(1.0, (y + h) / height) - top)
    return (
        f'<i class="{style}" style="left:{100 * left:.2f}%;top:{100 * top:.2f}%;'
        f'width:{100 * wide:.2f}%;height:{100 * high:.2f}%"></i>'
    )


def _image(picture: Picture) -> str:
    """A small JPEG as a data address."""
    image = Image.fromarray(picture.pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=75, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
