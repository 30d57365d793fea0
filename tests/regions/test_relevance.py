"""Overlap of maps and masks at patch resolution, without any network."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from needlepoint.errors import UsageError  # noqa: E402
from needlepoint.regions.relevance import AdamW, Aim, enlarger  # noqa: E402

pytestmark = pytest.mark.torch


def block(count, cells, dtype=torch.float64):
    zeros = torch.zeros(count, 1, cells * cells, 1, dtype=dtype)
    return SimpleNamespace(base=torch.zeros(count, 4, dtype=dtype), values=zeros, grid=(cells,) * 2)


def masks(count, side, seed=0):
    return list(np.random.default_rng(seed).random((count, side, side)) > 0.7)


def enlarged(maps, side):
    return torch.nn.functional.interpolate(maps[:, None], size=(side, side), mode="bilinear")[:, 0]


@pytest.mark.parametrize(("cells", "side"), [(4, 64), (14, 224), (7, 50), (1, 8), (5, 5)])
def test_enlarging_is_torchs_bilinear(cells, side):
    maps = torch.rand(2, cells, cells, dtype=torch.float64)
    matrix = torch.from_numpy(enlarger(cells, side))
    torch.testing.assert_close(matrix @ maps @ matrix.T, enlarged(maps, side))


@pytest.mark.parametrize("kind", ["iou", "dice"])
@pytest.mark.parametrize("normal", ["crop", "batch"])
def test_sums_over_patches_equal_sums_over_pixels(kind, normal):
    maps, inside = torch.rand(3, 4, 4, dtype=torch.float64), masks(3, 64)
    ours, _ = Aim.at(block(3, 4), inside, kind, normal).measure(maps, torch.ones(3).double())
    large, stacked = enlarged(maps, 64), torch.from_numpy(np.stack(inside)).double()
    axes = (1, 2) if normal == "crop" else (0, 1, 2)
    low, high = large.amin(axes, True), large.amax(axes, True)
    large = (large - low) / (high - low + 1e-6)
    both, total = (large * stacked).sum((1, 2)), (large + stacked).sum((1, 2))
    theirs = both / (total - both) if kind == "iou" else (2 * both + 1e-6) / (total + 1e-6)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert 0 <= float(ours.min()) <= float(ours.max()) <= 1


@pytest.mark.parametrize("kind", ["iou", "dice"])
def test_a_map_that_is_its_mask_overlaps_by_one_and_its_opposite_by_nothing(kind):
    inside = masks(2, 8)
    maps = torch.from_numpy(np.stack(inside)).double()
    aim, ones = Aim.at(block(2, 8), inside, kind), torch.ones(2).double()
    torch.testing.assert_close(aim.measure(maps, ones)[0], ones, atol=1e-5, rtol=0)
    opposite = aim.measure(1 - maps, ones)[0]
    torch.testing.assert_close(opposite, 0 * ones, atol=1e-5, rtol=0)


@pytest.mark.parametrize("floor", [1e-6, None])
@pytest.mark.parametrize("normal", ["crop", "batch"])
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_flat_map_gives_numbers(floor, normal, value):
    maps = torch.full((2, 4, 4), value, dtype=torch.float64)
    for kind in ("iou", "dice"):
        aim = Aim.at(block(2, 4), masks(2, 64), kind, normal, floor)
        overlap, gradient = aim.measure(maps, torch.ones(2).double())
        assert torch.isfinite(overlap).all()
        assert torch.isfinite(gradient).all()
        assert 0 <= float(overlap.min()) <= float(overlap.max()) <= 1


def test_an_empty_mask_is_refused():
    with pytest.raises(UsageError, match="not empty"):
        Aim.at(block(1, 4), [np.zeros((64, 64), bool)])
    with pytest.raises(UsageError, match="2 masks for 1"):
        Aim.at(block(1, 4), masks(2, 64))


def test_adamw_is_torchs():
    generator = torch.Generator().manual_seed(0)
    at = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    theirs = torch.nn.Parameter(at.clone())
    other, ours = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0), AdamW(0.1)
    for _ in range(20):
        gradient = torch.randn(3, 5, generator=generator, dtype=torch.float64)
        theirs.grad = gradient
        other.step()
        at = ours.step(at, gradient)
    torch.testing.assert_close(at, theirs.detach())
