"""The memory of inversions: what it hangs on, and that it ends somewhere."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from needlepoint.methods import inverted as memory
from needlepoint.methods.inverted import forget, inverted


class Inverts:
    """Twice each vector; keeps how many it was given at a time."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        self.given.append(len(vectors))
        return 2 * vectors[:, None]


@pytest.fixture(autouse=True)
def empty():
    forget()
    yield
    forget()


def encoder(name: str = "one") -> SimpleNamespace:
    return SimpleNamespace(card=SimpleNamespace(fingerprint=lambda: name))


ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_only_what_is_new_is_inverted_and_each_once():
    made = Inverts()
    np.testing.assert_array_equal(inverted(encoder(), ROWS[:2], "a", made), 2 * ROWS[:2, None])
    asked = ROWS[[1, 2, 0, 2, 3]]
    np.testing.assert_array_equal(inverted(encoder(), asked, "a", made), 2 * asked[:, None])
    np.testing.assert_array_equal(inverted(encoder(), asked, "a", made), 2 * asked[:, None])
    assert made.given == [2, 2]


def test_another_encoder_or_option_is_another_inversion():
    made = Inverts()
    for which, options in (("one", "a"), ("two", "a"), ("one", "b"), ("one", "a")):
        inverted(encoder(which), ROWS[:1], options, made)
    forget()
    inverted(encoder(), ROWS[:1], "a", made)
    assert made.given == [1, 1, 1, 1]


def test_what_was_unused_for_longest_goes_first(monkeypatch):
    monkeypatch.setattr(memory, "MOST", 3)
    made = Inverts()
    for place in (0, 1, 2, 0, 3, 0, 1):  # 3 takes the place of 1
        inverted(encoder(), ROWS[[place]], "a", made)
    assert len(made.given) == 5
    # more at once than is kept: all are answered
    np.testing.assert_array_equal(inverted(encoder(), ROWS, "a", made), 2 * ROWS[:, None])
