"""Dense regions for words: every window against a slow loop on the tower's own blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parity_kit import NEAR, unit
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import UsageError
from needlepoint.methods.card import describer_of, find_method
from needlepoint.methods.fine_grained.dense_text import Options, WindowDescriber, read
from needlepoint.picture import Facts, Picture
from needlepoint.search.fusion import BEST, WHOLE, Fusion

pytestmark = pytest.mark.torch

FAMILIES = {
    "open-clip": ("open_clip_folder", {}),
    "open-clip-siglip": ("open_clip_folder", {"siglip": True}),
    "open-clip-timm": ("open_clip_folder", {"timm": 4}),
    "hf-clip": ("hf_clip", {}),
    "hf-siglip": ("hf_siglip", {}),
}


@pytest.fixture(params=FAMILIES)
def encoder(request, tiny):
    maker, options = FAMILIES[request.param]
    return open_encoder(f"local-dir:{tiny(maker, **options)}")


def slow_window(encoder, picture, cells, span, long_side):
    """One window from raw tensors: softmax over its patches alone where attention pools it."""
    tower = encoder.tower
    pixels = torch.from_numpy(encoder.preprocess.grid(picture, long_side, 16))
    cols = pixels.shape[3] // 16
    row, col, high, wide = span
    inside = [r * cols + c for r in range(row, row + high) for c in range(col, col + wide)]
    with torch.inference_mode():
        before, context = tower.embed(pixels)
        for block in tower.blocks[:-1]:
            before = tower.run(block, before, context)
        after = tower.run(tower.blocks[-1], before, context)
        if cells == "tokens":
            vectors = tower.joint(tower.final(after))[0]
            return unit(torch.stack([vectors[i] for i in inside]).mean(0))
        values = tower.values(before, context)[0]
        if cells == "value":
            cell = torch.stack([tower.merge(values[i]) for i in inside]).mean(0)
            return unit(tower.head(cell))
        shares = tower.pooling(before, after, context)[0]
        pooled = []
        for head in range(4):
            part = slice(head * 16, (head + 1) * 16)
            # a softmax over some of the scores is the shares of all, divided by their sum
            own = torch.stack([shares[head, i] for i in inside]).double()
            weights = own / own.sum()
            pooled.append(sum(w * values[i, part] for w, i in zip(weights, inside, strict=True)))
        return unit(tower.head(tower.merge(torch.cat(pooled).float())))


@pytest.mark.parametrize("cells", ["value", "tokens", "pool"])
def test_windows_equal_a_slow_loop(encoder, cells):
    picture = pictures(1)[0]  # 121 x 80: 8 x 5 patches at twice the input size
    describer = WindowDescriber(Options(cells=cells, sizes="0.1+0.3+0.6"))
    vectors, spans, features = describer.windows(encoder, Picture.from_pixels(picture))
    assert features.cells.shape[:2] == (5, 8)
    assert len(vectors) == len(spans)
    for i in range(0, len(spans), 7):
        wanted = slow_window(encoder, picture, cells, spans[i].tolist(), 128)
        np.testing.assert_allclose(vectors[i], wanted, atol=NEAR, rtol=0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_siglips_head_gives_a_window_the_same(tiny):
    """``pool`` is no approximation there: the head alone with a window's tokens."""
    for maker, options in (FAMILIES["hf-siglip"], FAMILIES["open-clip-siglip"]):
        encoder = open_encoder(f"local-dir:{tiny(maker, **options)}")
        picture = pictures(1)[0]
        describer = WindowDescriber(Options(cells="pool"))
        vectors, spans, _ = describer.windows(encoder, Picture.from_pixels(picture))
        tower = encoder.tower
        with torch.inference_mode():
            pixels = torch.from_numpy(encoder.preprocess.grid(picture, 128, 16))
            tokens, context = tower.embed(pixels)
            for block in tower.blocks:
                tokens = tower.run(block, tokens, context)
            cells = tokens[0].reshape(5, 8, -1)
            for i in range(0, len(spans), 9):
                r, c, h, w = spans[i].tolist()
                alone = tower.pool(cells[r : r + h, c : c + w].reshape(1, h * w, -1))
                np.testing.assert_allclose(vectors[i], unit(alone)[0], atol=NEAR, rtol=0)


def test_the_three_kinds_of_cells_differ(encoder):
    picture = Picture.from_pixels(pictures(1)[0])
    made = {
        cells: WindowDescriber(Options(cells=cells)).windows(encoder, picture)[0]
        for cells in ("value", "tokens", "pool")
    }
    for one, other in (("value", "tokens"), ("value", "pool"), ("tokens", "pool")):
        assert np.abs(made[one] - made[other]).max() > 0.01


def test_descriptions_hold_the_whole_and_some_windows(encoder):
    some = [Picture.from_pixels(p) for p in pictures(2)]
    found = describer_of("dense-text:regions=5").describe(encoder, some)
    wholes = encoder.encode_image(pictures(2))
    for (one,), picture, whole in zip(found, some, wholes, strict=True):
        assert one.space == "joint"
        np.testing.assert_allclose(one.whole, whole, atol=NEAR, rtol=0)
        assert one.regions.shape == (5, encoder.card.dim)
        assert one.boxes.shape == (5, 4)
        ends = one.boxes[:, :2] + one.boxes[:, 2:]
        assert (one.boxes >= 0).all()
        assert (ends <= np.array(picture.size) + 1e-3).all()
    # neighbours change nothing
    (alone,) = describer_of("dense-text:regions=5").describe(encoder, some[1:])
    np.testing.assert_array_equal(alone[0].regions, found[1][0].regions)
    everything = describer_of("dense-text:regions=all").describe(encoder, some[:1])[0][0]
    assert len(everything.regions) == len(read("").spans(5, 8))


def test_boxes_are_in_original_pixels(tiny):
    """A picture decoded at half its size has boxes twice as large."""
    encoder = open_encoder(f"local-dir:{tiny('hf_clip')}")
    pixels = pictures(1)[0]
    describer = describer_of("dense-text:regions=all")
    ((plain,),) = describer.describe(encoder, [Picture.from_pixels(pixels)])
    ((half,),) = describer.describe(encoder, [Picture(pixels, Facts(242, 160, "array"))])
    np.testing.assert_allclose(half.boxes, 2 * plain.boxes, rtol=1e-5)
    np.testing.assert_array_equal(half.regions, plain.regions)


@pytest.mark.parametrize(
    ("grid", "sides"),
    [((14, 14), [1, 2, 4, 6]), ((12, 12), [1, 2, 3, 5]), ((7, 7), [1, 2, 3]), ((1, 1), [1])],
)
def test_windows_keep_their_share_of_any_grid(grid, sides):
    spans = read("").spans(*grid)
    assert sorted(set(spans[:, 2].tolist())) == sides
    assert (spans[:, 0] + spans[:, 2] <= grid[0]).all()


def test_detail_is_in_input_sizes(tiny):
    encoder = open_encoder(f"local-dir:{tiny('hf_clip')}")
    square = Picture.from_pixels(np.ascontiguousarray(pictures(1)[0][:64, :64]))
    for detail in (1, 2, 3):
        describer = WindowDescriber(Options(detail=detail))
        assert describer.windows(encoder, square)[2].cells.shape[:2] == (4 * detail,) * 2
        assert describer.side(encoder.card) == 64 * max(2, detail)


def test_encoders_without_words_in_the_space_are_refused(tiny):
    dino = open_encoder(f"local-dir:{tiny('hf_dino', kind='dinov2')}")
    for encoder in (dino, open_encoder("builtin")):
        with pytest.raises(UsageError, match="index with --regions dense"):
            describer_of("dense-text").describe(encoder, [Picture.from_pixels(pictures(1)[0])])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("detail=0", "1 to 16"),
        ("sizes=0+0.5", "parts of the long side"),
        ("sizes=a", "parts of the long side"),
        ("regions=0", "all, or 1 or more"),
        ("regions=-2", "all, or 1 or more"),
        ("cells=keys", "Allowed: value, tokens, pool"),
    ],
)
def test_mistakes_are_told(options, told):
    with pytest.raises(UsageError, match=told):
        read(options)


def test_fusion_and_recipe():
    method = find_method("dense-text")
    assert method.fusion("", None) == BEST
    assert method.fusion("fusion=whole", None) == WHOLE
    assert method.fusion("fusion=gated,tau=0.1", None) == Fusion("gated", tau=0.1)
    assert describer_of("dense-text:regions=8,cells=pool").recipe == (
        "dense-text:cells=pool,regions=8"
    )
    assert set(method.card.parameters) == set(Options.__dataclass_fields__)
