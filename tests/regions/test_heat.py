"""Heat maps: every window counts, stored maps say nearly the same."""

from dataclasses import replace

import numpy as np
import pytest

from needlepoint.errors import LibraryError
from needlepoint.parts import DenseFeatures
from needlepoint.regions.heat import heat, pack_map, unpack_map

SIZES = (1, 2, 3)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture
def features():
    rng = np.random.default_rng(3)
    lead = rng.normal(size=(6, 9, 48)).astype(np.float32)
    lead[2:4, 5:7] += 4 * unit(rng.normal(size=48)).astype(np.float32) * np.sqrt(48)
    return DenseFeatures(lead, 10.0, 20.0, 88, 115, lead)


def thing(features):
    return unit(features.lead[2:4, 5:7].mean((0, 1)))


def test_the_best_window_is_the_thing(features):
    found = heat(features, thing(features), SIZES)
    assert found.box == (50.0, 40.0, 20.0, 40.0)
    assert found.score == pytest.approx(1.0, abs=1e-5)


def test_each_cell_has_the_best_of_the_windows_that_hold_it(features):
    question = thing(features)
    found = heat(features, question, SIZES)
    slow = np.full((6, 9), -1.0)
    for size in SIZES:
        step = max(1, size // 2)
        for r in sorted({*range(0, 6 - size, step), 6 - size}):
            for c in sorted({*range(0, 9 - size, step), 9 - size}):
                window = features.lead[r : r + size, c : c + size].mean((0, 1))
                score = float(unit(window) @ question)
                part = slow[r : r + size, c : c + size]
                np.maximum(part, score, out=part)
    np.testing.assert_allclose(found.values, slow, atol=1e-5)
    assert found.values.max() == pytest.approx(found.score)


def test_cells_are_projected_where_the_question_is_of_another_space(features):
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(48, 48)))[0].astype(np.float32)

    def project(means):
        assert means.shape[1] == 48
        turned = means @ turn
        return turned / np.linalg.norm(turned, axis=1, keepdims=True)

    question = unit(thing(features) @ turn)
    bare = replace(features, lead=None)
    found, wanted = (
        heat(bare, question, SIZES, project=project),
        heat(features, thing(features), SIZES),
    )
    assert found.box == wanted.box
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-5)


def test_a_box_at_the_border_is_cut_to_the_picture(features):
    corner = unit(features.lead[5, 8])
    x, y, w, h = heat(features, corner, (1,)).box
    assert (x, y, w, h) == (80.0, 100.0, 8.0, 15.0)


def test_a_stored_map_keeps_geometry_and_signs(features):
    stored = pack_map(features)
    again = unpack_map(stored)
    assert len(stored) <= 6 * 9 * 48 // 8 + 32
    assert (again.step_x, again.step_y, again.width, again.height) == (10.0, 20.0, 88, 115)
    assert np.array_equal(again.lead > 0, features.lead > 0)
    np.testing.assert_allclose(np.linalg.norm(again.lead, axis=-1), 1, atol=1e-5)


def test_a_stored_map_finds_the_same_place(features):
    question = thing(features)
    x, y, w, h = heat(unpack_map(pack_map(features)), question, SIZES).box
    assert (x, y, w, h) == (50.0, 40.0, 20.0, 40.0)


def test_a_cut_map_is_refused(features):
    with pytest.raises(LibraryError, match="index the picture again"):
        unpack_map(pack_map(features)[:-5])


def test_values_can_be_scaled_for_a_picture_of_them(features):
    found = heat(features, thing(features), SIZES)
    scaled = found.scaled(100)
    assert (scaled.min(), scaled.max()) == (0, 1)
    assert (np.argsort(scaled, axis=None) == np.argsort(found.values, axis=None)).all()
    rows, columns = ([slice(i * n // 4, (i + 1) * n // 4) for i in range(4)] for n in (6, 9))
    hottest = np.array([[found.values[r, c].max() for c in columns] for r in rows])
    hottest = (hottest - hottest.min()) / (hottest.max() - hottest.min())
    np.testing.assert_allclose(found.scaled(4), hottest, atol=1e-5)


def test_even_heat_is_no_heat(features):
    even = replace(heat(features, thing(features), SIZES), values=np.full((3, 3), 0.5, np.float32))
    assert not even.scaled(128).any()
