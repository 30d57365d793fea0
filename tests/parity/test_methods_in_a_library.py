"""Every method that needs a real model, from a folder of pictures to an answer, on a tiny one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import LibraryIncompatible
from needlepoint.library import Library

METHODS = ("lare:n=3", "attention-windows", "calibclip", "dense-text", "random-windows")
CORPUS = ["a red thing", "a cat", "a dog and a cat"]


@pytest.fixture(scope="module")
def model(tiny: Callable[..., Path]) -> str:
    return f"hf:{tiny('hf_clip')}"


@pytest.fixture(scope="module")
def library(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Six pictures of coloured shapes, indexed by every method in turn."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(6):
        small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize((180, 150), Image.Resampling.BICUBIC).save(
            folder / f"{seed}.png"
        )
    with Library.open(tmp_path_factory.mktemp("library"), create=True) as made:
        for method in METHODS:
            report = made.index(folder, model=model, method=method)
            assert report.skipped == []
        yield made


def test_each_method_has_seen_every_picture(library: Library) -> None:
    assert {m["recipe"]: m["pictures"] for m in library.models()} == dict.fromkeys(METHODS, 6)


@pytest.mark.parametrize("method", [*METHODS, "lare", "calibclip:mu=0.5", "whole", "hard-max"])
def test_each_method_answers_words_and_pictures(library: Library, method: str) -> None:
    name = method.partition(":")[0]
    corpus = CORPUS if name == "calibclip" else None
    words = library.search("a red cat", method=method, k=9, corpus=corpus)
    assert len(words) == 6
    assert words[0].source["method"] == name
    assert words.exact
    short = library.search("a red cat", method=method, k=2, corpus=corpus)
    assert [(h.id, h.score, h.box) for h in short] == [(h.id, h.score, h.box) for h in words[:2]]
    again = {hit.score_kind for hit in words}
    assert again == ({"reordered"} if method == "calibclip:mu=0.5" else {"cosine"})
    assert library.search("@2", method=method, k=1)[0].id == 2


@pytest.mark.parametrize("tau", ["auto", "0.05", "-1"])
def test_lare_scores_by_its_gate(library: Library, model: str, tau: str) -> None:
    """Against the rule, picture by picture, on the stored vectors."""
    method = f"lare:n=3,tau={tau}"
    found = {h.id: h for h in library.search("a red cat", method=method, k=9)}
    question = open_encoder(model).text_features(["a red cat"]).vector[0].astype(float)
    (space,) = [s for s in library._store.spaces() if s.recipe == "lare:n=3"]
    limit = 0.25 if tau == "auto" else float(tau)
    raised = 0
    for number, row in library._store.fetch_vectors([1, 2, 3, 4, 5, 6], space.id).items():
        whole = score = float(row.whole @ question)
        best = max((float(r @ question) for r in row.regions), default=-2.0)
        if whole < limit and best > whole:
            score += min(2 * (best - whole), 0.5) * (best - whole)
        assert found[number].score == pytest.approx(score, abs=2e-4)
        assert (found[number].box is not None) == (score > whole)
        raised += score > whole
    assert (raised > 0) == (tau != "-1")


def test_what_was_not_indexed_is_refused_with_the_command(library: Library, model: str) -> None:
    with pytest.raises(LibraryIncompatible, match=f"--method lare:n=4 --model {model}"):
        library.search("a red cat", method="lare:n=4")
