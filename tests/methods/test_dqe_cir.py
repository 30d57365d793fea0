"""DQE-CIR as a method: attribute weights that are told, and which of its two forms is asked."""

from __future__ import annotations

import pytest

from needlepoint.errors import ModelUnavailable
from sight_kit import DIM, Reader, answer, bag, change, sight

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture
def folder(tmp_path):
    """Random weights with heads that are not zero."""
    from needlepoint.encoders.combiner import CombinerNet, CombinerShape, save_combiner

    torch.manual_seed(0)
    names = ("colour", "shape")
    model = CombinerNet(CombinerShape(DIM, projection=16, hidden=24, attributes=names))
    torch.nn.init.normal_(model.attributes.heads)
    save_combiner(model, tmp_path, features={"fingerprint": Reader().card.fingerprint()})
    return tmp_path


def test_the_query_is_the_base_and_what_the_words_weigh(folder):
    from needlepoint.encoders.combiner import load_combiner

    view = sight(noise=0.1)
    found = answer(f"dqe_cir:weights={folder}", change("green", 3), view)
    model, _ = load_combiner(folder)
    words = torch.from_numpy(bag("green"))
    with torch.inference_mode():
        base = model.base(torch.from_numpy(view.wholes([3], 0)), words[None])[0][0]
        part = model.attributes
        shares = (part.gate.weight @ words + part.gate.bias).sigmoid()
        query = base / base.norm() + sum(shares[a] * (part.heads[a] @ base) for a in range(2))
    assert found.probes[0].vector == pytest.approx((query / query.norm()).numpy(), abs=1e-5)
    assert found.told[2:] == (
        ("colour", f"weight {shares[0]:.2f}"),
        ("shape", f"weight {shares[1]:.2f}"),
    )


def test_the_weights_hang_on_the_words_alone(folder):
    view = sight(noise=0.1)
    method = f"dqe_cir:weights={folder}"
    one, other, said = (
        answer(method, asked, view).told[2:]
        for asked in (change("green", 3), change("green", 7), change("a red boat", 3))
    )
    assert one == other != said


def test_without_weights_for_an_encoder_it_says_what_to_train():
    with pytest.raises(ModelUnavailable, match=r"dqe_cir:weights=FOLDER.*train dqe-cir"):
        answer("dqe_cir", change("green", 3), sight())
