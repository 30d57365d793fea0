"""Questions asked together: the answers of asking alone, and each its own error."""

from __future__ import annotations

import pytest
from test_asking import QUESTIONS

from needlepoint.errors import LibraryError, PictureError, UsageError
from needlepoint.library.asking import Options
from needlepoint.query import Query


def told(results) -> list[dict]:
    return [hit.to_dict() for hit in results]


def test_every_kind_is_answered_as_if_alone(indexed, pictures):
    questions = [question.format(p=pictures) for question in QUESTIONS.values()]
    options = [Options(k=3 + i, where="width > 500" if i % 2 else None) for i in range(9)]
    together = indexed.search_many(questions, options)
    for question, one, results in zip(questions, options, together, strict=True):
        alone = indexed.search(question, k=one.k, where=one.where)
        assert told(results) == told(alone)
        assert results.cutoff == alone.cutoff
        assert results.query == Query.parse(question)
        assert set(results.timings) == {"encode", "filter", "search", "facts"}


def test_texts_are_encoded_together_and_vectors_looked_at_once(indexed, monkeypatch):
    encoder, store = indexed._roster.open("builtin"), indexed._store
    texts, asked = [], []
    encode, search = encoder.text_features, store.search_many
    monkeypatch.setattr(encoder, "text_features", lambda t: texts.append(list(t)) or encode(t))
    monkeypatch.setattr(store, "search_many", lambda q: asked.append(len(q)) or search(q))
    indexed.search_many(["a cat", "a dog + a cat", "@2"])
    assert texts == [["a cat", "a dog"]]
    assert asked == [3]


def test_an_error_is_that_of_its_question_alone(indexed, pictures):
    bad = {
        "@999999": UsageError,
        f"{pictures}/none.jpg": PictureError,
        "https://example.org/a.jpg": UsageError,
    }
    first, *errors, last = indexed.search_many(["a cat", *bad, "a dog"])
    assert told(first) == told(indexed.search("a cat"))
    assert told(last) == told(indexed.search("a dog"))
    for kind, error, question in zip(bad.values(), errors, bad, strict=True):
        assert isinstance(error, kind)
        with pytest.raises(kind, match=None) as alone:
            indexed.search(question)
        assert str(alone.value) == str(error)
    wrong = indexed.search_many(["a cat", "a cat", "a cat"], [Options(k=0), Options(where="x"),
                                                              Options(k=2)])  # fmt: skip
    assert [type(one) for one in wrong[:2]] == [UsageError, UsageError]
    assert len(wrong[2]) == 2


def test_what_the_store_refuses_of_one_is_not_refused_to_the_others(indexed, monkeypatch):
    store = indexed._store
    search = store.search_many

    def picky(questions):
        if any(question.k == 7 for question in questions):
            raise LibraryError("seven is too much")
        return search(questions)

    monkeypatch.setattr(store, "search_many", picky)
    good, bad = indexed.search_many(["a cat", "a dog"], [Options(k=6), Options(k=7)])
    assert len(good) == 6
    assert str(bad) == "seven is too much"


def test_as_many_options_as_questions(indexed):
    assert indexed.search_many([]) == []
    with pytest.raises(UsageError, match="1 entries for 2 queries"):
        indexed.search_many(["a cat", "a dog"], [Options()])
