"""The simulated user: speaks from the truth, never of what is not there, never of the target."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.bench.needle.truth import Placed, ScenePicture
from needlepoint.bench.user import Manner, Scenes, SceneUser
from needlepoint.errors import UsageError
from needlepoint.methods.dialogue import Mark, Turn


def thing(word, colour=None, area=0.02, visible=1.0, left=0):
    box = (left, 10, 20, 20)
    return Placed(word, f"{word}-{colour}", box, area, visible, None, "", word, colour)


def picture(number, *things):
    return ScenePicture(f"pictures/{number}.jpg", 200, 100, "grey", tuple(things))


SCENES = Scenes(
    [
        picture(0, thing("sofa", "red", 0.2), thing("lemon"), thing("umbrella", "blue", left=170)),
        picture(1, thing("lemon", left=5), thing("owl", None, 0.1)),
        picture(2, thing("sofa", "green", 0.3), thing("umbrella", "blue", left=40)),
        picture(3, thing("tent", None, 0.2)),
        picture(4, thing("sofa", "red", 0.1, visible=0.2), thing("blorp")),
        picture(5, thing("sofa", "red", 0.1), thing("umbrella", "blue"), thing("lemon")),
    ],
    least=0.5,
)


def talk(manner=None, target=0, seed=0):
    return SceneUser(SCENES, target, manner or Manner(), seed)


def test_the_opening_is_vague():
    assert talk().opening() == Turn("a sofa")
    assert talk(target=1).opening() == Turn("an owl")
    assert SCENES.targets() == [0, 1, 2, 3, 5]
    with pytest.raises(UsageError, match="shows nothing that has a word"):
        talk(target=4)


def test_what_the_shown_pictures_lack_is_said_first_and_nothing_twice():
    user = talk()
    said = [user.reply([2, 1], "").said for _ in range(3)]
    # pictures 1 and 2 have a lemon and a blue umbrella; a red sofa neither
    assert said[0] == "the sofa is red"
    assert sorted(said[1:]) == [
        "there is also a small blue umbrella",
        "there is also a small lemon",
    ]
    assert user.reply([2, 1], "") is None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is there a dog?", "no"),
        ("is there an umbrella anywhere?", "yes, a blue umbrella"),
        ("Is the umbrella red?", "no, a blue umbrella"),
        ("what colour is the couch?", "red"),
        ("What color is the lemon?", "its usual colour"),
        ("where is the umbrella?", "on the right"),
        ("how many lemons are there?", "1"),
        ("how crowded is it, how many things?", "a few small things"),
    ],
)
def test_questions_are_answered_from_the_truth(question, answer):
    user = talk()
    user.opening()
    assert user.reply([3], question) == Turn(answer, question)


def test_an_open_question_brings_what_is_missing_and_then_the_end():
    user = talk()
    answers = [user.reply([3], "What do you see there?").said for _ in range(4)]
    assert sorted(answers[:3]) == ["a blue umbrella", "a lemon", "a red sofa"]
    assert answers[3] == "nothing else"


def test_marks_go_to_what_is_shared_most_and_to_its_box():
    shown = [0, 3, 1, 2, 5]
    whole = talk(Manner(marks="pictures")).reply(shown, "")
    assert whole.more == (Mark(5), Mark(2))
    pieces = talk(Manner(marks="pieces")).reply(shown, "")
    # the red sofa is the same; of picture 2 only the umbrella has the colour
    assert pieces.more == (Mark(5, (0, 10, 20, 20)), Mark(2, (40, 10, 20, 20)))
    unlike = talk(Manner(marks="pictures", less=True)).reply(shown, "")
    assert unlike.less == (Mark(3),)
    assert talk(Manner(marks="pictures", most=1)).reply(shown, "").more == (Mark(5),)
    assert talk(Manner(marks="pictures", shown=3)).reply(shown, "").more == (Mark(1),)


def test_noise_leaves_some_marks_and_moves_others():
    seen = {
        noise: [
            talk(Manner(marks="pictures", noise=noise), seed=seed).reply([1, 2, 3, 5], "").more
            for seed in range(60)
        ]
        for noise in (0.0, 0.5, 1.0)
    }
    right = {noise: sum(one == (Mark(5), Mark(2)) for one in some) for noise, some in seen.items()}
    assert right[0.0] == 60 > right[0.5] > right[1.0]
    assert any(Mark(3) in one for one in seen[1.0])


manners = st.builds(
    Manner,
    says=st.sampled_from(["missing", "nothing"]),
    marks=st.sampled_from(["nothing", "pictures", "pieces", "random", "random-pieces"]),
    less=st.booleans(),
    noise=st.sampled_from([0.0, 0.4, 1.0]),
    most=st.integers(1, 3),
    shown=st.integers(1, 6),
)


@settings(max_examples=60)
@given(
    manners,
    st.sampled_from(SCENES.targets()),
    st.integers(0, 5),
    st.lists(st.permutations(range(6)), min_size=1, max_size=4),
)
def test_the_user_is_honest_repeatable_and_never_points_at_the_target(manner, target, seed, shown):
    def hold():
        user = talk(manner, target, seed)
        return [user.opening(), *(user.reply(order, "") for order in shown)]

    turns = hold()
    assert turns == hold()
    own = {word for word, _ in SCENES.facts[target]}
    for turn, order in zip(turns[1:], shown, strict=True):
        if turn is None:
            continue
        marks = (*turn.more, *turn.less)
        assert all(mark.id != target for mark in marks)
        assert all(mark.id in order[: manner.shown] for mark in marks)
        assert len(turn.more) <= manner.most
        if turn.said:
            words = set(re.findall(r"\w+", turn.said))
            assert words & own
            assert not words & ({"sofa", "lemon", "umbrella", "owl", "tent"} - own)
    what = [turn.said for turn in turns if turn]
    other = talk(Manner(says=manner.says), target, seed)
    other.opening()
    # what is said does not hang on how marks are set, only on what is shown
    if manner.shown == 6:
        plain = [other.reply([*order], "") for order in shown]
        assert [turn.said for turn in plain if turn and turn.said] == [s for s in what[1:] if s]


@pytest.mark.parametrize("wrong", [{"noise": 1.5}, {"most": 0}, {"shown": 0}, {"rounds": 0}])
def test_manners_have_limits(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Manner(**wrong)
