"""WeiMoCIR: where its captions come from, what one without any gets, its shortlist."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.methods.dialogue import Helpers
from needlepoint.picture import Picture
from sight_kit import (
    APART,
    PICTURES,
    Reader,
    answer,
    bag,
    change,
    composer,
    ranking,
    scores,
    sight,
)

ALL = "shortlist=0"


def file_of(folder: Path, captions: dict[str, object]) -> str:
    path = folder / "captions.json"
    path.write_text(json.dumps(captions))
    return f"captions={path}"


def test_both_ends_are_plain_searches() -> None:
    view, asked = sight(noise=0.2, captions=PICTURES), change("green", 3)
    for alpha in (0, 1):
        plain = ranking(f"weighted_sum:alpha={alpha}", asked, view)
        assert ranking(f"weimocir:alpha={alpha},beta=0", asked, view) == plain
    assert answer("weimocir:beta=0", asked, view).again is None


def test_captions_alone_are_a_search_of_texts() -> None:
    view = sight(noise=0.2, captions=PICTURES)
    found = scores(answer(f"weimocir:alpha=1,beta=1,{ALL}", change("green", 3), view), view)
    assert np.allclose(found, [bag(text) @ bag("green") for text in PICTURES], atol=1e-6)


def test_equal_captions_count_as_one(tmp_path: Path) -> None:
    view, asked = sight(noise=0.2), change("green", 3)
    found = []
    for times in (1, 3):
        texts = {f"{n}.jpg": [text] * times for n, text in enumerate(PICTURES)}
        options = f"beta=0.4,{ALL},{file_of(tmp_path, texts)}"
        found.append(scores(answer(f"weimocir:{options}", asked, view), view))
    assert np.allclose(*found, atol=1e-6)


def test_lines_are_captions_of_their_own_and_j_limits_them() -> None:
    view = sight(noise=0.2, captions=["\n".join((text, "", "boat beach")) for text in PICTURES])
    alone = sight(noise=0.2, captions=PICTURES)
    asked = change("green", 3)
    first = scores(answer(f"weimocir:beta=0.5,j=1,{ALL}", asked, view), view)
    both = scores(answer(f"weimocir:beta=0.5,j=2,{ALL}", asked, view), view)
    expected = scores(answer(f"weimocir:beta=0.5,{ALL}", asked, alone), alone)
    assert np.allclose(first, expected, atol=1e-6)
    assert not np.allclose(both, expected, atol=1e-3)


def test_a_picture_without_captions_stands_by_its_picture() -> None:
    """It gets what captions add to the others on average; among such pictures nothing changes."""
    texts = [text if n % 2 else "" for n, text in enumerate(PICTURES)]
    view, asked = sight(noise=0.2, captions=texts), change("green", 3)
    plain = scores(answer("weimocir:beta=0", asked, view), view)
    found = scores(answer(f"weimocir:beta=0.5,{ALL}", asked, view), view)
    gain = (found - plain).astype(np.float64)
    assert np.allclose(gain[::2], gain[1::2].mean(), atol=1e-6)
    assert gain[1::2].std() > 0.01


def test_nothing_said_of_any_picture_changes_nothing() -> None:
    view, asked = sight(noise=0.2), change("green", 3)
    plain = ranking("weimocir:beta=0", asked, view)
    assert ranking("weimocir:beta=0.9", asked, view) == plain


def test_only_the_shortlist_is_read() -> None:
    reader = Reader(name="shortlist")
    view = sight(reader=reader, noise=0.2, captions=[f"{t} {n}" for n, t in enumerate(PICTURES)])
    found = answer("weimocir:shortlist=4", change("green", 3), view)
    assert found.again is not None
    assert found.again.shortlist == 4
    scores(found, view)
    assert len(reader.read) == 1 + 4


def test_a_shortlist_of_all_is_the_exact_method() -> None:
    view, asked = sight(noise=0.2, captions=PICTURES), change("green", 3)
    exact = ranking(f"weimocir:beta=0.5,{ALL}", asked, view)
    assert ranking("weimocir:beta=0.5,shortlist=99", asked, view) == exact


def test_captions_by_caption_need_those_of_the_reference(tmp_path: Path) -> None:
    texts = {f"{n}.jpg": [text, "boat"] for n, text in enumerate(PICTURES) if n != 3}
    view = sight(noise=0.2)
    options = f"beta=0.5,{ALL},{file_of(tmp_path, texts)}"
    by_image = ranking(f"weimocir:{options}", change("green", 3), view)
    assert (
        ranking(f"weimocir:{options},caption_query=caption", change("green", 3), view) == by_image
    )
    told = dict(answer(f"weimocir:{options},caption_query=caption", change("green", 2), view).told)
    assert "the reference's captions" in told["captions"]


class Talker:
    """Says the same of every picture, and counts."""

    name = "talker"

    def __init__(self) -> None:
        self.seen = 0

    def caption(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> list[str]:
        self.seen += len(pictures)
        return ["a duck"] * len(pictures)


def test_a_captioner_is_asked_where_nothing_is_known_and_once() -> None:
    texts = ["", "", *PICTURES[2:]]
    view, talker = sight(noise=0.2, captions=texts), Talker()
    view.pixels = lambda number, side: np.full((8, 8, 3), number, np.uint8)  # type: ignore[method-assign]
    made = composer(f"weimocir:beta=0.5,{ALL}", Helpers(captioner=talker))
    for _ in range(2):
        scores(made.compose([change("green", 3)], view)[0], view)
    assert talker.seen == 2


def test_spaces_of_their_own_are_refused() -> None:
    with pytest.raises(LibraryIncompatible, match="weimocir"):
        answer("weimocir", change("green", 0), sight(reader=Reader(APART)))


@pytest.mark.parametrize(
    "options", ["alpha=2", "beta=-0.1", "beta=nan", "j=0", "shortlist=-1", "caption_query=both"]
)
def test_wrong_options(options: str) -> None:
    with pytest.raises(UsageError, match="weimocir"):
        answer(f"weimocir:{options}", change("green", 0), sight())
