"""A trained Combiner as a method: what it searches with, what it tells, and what it refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from needlepoint.errors import LibraryIncompatible, ModelUnavailable
from needlepoint.methods.card import find_method
from needlepoint.methods.dialogue import Helpers
from sight_kit import APART, DIM, Reader, bag, change, composer, renamed, sight, unit

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """``weights(lengths="raw")``: a folder with random weights for the encoder of the kit."""
    from needlepoint.encoders.combiner import CombinerNet, CombinerShape, save_combiner

    def made(**changes):
        folder = tmp_path_factory.mktemp("combiner")
        torch.manual_seed(0)
        shape = CombinerShape(DIM, **({"projection": 16, "hidden": 24} | changes))
        model = CombinerNet(shape)
        if model.attributes is not None:
            torch.nn.init.normal_(model.attributes.heads)
        fingerprint = Reader().card.fingerprint()
        save_combiner(model, folder, features={"encoder": "bags", "fingerprint": fingerprint})
        return folder

    return made


def test_the_probe_is_what_the_network_makes_of_both_halves(weights):
    from needlepoint.encoders.combiner import load_combiner

    folder = weights()
    view = sight(noise=0.1)
    (found,) = composer(f"combiner:weights={folder}").compose([change("green", 3)], view)
    model, told = load_combiner(folder)
    assert told["features"]["encoder"] == "bags"
    picture, words = view.wholes([3], 0), bag("green")[None]
    with torch.inference_mode():
        slow = model(torch.from_numpy(picture), torch.from_numpy(words))
    assert found.probes[0].vector == pytest.approx(slow.query[0].numpy(), abs=1e-6)
    share = float(slow.share[0])
    assert found.told == (
        ("picture", f"share {1 - share:.2f}"),
        ("words", f"share {share:.2f}"),
    )


def test_the_share_is_inside_and_without_a_last_layer_queries_lie_between_both_halves(weights):
    from needlepoint.encoders.combiner import load_combiner

    model, _ = load_combiner(weights())
    with torch.no_grad():
        model.base.out.weight.zero_()
        model.base.out.bias.zero_()
    rng = np.random.default_rng(0)
    images, texts = (torch.from_numpy(unit(rng.standard_normal((9, DIM)))) for _ in range(2))
    with torch.inference_mode():
        found = model(images, texts)
        again = model(images, texts)
    assert ((found.share > 0) & (found.share < 1)).all()
    between = found.share[:, None] * texts + (1 - found.share[:, None]) * images
    assert torch.allclose(found.base, between, atol=1e-6)
    assert torch.allclose(found.query.norm(dim=1), torch.ones(9), atol=1e-6)
    assert torch.equal(found.query, again.query)


def test_each_question_is_answered_as_if_alone(weights):
    view = sight(noise=0.1)
    method = composer(f"combiner:weights={weights()}")
    asked = [change("green", 3), change("", 4), change("red, beach", (0, 1.0), (5, 2.0))]
    together = method.compose(asked, view)
    for one, found in zip(asked, together, strict=True):
        (alone,) = method.compose([one], view)
        assert (alone.probes[0].vector == found.probes[0].vector).all()
    assert together[1].probes[0].vector == pytest.approx(view.wholes([4], 0)[0])


def test_raw_lengths_are_those_of_the_encoder(weights, monkeypatch):
    """The reference is looked at again; the words are read with their length."""
    from needlepoint.encoders.combiner import load_combiner
    from needlepoint.parts import ImageFeatures

    folder = weights(lengths="raw")
    view = sight(noise=0.1)
    seen = unit(np.arange(1.0, DIM + 1)[None])
    monkeypatch.setattr(
        Reader, "image_features", lambda self, pictures, **_: ImageFeatures(vector=seen)
    )
    monkeypatch.setattr(
        type(view), "pixels_of", lambda self, part: np.zeros((4, 4, 3), np.uint8), raising=False
    )
    (found,) = composer(f"combiner:weights={folder}").compose([change("green", 3)], view)
    model, _ = load_combiner(folder)
    with torch.inference_mode():
        slow = model(torch.from_numpy(seen), torch.from_numpy(bag("green")[None]))
    assert found.probes[0].vector == pytest.approx(slow.query[0].numpy(), abs=1e-6)


def test_vectors_of_another_encoder_are_refused(weights):
    method = composer(f"combiner:weights={weights()}")
    other = sight(reader=renamed(Reader(), weights_hash="others", address="others"))
    with pytest.raises(LibraryIncompatible, match=r"vectors of bags.*those of others"):
        method.compose([change("green", 3)], other)
    with pytest.raises(LibraryIncompatible, match="spaces of their own"):
        method.compose([change("green", 3)], sight(reader=Reader(APART)))


def test_weights_of_a_checkout_serve_the_encoder_they_were_made_for(weights, monkeypatch):
    from needlepoint.methods.composed import combiner

    folder = weights()
    monkeypatch.setattr(combiner, "_CHECKOUT", folder.parent)
    view, asked = sight(noise=0.1), [change("green", 3)]
    with pytest.raises(ModelUnavailable, match="combiner:weights=FOLDER"):
        composer("combiner").compose(asked, view)
    folder.rename(folder.parent / "combiner-s0")
    (found,) = composer("combiner").compose(asked, view)
    (named,) = composer(f"combiner:weights={folder.parent / 'combiner-s0'}").compose(asked, view)
    assert found.probes[0].vector.tobytes() == named.probes[0].vector.tobytes()
    with pytest.raises(ModelUnavailable, match="none are at hand"):
        composer("combiner").compose(asked, sight(reader=Reader(name="others")))


def test_weights_must_be_there(tmp_path, monkeypatch):
    make = find_method("combiner").composer
    with pytest.raises(ModelUnavailable, match="holds no combiner"):
        make(f"weights={tmp_path}", Helpers())
    monkeypatch.setitem(sys.modules, "needlepoint.encoders.combiner", None)
    with pytest.raises(ModelUnavailable, match="is not installed"):
        make(f"weights={tmp_path}", Helpers())
