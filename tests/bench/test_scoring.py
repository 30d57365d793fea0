"""Rankings and what they are worth, against loops that do it one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from needlepoint.bench import scoring
from needlepoint.bench.gallery import Vectors
from needlepoint.bench.metrics import average_precision, centre_inside, hit_at_k
from needlepoint.bench.protocol import Question
from needlepoint.bench.scoring import answer
from needlepoint.methods.card import Asked
from needlepoint.search.fusion import BEST, WHOLE, Fusion

G, Q, D = 23, 9, 6
FUSIONS = [WHOLE, BEST, Fusion("gated", tau=0.3), Fusion("gated", tau=-2.0)]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def case():
    """Pictures with 0 to 4 regions, one of them twice, and questions with junk."""
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 5, G)
    counts[4], counts[5] = counts[7], 0
    offsets = np.concatenate([[0], np.cumsum(counts)])
    whole = unit(rng.standard_normal((G, D)))
    regions = unit(rng.standard_normal((offsets[-1], D)))
    boxes = rng.integers(1, 60, (offsets[-1], 4)).astype(np.float32)
    whole[4] = whole[7]
    regions[offsets[4] : offsets[5]] = regions[offsets[7] : offsets[8]]
    ids = [f"p{i:02d}" for i in range(G)]
    questions = []
    for number in range(Q):
        chosen = rng.permutation(G)
        relevant = [ids[i] for i in chosen[: number % 4]]
        junk = [ids[i] for i in chosen[10 : 10 + number % 3]]
        true = dict.fromkeys(relevant[1:], ((5.0, 5.0, 60.0, 60.0), (0.0, 0.0, 4.0, 4.0)))
        questions.append(
            Question(
                f"q{number}",
                frozenset(relevant),
                text="words",
                junk=frozenset(junk),
                boxes=true,
                group=f"g{number // 2}",
            )
        )
    vectors = Vectors(whole, regions, boxes, offsets.astype(np.int64))
    return vectors, Asked(unit(rng.standard_normal((Q, D)))), questions, ids


def slow_scores(vectors, probe, fusion):
    """Fused score, whole score and best box of every picture, by the definitions."""
    fused, wholes, boxes, opened = [], [], [], []
    for i in range(len(vectors.whole)):
        whole = float(np.float64(vectors.whole[i]) @ np.float64(probe))
        own = range(vectors.offsets[i], vectors.offsets[i + 1])
        scores = [float(np.float64(vectors.regions[r]) @ np.float64(probe)) for r in own]
        region = max(scores, default=-math.inf)
        boxes.append(vectors.boxes[own[scores.index(region)]].tolist() if scores else None)
        score = whole
        if fusion.kind == "best":
            score = max(whole, region)
        elif fusion.kind == "gated" and whole < fusion.tau and region > whole:
            share = min(2 * (region - whole), 0.5)
            score = (1 - share) * whole + share * region
        fused.append(score)
        wholes.append(whole)
        opened.append((whole < fusion.tau, whole < fusion.tau and region > whole))
    return fused, wholes, boxes, opened


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda f: f"{f.kind}{f.tau}")
@pytest.mark.parametrize("room", [scoring._ROOM, 1])
def test_answers_are_those_of_the_slow_loops(case, fusion, room, monkeypatch):
    monkeypatch.setattr(scoring, "_ROOM", room)
    vectors, asked, questions, ids = case
    answers, _ = answer(vectors, asked, questions, ids, fusion)
    assert [one.id for one in answers] == [q.id for q in questions]
    for one, question, probe in zip(answers, questions, asked.vectors, strict=True):
        fused, wholes, boxes, _ = slow_scores(vectors, probe, fusion)
        order = sorted(range(G), key=lambda i: (-round(fused[i], 6), i))
        order = [i for i in order if ids[i] not in question.junk]
        assert [i for i, _ in one.top] == order
        assert [s for _, s in one.top] == pytest.approx([fused[i] for i in order], abs=1e-6)
        ranking = [ids[i] for i in order]
        expected = average_precision(ranking, question.relevant, junk=question.junk)
        assert one.average_precision() == pytest.approx(expected, nan_ok=True)
        for k in (1, 5):
            hit = hit_at_k(ranking, question.relevant, k, junk=question.junk)
            assert one.hit_at(k) == pytest.approx(hit, nan_ok=True)
        assert [ids[i] for i in one.found] == [n for n in ranking if n in question.relevant]
        hits, region_hits = [], []
        for i in one.found:
            said = boxes[i] if fused[i] > wholes[i] + 1e-7 else None
            assert one.places[i] == (None if said is None else tuple(said))
            if true := question.boxes.get(ids[i]):
                hits.append(said is not None and any(centre_inside(said, t) for t in true))
                best = boxes[i]
                region_hits.append(best is not None and any(centre_inside(best, t) for t in true))
        assert sorted(one.hits) == sorted(hits)
        assert sorted(one.region_hits) == sorted(region_hits)


def test_pictures_of_equal_score_rank_in_the_order_of_the_gallery(case):
    vectors, asked, questions, ids = case
    for one in answer(vectors, asked, questions, ids, BEST)[0]:
        order = [i for i, _ in one.top]
        if 4 in order and 7 in order:
            assert order.index(7) == order.index(4) + 1


def test_the_gate_is_counted_over_positives_and_over_all(case):
    vectors, asked, questions, ids = case
    fusion = Fusion("gated", tau=0.3)
    gate = answer(vectors, asked, questions, ids, fusion)[1]
    pairs = {"positive": [], "any": []}
    for question, probe in zip(questions, asked.vectors, strict=True):
        fused, wholes, _, opened = slow_scores(vectors, probe, fusion)
        for i in range(G):
            fact = (*opened[i], fused[i] - wholes[i])
            pairs["any"].append(fact)
            if ids[i] in question.relevant:
                pairs["positive"].append(fact)
    for name, facts in pairs.items():
        expected = np.mean(np.array(facts, float), axis=0)
        told = [getattr(gate, f"{what}_{name}") for what in ("open", "raised", "boost")]
        assert told == pytest.approx(expected.tolist(), abs=1e-6)
    assert answer(vectors, asked, questions, ids, BEST)[1] is None


def test_csls_takes_hubs_down_and_is_over_all_questions(case):
    vectors, asked, questions, ids = case
    fused = np.array([slow_scores(vectors, probe, BEST)[0] for probe in asked.vectors])
    hub = np.sort(fused, axis=0)[-3:].mean(axis=0)
    own = np.sort(fused, axis=1)[:, -3:].mean(axis=1)
    adjusted = 2 * fused - hub - own[:, None]
    for row, one in enumerate(answer(vectors, asked, questions, ids, BEST, hub=3)[0]):
        for i, score in one.top:
            assert score == pytest.approx(adjusted[row, i], abs=1e-5)
        scores = [score for _, score in one.top]
        assert scores == sorted(scores, reverse=True)


def test_a_second_vector_orders_the_shortlist_again(case):
    vectors, asked, questions, ids = case
    second = unit(np.random.default_rng(9).standard_normal((Q, D)))
    twice = Asked(asked.vectors, second, share=0.7, shortlist=5)
    plain = answer(vectors, asked, questions, ids, WHOLE)[0]
    again = answer(vectors, twice, questions, ids, WHOLE)[0]
    moved = 0
    for row, question in enumerate(questions):
        if question.junk:
            continue
        before = [i for i, _ in plain[row].top]
        after = [i for i, _ in again[row].top]
        first = vectors.whole @ asked.vectors[row]
        other = vectors.whole @ second[row]
        mixed = 0.3 * first + 0.7 * other
        assert after[:5] == sorted(before[:5], key=lambda i: -mixed[i])
        assert after[5:] == before[5:]
        moved += after != before
    assert moved


def test_a_question_without_an_answer_has_no_value(case):
    vectors, asked, questions, ids = case
    one = answer(vectors, asked, questions, ids, WHOLE)[0][0]
    assert one.ranks == ()
    assert math.isnan(one.average_precision())
    assert math.isnan(one.hit_at(1))
