"""Answers check themselves, and every form of them keeps every byte of a path."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.errors import PictureError, UsageError
from needlepoint.picture import Picture
from needlepoint.query import Query
from needlepoint.results import COLUMNS, Hit, Results, printable

SOURCE = {
    "library": "/lib",
    "model": "builtin",
    "space": "look",
    "method": "dense",
    "exact": True,
    "mode": "exact",
}
ODD = os.fsdecode(b'/pics/caf\xe9 <b>"1", 2\n.jpg')


def hit(rank: int = 1, **changes: Any) -> Hit:
    values: dict[str, Any] = {
        "rank": rank,
        "id": rank,
        "path": f"/pics/{rank}.jpg",
        "score": 1.0 - rank / 10,
        "score_kind": "cosine",
        "box": (10.4, 20.6, 30.0, 40.0),
        "match": True,
        "probability": 0.75,
        "width": 100,
        "height": 80,
        "source": SOURCE,
    }
    return Hit(**{**values, **changes})


def results(*hits: Hit, **options: Any) -> Results:
    return Results(Query.parse("a dog"), list(hits), **options)


def test_results_are_a_list() -> None:
    answer = results(hit(1), hit(2))
    assert len(answer) == 2
    assert answer[0].rank == 1
    assert [h.id for h in answer] == [1, 2]
    assert [h.id for h in answer[1:]] == [2]
    assert results().to_jsonl() == ""


@pytest.mark.parametrize(
    ("hits", "told"),
    [
        ([hit(2)], "ranks"),
        ([hit(1), hit(3)], "ranks"),
        ([hit(1, score=0.1), hit(2, score=0.2)], "rise"),
        ([hit(1, score=0.5, id=9), hit(2, score=0.5, id=3)], "ties"),
        ([hit(1, score=0.5, id=3), hit(2, score=0.4, id=3)], "unique"),
        ([hit(1, score=float("nan"))], "finite"),
        ([hit(1, box=(90.0, 0.0, 20.0, 5.0))], "inside"),
        ([hit(1, box=(0.0, 0.0, 0.0, 5.0))], "inside"),
        ([hit(1, box=(-5.0, 0.0, 10.0, 5.0))], "inside"),
        ([hit(1, box=(float("nan"), 0.0, 10.0, 5.0))], "inside"),
        ([hit(1, probability=1.5)], "probability"),
        ([hit(1, width=0)], "width"),
    ],
)
def test_broken_answers_are_refused(hits: list[Hit], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        results(*hits)


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(0.001, 1)] * 2),
)
def test_places_are_whole_pixels_inside(width: int, height: int, share: Any) -> None:
    x, y = share[0] * width * 0.999, share[1] * height * 0.999
    box = (x, y, share[2] * (width - x), share[3] * (height - y))
    place = hit(1, box=box, width=width, height=height).place
    assert place is not None
    left, top, w, h = place
    assert left >= 0
    assert top >= 0
    assert w >= 1
    assert h >= 1
    assert left + w <= width
    assert top + h <= height
    assert abs(left - x) <= 1
    assert abs(top - y) <= 1


def test_rows_have_the_promised_fields() -> None:
    row = json.loads(results(hit(1)).to_jsonl())
    assert list(row) == [
        *("rank", "id", "path", "score", "score_kind", "box", "match", "probability"),
        *("width", "height", "source"),
    ]
    assert row["box"] == [10, 21, 30, 40]
    assert row["source"] == SOURCE
    assert (
        json.loads(results(hit(1, box=None, match=None, probability=None)).to_jsonl())["box"]
        is None
    )


def test_json_is_one_object() -> None:
    answer = results(hit(1), cutoff=0.25, notes=["n"], timings={"search": 1.23456}, exact=False)
    told = json.loads(answer.to_json())
    assert told["query"] == "a dog"
    assert (told["cutoff"], told["exact"], told["notes"]) == (0.25, False, ["n"])
    assert told["timings"] == {"search": 1.235}
    assert told["hits"] == answer.to_dicts()


def test_undecodable_paths_survive_every_form(tmp_path: Path) -> None:
    answer = results(hit(1, path=ODD))
    text = answer.to_jsonl()
    text.encode("utf-8")
    assert "\\udce9" in text
    assert os.fsencode(json.loads(text)["path"]) == os.fsencode(ODD)
    raw = answer.to_csv().encode("utf-8", "surrogateescape")
    assert os.fsencode(ODD).replace(b'"', b'""') in raw
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8", "surrogateescape"), newline="")))
    assert rows[0]["path"] == ODD
    answer.save_html(tmp_path / "sheet.html", decode=plain)
    assert "caf\\xe9" in (tmp_path / "sheet.html").read_text("utf-8")


def test_csv_and_data_frame_have_the_same_columns() -> None:
    pandas = pytest.importorskip("pandas")
    answer = results(hit(1), hit(2, box=None, match=None))
    rows = list(csv.reader(io.StringIO(answer.to_csv())))
    assert tuple(rows[0]) == COLUMNS
    assert rows[1][6:10] == ["10", "21", "30", "40"]
    assert rows[2][6:10] == ["", "", "", ""]
    assert rows[1][4] == "true"
    frame = answer.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert tuple(frame.columns) == COLUMNS
    assert frame["path"].tolist() == ["/pics/1.jpg", "/pics/2.jpg"]


def test_the_table_shows_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    results(hit(1), hit(2, box=None, path="/p/a\x1b[31m\nb.jpg"), notes=["[b]note[/b]"]).show()
    out = capsys.readouterr().out
    assert "0.900" in out
    assert "10,21 30×40" in out
    assert "whole" in out
    assert "@2" in out
    assert "\x1b" not in out
    assert "\\x1b" in out
    assert "[b]note[/b]" in out


def test_found_needs_one_hit_that_may_match() -> None:
    assert results(hit(1)).found
    assert results(hit(1, match=None)).found
    assert not results(hit(1, match=False)).found
    assert not results().found


def plain(source: str, *, at_least: int = 0) -> Picture:
    return Picture.from_pixels(np.full((80, 100, 3), 200, np.uint8), source)


def test_the_sheet_is_one_strict_page() -> None:
    query = Query.parse('"<script>x</script>" + /q/<i>.png#xywh=percent:10,10,50,50 - people + @7')
    hits = [
        hit(1, path=ODD),
        hit(2, path="/p/</a><img src=x>.jpg", box=None),
        hit(3, match=False, probability=0.02),
    ]
    page = Results(query, hits, cutoff=0.75, notes=["<b>note</b>"]).to_html(decode=plain)
    assert page.count("<figure>") == 3
    assert page.count('class="close"') == 2
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "<b>note" not in page
    assert "Below the cut-off (0.750)" in page
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(s.startswith(("data:image/jpeg;base64,", "file:///")) for s in sources)
    assert re.findall(r"url\(|@import|https?://", page) == []
    assert 'style="left:10.400%;top:25.750%;width:30.000%;height:50.000%"' in page


def test_the_sheet_shows_pictures_that_cannot_be_opened_as_empty_frames() -> None:
    def broken(source: str, *, at_least: int = 0) -> Picture:
        raise PictureError(source, "cut <off>")

    page = results(hit(1)).to_html(decode=broken)
    assert "cut &lt;off&gt;" in page
    assert "<img" not in page


def test_the_sheet_decodes_no_more_than_it_shows() -> None:
    asked = []

    def spy(source: str, *, at_least: int = 0) -> Picture:
        asked.append(at_least)
        return plain(source)

    big = {"width": 6000, "height": 4000}
    results(
        hit(1, box=None, **big),
        hit(2, box=(0, 0, 3000, 3000), **big),
        hit(3, box=(0, 0, 9, 9), **big),
    ).to_html(decode=spy)
    assert asked[0] == asked[1] < asked[2] <= 3000


def test_a_sheet_without_a_decoder_says_so() -> None:
    with pytest.raises(UsageError, match="decode"):
        results(hit(1)).to_html()
    assert "<figure>" in results(hit(1), decode=plain).to_html()


@given(st.text())
def test_printable_text_cannot_reach_the_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")
