"""Blending, and the check that pasted outlines are hard to tell from natural edges."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.bench.crowd_kit import SMALL, leaves, make_materials

from needlepoint.bench.needle import build_crowd
from needlepoint.bench.needle.blend import (
    Blend,
    Grain,
    adapt,
    cast_shadow,
    grain_of,
    smooth,
    soften,
)
from needlepoint.bench.needle.edges import DETECTORS, check_edges
from needlepoint.errors import UsageError

RAW = {"light": 0.0, "cast": 0.0, "soften": False, "noise": False, "fringe": 0}


@pytest.fixture(scope="module")
def checks(tmp_path_factory):
    """The check on the same scenes, blended and simply pasted, without the camera's own grain."""
    root = tmp_path_factory.mktemp("edges")
    assets = make_materials(root / "root")
    done = {}
    for name, blend in (("blended", {}), ("raw", RAW)):
        truth = build_crowd(
            "crowd-2d",
            root / name,
            split="train",
            seed=1,
            assets=assets,
            blend=blend,
            camera={"blur": 0.0, "noise": 0.0, "quality": [92, 92]},
            **{**SMALL, "count": 24, "things": 0, "wholes": 0, "instances": 0, "objects": (2, 6)},
        )
        done[name] = (root / name, truth, check_edges(root / name, truth))
    return done


def test_blended_outlines_are_near_chance_and_raw_ones_are_not(checks):
    blended, raw = checks["blended"][2], checks["raw"][2]
    assert tuple(blended.alone) == DETECTORS
    assert blended.outlines == blended.natural > 300
    assert blended.alone["noise"] < 0.6 < raw.alone["noise"]
    assert blended.alone["width"] < 0.6 < raw.alone["width"]
    assert blended.together < 0.68
    assert raw.together > blended.together + 0.1


def test_photographs_without_anything_pasted_are_at_chance(checks, tmp_path):
    # The same masks laid over untouched photographs: an outline there is an edge like any other.
    _, truth, _ = checks["raw"]
    rng = np.random.default_rng(7)
    (tmp_path / "pictures").mkdir()
    for picture in truth.pictures:
        photo = leaves(rng, (picture.width, picture.height), blur=1.0, noise=4.0)
        photo.save(tmp_path / picture.file, quality=92)
    for inside in (False, True):
        check = check_edges(tmp_path, truth, inside=inside)
        assert max(check.alone.values()) < 0.58
        assert check.together < 0.6


def test_simply_pasted_things_differ_within_as_well(checks):
    # They are sharp and have no grain: the control, which looks within them, must see that too.
    raw, blended = (check_edges(*checks[name][:2], inside=True) for name in ("raw", "blended"))
    assert raw.alone["noise"] > 0.6 < raw.alone["width"]
    assert blended.together < raw.together - 0.1


def test_a_set_without_outlines_cannot_be_checked(checks):
    folder, truth, _ = checks["raw"]
    with pytest.raises(UsageError, match="outline"):
        check_edges(folder, truth, keep=lambda row: False)


def test_grain_is_measured():
    rng = np.random.default_rng(2)
    widths, noises = [], []
    for blur, noise in ((0.8, 1.0), (1.6, 4.0)):
        pixels = np.asarray(leaves(rng, (600, 400), blur=blur, noise=noise), dtype=np.float32)
        grain = grain_of(pixels)
        widths.append(grain.edge)
        noises.append(grain.noise)
    assert widths[0] == pytest.approx(0.8, abs=0.4)
    assert widths[1] == pytest.approx(1.6, abs=0.4)
    # The flattest places are those where the noise happens to be weak: it reads up to a third low.
    assert 0.6 < noises[0] < 1.2
    assert 2.6 < noises[1] < 4.2


def test_smoothing_keeps_the_mean_and_spreads_a_point():
    point = np.zeros((31, 31), dtype=np.float32)
    point[15, 15] = 1
    wide = smooth(point, 2.0)
    assert wide.sum() == pytest.approx(1, abs=1e-5)
    rows = np.arange(31) - 15
    assert (wide.sum(axis=1) * rows**2).sum() == pytest.approx(4, abs=0.2)


def test_softening_widens_the_outline_to_the_pictures():
    pixels = np.full((60, 60, 4), 255, dtype=np.uint8)
    sharp = Image.fromarray(pixels)
    assert soften(sharp, Grain(0.5, 0.0)) is sharp
    alpha = np.asarray(soften(sharp, Grain(1.8, 0.0)).getchannel("A"), dtype=float)
    middle = alpha[alpha.shape[0] // 2]
    rise = np.diff(middle[: len(middle) // 2])
    place = np.arange(len(rise))
    centre = (rise * place).sum() / rise.sum()
    spread = np.sqrt((rise * (place - centre) ** 2).sum() / rise.sum())
    assert spread == pytest.approx(np.sqrt(1.8**2 - 0.68**2), abs=0.35)


def test_light_and_noise_are_taken_on():
    rng = np.random.default_rng(3)
    rgb = np.full((80, 80, 3), 60, dtype=np.float32)
    alpha = np.ones((80, 80), dtype=np.float32)
    around = np.zeros((80, 80, 3), dtype=np.float32) + np.array([220, 180, 120], dtype=np.float32)
    out = adapt(rgb, alpha, around, Blend(), Grain(1.0, 5.0), rng)
    assert out.mean() > 62
    assert out[..., 0].mean() > out[..., 2].mean()
    assert out[..., 1].std() == pytest.approx(5, abs=0.3)
    still = adapt(rgb, alpha, around, Blend(0, 0, noise=False), Grain(1.0, 5.0), rng)
    assert (still == rgb).all()


def test_shadows_fall_below_and_nowhere_else():
    canvas = np.full((100, 100, 3), 200, dtype=np.float32)
    cast_shadow(canvas, np.ones((40, 30), dtype=np.float32), (35, 20), 0.5)
    assert canvas.min() == pytest.approx(100, abs=15)
    dark = np.argwhere(canvas[..., 0] < 190)
    assert dark[:, 0].min() > 45
    assert 25 < dark[:, 1].min() < dark[:, 1].max() < 75
    assert canvas[:40].min() == 200
