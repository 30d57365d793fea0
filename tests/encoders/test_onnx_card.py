"""The card of an exported encoder, as this version and others write it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.onnx import read_card
from needlepoint.errors import ModelUnavailable

PLACE = Path("/models/x/card.json")


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    """A card as JSON brings it back."""
    return json.loads(json.dumps(asdict(open_encoder("builtin").card)))


def test_a_card_survives_json(told):
    assert read_card(told, PLACE) == open_encoder("builtin").card


def test_what_has_a_default_may_be_missing(told):
    assert read_card({k: v for k, v in told.items() if k != "limits"}, PLACE).limits == ""


def test_a_card_of_another_version_is_refused_by_name(told):
    with pytest.raises(ModelUnavailable, match=r"card\.json.*\(aura, halo not known here\).*again"):
        read_card({**told, "halo": 1, "aura": 2}, PLACE)
    with pytest.raises(ModelUnavailable, match="dim missing"):
        read_card({k: v for k, v in told.items() if k != "dim"}, PLACE)
