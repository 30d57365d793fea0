"""The tables and sentences of the page about composed questions, from rows made up here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def tables():
    sys.path.insert(0, str(BENCHMARKS))
    import composed_tables

    yield composed_tables
    sys.path.remove(str(BENCHMARKS))


def row(method, **told):
    return {"encoder": "compact", "protocol": "edits/composed", "split": "test"} | {
        "method": method,
        **told,
    }


@pytest.mark.parametrize(
    ("line", "short"),
    [
        ("weighted_sum:alpha=0.5", "weighted_sum:alpha=0.5"),
        ("lincir:weights={weights}/lincir", "lincir"),
        ("lincir:weights={weights}/lincir,template=list", "lincir:template=list"),
        ("searle:weights={weights}/isearle", "searle:weights=isearle"),
        ("dqe_cir:weights={weights}/dqe-cir", "dqe_cir"),
        ("pdv:over=lincir:weights={weights}/lincir,beta=0.9", "pdv:over=lincir,beta=0.9"),
        ("pdv:over=searle:weights={weights}/isearle", "pdv:over=searle:weights=isearle"),
    ],
)
def test_a_route_is_called_without_the_folder_of_its_own_parts(tables, line, short):
    assert tables.label(line) == short


def test_what_is_clear_is_said_and_what_is_not_is_not(tables):
    def pair(method, against, difference, p):
        told = {"measure": "mAP", "against": against, "difference": difference, "p_holm": p}
        return row(method, **told)

    rows = [
        pair("sum", "reference-only", "0.2", "0.001"),
        pair("sum", "text-only", "0.1", "0.01"),
        pair("lincir:weights={weights}/lincir", "reference-only", "0.2", "0.001"),
        pair("lincir:weights={weights}/lincir", "text-only", "0.1", "0.2"),
        pair("lincir:weights={weights}/lincir", "sum", "-0.1", "0.0001"),
        pair("oti", "reference-only", "-0.2", "0.001"),
        pair("oti", "text-only", "0.2", "0.001"),
        pair("oti", "sum", "0.01", "0.9"),
    ]
    said = tables.conclusions(rows, "mAP", "compact", "test")
    assert said.splitlines() == [
        "- **Better than both halves**: `sum`.",
        "- **Better than one half, and not shown to differ from the other**: `lincir`.",
        "- **Worse than one of the halves**: `oti`.",
        "- **Worse than `sum`**: `lincir`.",
        "- Not shown to differ from `sum`: `oti`.",
    ]
    lines = tables.pairs(rows, "mAP", "compact", "test")
    assert lines[2] == ["`lincir`", "+20.0 (p .001)", "+10.0 (p .200)", "-10.0 (p < .001)"]
    assert tables.pairs(rows, "mAP", "builtin", "test") == [["route"]]


def test_half_truths_and_kinds_stand_in_columns(tables):
    rows = [
        row("sum", **{"R@1": "0.25", "first_unchanged": "0.5", "first_compose_ms": "3"}),
        row("oti", **{"R@1": "0.5", "first_as good": "0.125"}),
        row("oti", skipped="it lacks inject"),
    ]
    assert tables.halves(rows, "compact", "test") == [
        ["route", "an answer first", "unchanged", "as good"],
        ["`sum`", "25.0", "50.0", "0.0"],
        ["`oti`", "50.0", "0.0", "12.5"],
    ]
    kinds = [
        row("sum", by="change", kind=kind, questions=count, **{"R@1": value})
        for kind, count, value in (("add", "14", "0.5"), ("move", "16", "0"))
    ]
    assert tables.kinds(
        [*kinds, row("sum", by="tier", kind="crowd")], "change", "compact", "test"
    ) == [
        ["route", "add (14)", "move (16)"],
        ["`sum`", "50.0", "0.0"],
    ]
