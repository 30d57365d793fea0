"""What the suite of composed questions prints of whole datasets."""

from __future__ import annotations

from needlepoint.bench.composed_results import Answered, ComposedRun
from needlepoint.cli.bench_composed import table

COST = {"text_passes": 1.0, "image_passes": 0.0, "compose_ms": 2.0, "score_ms": 1.0}


def ran(protocol, **official):
    key = dict.fromkeys(("revision", "data", "limit", "fusion", "recipe", "train_seed"))
    key |= {"encoder": "toy", "protocol": protocol, "split": "val"}
    key |= {"method": "tried", "pool": "tried"}
    told = {name.replace("_", "@"): [value] for name, value in official.items()}
    answers = (Answered("q", "g", ranks=(1,), found=(0,), top=((0, 1.0),), alone=False),)
    return ComposedRun(key, {}, COST, answers, told, ("a.jpg",))


def test_the_mean_over_categories_is_told_apart_by_conventions():
    runs = [
        ran(f"fashioniq/{category}[gallery={gallery}]", R_10=value, R_50=2 * value)
        for gallery, values in (("split", (0.1, 0.2, 0.3)), ("union", (0.2, 0.3, 0.4)))
        for category, value in zip(("dress", "shirt", "toptee"), values, strict=True)
    ]
    told = table(runs)
    assert "fashioniq[gallery=split] val · toy · tried: R@10 20.0, R@50 40.0, mean 30.0\n" in told
    assert "fashioniq[gallery=union] val · toy · tried: R@10 30.0, R@50 60.0, mean 45.0\n" in told
    assert "fashioniq/dress[gallery=split] val · toy" in told


def test_no_mean_is_told_of_a_part():
    runs = [
        ran(f"fashioniq/{one}[gallery=split]", R_10=0.1, R_50=0.1) for one in ("dress", "shirt")
    ]
    assert "mean" not in table(runs)
