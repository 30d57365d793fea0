"""The registry of methods, and what importing the package does not cost."""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import needlepoint.methods
from needlepoint.errors import UsageError
from needlepoint.methods import card as registry
from needlepoint.methods.card import describer_of, find_method, list_methods, register, suits
from needlepoint.regions.recipe import Recipe

FOLDER = Path(needlepoint.methods.__path__[0])


@pytest.fixture
def empty(monkeypatch):
    """The registry as a new process has it, given back afterwards."""
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    return registry._METHODS


def test_every_file_is_a_method_of_its_name_and_every_method_has_a_file():
    stems = {
        file.stem
        for file in FOLDER.rglob("*.py")
        if file.parent != FOLDER and file.name != "__init__.py"
    }
    assert stems == {card.name.replace("-", "_") for card in list_methods()}
    assert {"dense", "whole", "windows"} <= stems


@pytest.mark.parametrize("card", list_methods(), ids=lambda card: card.name)
def test_a_card_says_all_it_must(card):
    told = card.to_dict()
    json.dumps(told)
    for field in ("title", "paper", "task", "stores", "passes", "evidence"):
        assert told[field], field
    assert 1970 < card.year <= 2026
    assert card.parts
    method = find_method(card.name)
    assert method.card is card
    pattern = card.recipe.partition(":")[0]
    if method.describer is None:
        assert pattern == "*" or Recipe.parse(pattern).kind == pattern
    else:
        assert fnmatch.fnmatch(method.describer("").recipe, card.recipe)


def test_listing_takes_wild_cards_and_is_in_order():
    names = [card.name for card in list_methods()]
    assert names == sorted(names)
    assert [card.name for card in list_methods("wh*") + list_methods("wi*")] == ["whole", "windows"]
    assert [card.name for card in list_methods("*ens?")] == ["dense"]
    assert list_methods("nothing*") == []


@pytest.mark.parametrize(
    ("name", "near"), [("denes", "dense"), ("window", "windows"), ("zz", "whole")]
)
def test_an_unknown_name_is_told_the_nearest(name, near):
    with pytest.raises(UsageError, match=f"unknown method '{name}'.*{near}.*needlepoint methods"):
        find_method(name)


def test_a_second_method_of_a_name_warns_and_replaces(empty):
    first = find_method("dense")
    other = replace(first, card=replace(first.card, title="another"))
    with pytest.warns(UserWarning, match="'dense' is registered twice"):
        register(other)
    assert find_method("dense") is other


def test_the_same_card_again_is_no_second_method(empty, recwarn):
    register(find_method("dense"))
    assert not recwarn


def test_other_packages_offer_methods_as_entry_points(empty, monkeypatch):
    dense = find_method("dense")
    theirs = replace(dense, card=replace(dense.card, name="theirs", title="from elsewhere"))
    asked = []

    class Offered:
        def load(self):
            return theirs

    def offered(*, group):
        asked.append(group)
        return [Offered()]

    monkeypatch.setattr(registry, "entry_points", offered)
    monkeypatch.setattr(registry, "_loaded", False)
    assert find_method("theirs") is theirs
    assert asked == ["needlepoint.methods"]
    assert EntryPoint("x", "needlepoint.methods.controls.whole:CARD", "g").load().name == "whole"


HEAVY = ("torch", "onnxruntime", "PIL", "rich", "lark", "numpy", "transformers", "open_clip")
HEAVY += ("huggingface_hub", "watchfiles", "pandas", "sqlite3", "tokenizers", "click")


def run(code: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return found.stdout


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, needlepoint; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    modules = set(run(code).split())
    assert "needlepoint" in modules
    assert modules.isdisjoint(HEAVY)


def test_the_library_opens_without_torch_or_a_network_of_its_own(tmp_path):
    code = (
        f"import sys; from needlepoint import Library; L = Library.open({str(tmp_path)!r}, "
        "create=True); L.info(); L.close(); print([m for m in "
        "('torch', 'transformers', 'open_clip', 'onnxruntime', 'huggingface_hub', 'pandas') "
        "if m in sys.modules])"
    )
    assert run(code).strip() == "[]"


def test_every_public_name_is_there():
    import needlepoint as package

    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) == set(dir(package))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


@pytest.mark.parametrize(
    ("method", "recipe", "fits"),
    [
        ("whole", "dense:32@1x", True),
        ("hard-max", "lare:n=7", True),
        ("dense", "dense:8@2x+map", True),
        ("dense:8", "dense:8@1x+map", True),
        ("dense:8", "dense:32@1x", False),
        ("dense", "windows:9", False),
        ("lare", "none", False),
        ("lare", "lare:n=7,tau=0.1", True),
        ("lare:n=7", "lare:n=7,tau=0.1", True),
        ("lare:tau=0.3,n=7", "lare:n=7", True),
        ("lare:tau=0.3", "lare", True),
        ("lare:tau=0.3", "lare:n=7", False),
        ("lare:n=5", "lare", True),  # as the default
        ("grid:fusion=best", "grid", True),
    ],
)
def test_a_library_suits_a_method_by_what_shaped_its_vectors(method, recipe, fits):
    assert suits(method, recipe) is fits


def test_a_method_whose_name_begins_like_a_policy_is_no_policy():
    with pytest.raises(UsageError, match="unknown method 'dense-nothing'"):
        describer_of("dense-nothing:n=3")
