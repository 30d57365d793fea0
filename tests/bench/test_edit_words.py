"""Needle edits: how changes are said, how pictures look, and where boxes come to lie."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from needlepoint.bench.needle.edit_graph import KINDS, Change, Content, Thing, answers, stands
from needlepoint.bench.needle.edit_looks import painted_ground, seen_box, styled, viewed
from needlepoint.bench.needle.edit_pack import GREYS, PATTERNS
from needlepoint.bench.needle.edit_words import SIDES, STYLES, VIEWS, plural_of, wordings

DOG = Thing("dog-1", "dog")
SCENE = Content("forest", (DOG, Thing("cup-1", "cup", "red")))
SIZE = (120, 90)


@pytest.mark.parametrize(
    ("change", "before", "said"),
    [
        (Change("replace", "dog", "owl"), 1, "the same, but an owl where the dog was"),
        (Change("replace", "dog", "knife"), 3, "knives instead of the dogs"),
        (Change("add", "", "scissors"), 1, "with scissors added"),
        (Change("remove", "grapes", ""), 1, "the grapes are gone"),
        (Change("recolour", "cup", "red"), 1, "make the cup red"),
        (Change("resize", "box", "smaller"), 3, "the boxes are smaller"),
        (Change("count", "mouse", "three"), 1, "with two more mice"),
        (Change("count", "cherry", "one"), 3, "all but one of the cherries gone"),
        (Change("move", "cup", "top"), 1, "put the cup at the top"),
        (Change("background", "", "in a forest"), 1, "the same things in a forest"),
        (Change("style", "", "sketch"), 1, "now as a pencil drawing"),
        (Change("viewpoint", "", "mirrored"), 1, "the whole scene seen in a mirror"),
        (Change("viewpoint", "chair", "back"), 1, "the chair seen from behind"),
    ],
)
def test_changes_are_said_in_good_english(change, before, said):
    assert said in wordings(change, before)


def test_every_kind_has_several_wordings_and_keeps_one_from_training():
    values = {"resize": "bigger", "count": "three", "move": "left", "style": "grey"}
    values |= {"viewpoint": "closer"}
    for kind in KINDS:
        every = wordings(Change(kind, "dog", values.get(kind, "cat")))
        assert len(set(every)) == 5
        assert wordings(Change(kind, "dog", values.get(kind, "cat")), learnt=True) == every[:-1]


@pytest.mark.parametrize("word", ["sheep", "scissors"])
def test_words_without_a_plural_of_their_own_stay(word):
    assert plural_of(word) == word


@pytest.mark.parametrize("view", ["mirrored", "upside-down", "tilted"])
def test_boxes_follow_what_is_seen(view):
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[30:50, 40:70] = 255
    seen = np.asarray(viewed(Image.fromarray(pixels, "RGB"), view))[..., 0] > 127
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    x, y, w, h = seen_box((40, 30, 30, 20), view, SIZE)
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.allclose(found, (x, y, x + w, y + h), atol=2)


@pytest.mark.parametrize("name", STYLES)
def test_every_style_changes_a_picture_and_keeps_its_size(name):
    photo = Image.fromarray(
        np.random.default_rng(1).integers(0, 255, (90, 120, 3), dtype=np.uint8), "RGB"
    )
    made = styled(photo, name)
    assert made.size == photo.size
    assert np.abs(np.asarray(made, float) - np.asarray(photo, float)).mean() > 5


@pytest.mark.parametrize("name", ["closer", "farther"])
def test_views_that_are_laid_otherwise_leave_the_finished_picture(name):
    photo = Image.new("RGB", SIZE, "red")
    assert viewed(photo, name) is photo
    assert seen_box((1, 2, 3, 4), name, SIZE) == (1, 2, 3, 4)
    assert name in VIEWS


@pytest.mark.parametrize("pattern", PATTERNS)
def test_grounds_are_mostly_of_their_colours(pattern):
    for colour in ("red", *GREYS):
        ground = painted_ground(f"{pattern}/{colour}", SIZE, np.random.default_rng(3))
        again = painted_ground(f"{pattern}/{colour}", SIZE, np.random.default_rng(3))
        assert ground.tobytes() == again.tobytes()
        assert len(ground.getcolors()) == (1 if pattern == "plain" else 2)
    red = np.asarray(painted_ground("plain/red", SIZE, np.random.default_rng(3)))[0, 0].astype(int)
    assert red[0] > 2 * max(red[1], red[2])


def test_an_unsaid_difference_is_no_answer():
    change = Change("remove", "dog", "")
    middles = ((0.5, 0.5),)
    right = Content("forest", SCENE.things[1:])
    assert answers(SCENE, change, right, {}, middles)
    assert not answers(SCENE, change, SCENE, {}, middles * 2)
    for wrong in (
        Content("meadow", right.things),
        Content("forest", right.things, style="grey"),
        Content("forest", right.things, view="tilted"),
        Content("forest", (Thing("cup-2", "cup", "red"),)),
        Content("forest", (Thing("cup-1", "cup", "blue"),)),
        Content("forest", (*right.things, Thing("hat-1", "hat"))),
    ):
        assert not answers(SCENE, change, wrong, {}, ((0.5, 0.5),) * len(wrong.things))


def test_what_a_change_leaves_open_is_free():
    change = Change("replace", "dog", "cat")
    for cat in (Thing("cat-1", "cat"), Thing("cat-2", "cat", "blue", area=0.2)):
        after = Content("forest", (SCENE.things[1], cat))
        assert answers(SCENE, change, after, {}, ((0.5, 0.5),) * 2)
    places = {"forest": "in a forest", "lab-0": "in a lab", "lab-1": "in a lab"}
    for ground in ("lab-0", "lab-1"):
        after = Content(ground, SCENE.things)
        change = Change("background", "", "in a lab")
        assert answers(SCENE, change, after, places, ((0.5, 0.5),) * 2)


def test_a_move_is_judged_by_where_things_are():
    middles = {"left": (0.2, 0.5), "right": (0.8, 0.5), "top": (0.5, 0.2), "bottom": (0.5, 0.8)}
    for side in SIDES:
        assert [name for name in SIDES if stands(middles[side], name)] == [side]
        for place in (side, "left"):
            change = Change("move", "dog", side)
            found = answers(SCENE, change, SCENE, {}, (middles[place], (0.5, 0.5)))
            assert found == (place == side)
