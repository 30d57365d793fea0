"""The question language written out and read again is the same question."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.query import Part, Query
from needlepoint.query_reading import _no_file, _parse, _plain

# every character, lone surrogates (undecodable bytes of names) included
anything = st.text(st.characters(), min_size=1, max_size=20).filter(lambda s: bool(s.strip()))
tricky = st.sampled_from(
    [*'"\\#@:+-,./~ ', " - ", " + ", "#xywh=", "1,2,3,4", "img:", "text:", "2:", "a", "b.jpg"]
)
value = st.one_of(anything, st.lists(tricky, min_size=1, max_size=8).map("".join)).filter(
    lambda s: bool(s.strip())
)
weight = st.one_of(st.just(1.0), st.floats(1e-12, 1000, exclude_min=True), st.floats(-1000, -1e-12))
number = st.floats(0, 1e6)
side = st.floats(1e-3, 1e6)
pixels = st.tuples(number, number, side, side)
percent = st.tuples(*[st.floats(0, 49)] * 2, *[st.floats(1e-3, 50)] * 2)


@st.composite
def part(draw: st.DrawFn) -> Part:
    kind = draw(st.sampled_from(["text", "picture", "item"]))
    if kind == "text":
        return Part("text", draw(value), draw(weight))
    name = str(draw(st.integers(0, 10**9))) if kind == "item" else draw(value)
    in_percent = draw(st.booleans())
    box = draw(st.one_of(st.none(), percent if in_percent else pixels))
    return Part(kind, name, draw(weight), box, in_percent and box is not None)  # type: ignore[arg-type]


queries = (
    st.lists(part(), min_size=1, max_size=4)
    .filter(lambda ps: any(p.weight > 0 for p in ps))
    .map(lambda ps: Query(tuple(ps)))
)


@settings(max_examples=500, deadline=None)
@given(queries)
def test_parse_of_str_is_the_same(query: Query) -> None:
    assert Query.parse(str(query)) == query


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(tricky, max_size=12).map("".join)))
def test_any_text_is_a_question_or_a_usage_error(text: str) -> None:
    try:
        query = Query.parse(text)
    except UsageError:
        return
    assert any(p.weight > 0 for p in query.parts)
    assert Query.parse(str(query)) == query


plainish = st.text(st.sampled_from("ab1_é .-/~:'+#@"), min_size=1, max_size=12)


@settings(max_examples=500, deadline=None)
@given(st.one_of(plainish, plainish.map(lambda t: t.strip() + ".jpg"), st.text(max_size=20)))
def test_the_short_way_means_what_the_parser_means(text: str) -> None:
    part = _plain(text)
    if part is not None:
        assert _parse(text, _no_file) == (part,)
