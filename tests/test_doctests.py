"""The examples in the documentation of the code are run, and are enough to be worth it."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import warnings

import pytest

import needlepoint

HEAVY = (
    "encoders.hf",
    "encoders.anatomy",
    "encoders.last_block",
    "regions.relevance",
    "encoders.open_clip",
    "encoders.vit",
    "encoders.torch",
    "encoders.towers",
    "adapters.",
)
"""Modules that import torch or another package that may be absent."""


def modules() -> list[str]:
    found = ["needlepoint"]
    for module in pkgutil.walk_packages(needlepoint.__path__, "needlepoint."):
        name = module.name.removeprefix("needlepoint.")
        if not name.startswith(HEAVY) and not name.endswith("__main__"):
            found.append(module.name)
    return found


def examples(name: str) -> list[doctest.DocTest]:
    module = importlib.import_module(name)
    found = doctest.DocTestFinder(exclude_empty=True).find(module)
    return [test for test in found if test.examples and test.globs["__name__"] == name]


CASES = [(name, test) for name in modules() for test in examples(name)]


@pytest.mark.parametrize(("name", "test"), CASES, ids=[test.name for _, test in CASES])
def test_the_example_says_what_happens(name, test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        told: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        result = runner.run(test, out=told.append)
    assert result.failed == 0, "".join(told)


def test_there_are_enough_examples():
    run = [
        example
        for _, test in CASES
        for example in test.examples
        if not example.options.get(doctest.SKIP)
    ]
    assert len(run) > 20
