"""The Combiner, attribute weights and the middle zone from their formulas, one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from needlepoint.train.negatives import Block, Bounds, Choice, make_pools, stable_keys

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

Row = list[float]


def layer(row: Row, weights: dict[str, np.ndarray], name: str, *, relu: bool = True) -> Row:
    found = []
    for out, shift in zip(weights[f"{name}.weight"], weights[f"{name}.bias"], strict=True):
        total = float(shift) + sum(float(w) * x for w, x in zip(out, row, strict=True))
        found.append(max(total, 0.0) if relu else total)
    return found


def unit(row: Row) -> Row:
    length = math.sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def slow_query(
    picture: Row, words: Row, weights: dict[str, np.ndarray], attributes: int
) -> tuple[Row, float]:
    """CLIP4Cir's second stage and, behind it, the attributes of our reading of DQE-CIR."""
    seen = layer(words, weights, "base.text") + layer(picture, weights, "base.image")
    added = layer(layer(seen, weights, "base.joint"), weights, "base.out", relu=False)
    hidden = layer(seen, weights, "base.share.0")
    share = 1 / (1 + math.exp(-layer(hidden, weights, "base.share.3", relu=False)[0]))
    base = [v + share * t + (1 - share) * i for v, t, i in zip(added, words, picture, strict=True)]
    query = unit(base)
    for number in range(attributes):
        rows = {"one.weight": weights["attributes.gate.weight"][[number]],
                "one.bias": weights["attributes.gate.bias"][[number]]}  # fmt: skip
        weight = 1 / (1 + math.exp(-layer(words, rows, "one", relu=False)[0]))
        for place, head in enumerate(weights["attributes.heads"][number]):
            query[place] += weight * sum(float(w) * b for w, b in zip(head, base, strict=True))
    return unit(query), share


@pytest.mark.parametrize("names", [(), ("colour", "shape")])
def test_the_network_is_its_formulas_on_the_tensors_of_its_file(tmp_path, names):
    from safetensors.numpy import load_file

    from needlepoint.encoders.combiner import (
        WEIGHTS,
        CombinerNet,
        CombinerShape,
        load_combiner,
        save_combiner,
    )

    torch.manual_seed(3)
    made = CombinerNet(CombinerShape(6, projection=5, hidden=7, attributes=names))
    if made.attributes is not None:
        torch.nn.init.normal_(made.attributes.heads, std=0.3)
    save_combiner(made, tmp_path)
    model, _ = load_combiner(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    rng = np.random.default_rng(0)
    pictures, texts = (rng.standard_normal((4, 6)).astype(np.float32) for _ in range(2))
    with torch.inference_mode():
        found = model(torch.from_numpy(pictures), torch.from_numpy(texts))
    for row in range(4):
        query, share = slow_query(pictures[row].tolist(), texts[row].tolist(), weights, len(names))
        assert found.query[row].tolist() == pytest.approx(query, abs=1e-5)
        assert float(found.share[row]) == pytest.approx(share, abs=1e-5)


def slow_middle(scores: Row, target: int, barred: set[int], low: float, high: float) -> set[int]:
    inside, nearest = set(), None
    for place, score in enumerate(scores):
        if place == target or place in barred:
            continue
        gap = scores[target] - score
        if low <= gap <= high:
            inside.add(place)
        far = abs(gap - (low + high) / 2)
        if nearest is None or far < nearest[0]:
            nearest = far, place
    return inside or ({nearest[1]} if nearest else set())


def slow_drops(scores: Row, target: int, barred: set[int]) -> set[int]:
    """Candidates between the two steepest drops, more than one place apart, below the target."""
    below = [n for n, s in enumerate(scores) if n != target and n not in barred]
    below = sorted((n for n in below if scores[n] <= scores[target]), key=lambda n: -scores[n])
    line = [scores[target], *(scores[n] for n in below)]
    drops = [(line[n] - line[n + 1], n) for n in range(len(below))]
    first = max(drops)[1]
    second = max(drop for drop in drops if abs(drop[1] - first) > 1)[1]
    return set(below[min(first, second) : max(first, second)])


def test_rules_are_those_written_out_for_one_question():
    rng = np.random.default_rng(1)
    scores = rng.random((20, 30)).astype(np.float32)
    targets = np.argsort(-scores, axis=1)[:, 5]  # so that enough lies below each target
    eligible = rng.random((20, 30)) > 0.2
    eligible[np.arange(20), targets] = False
    block = Block(scores, targets, eligible, stable_keys([str(n) for n in range(20)]))
    keys = stable_keys([str(n) for n in range(30)])
    for low, high in ((0.05, 0.3), (0.9, 0.95)):
        pools = make_pools([block], Choice("trns", Bounds(low, high)), keys, seed=0)
        for row in range(20):
            barred = set(np.flatnonzero(~eligible[row]).tolist())
            slow = slow_middle(scores[row].tolist(), int(targets[row]), barred, low, high)
            assert set(pools.members[row].tolist()) == slow
    pools = make_pools([block], Choice("qure"), keys, seed=0)
    for row in range(20):
        barred = set(np.flatnonzero(~eligible[row]).tolist())
        slow = slow_drops(scores[row].tolist(), int(targets[row]), barred)
        assert set(pools.members[row].tolist()) == slow
