"""Export and back: the same vectors, tokens and token ids from onnxruntime without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from parity_kit import TEXTS, check_independence
from tiny import pictures

from needlepoint.encoders import export as exporting
from needlepoint.encoders.address import open_encoder
from needlepoint.errors import ModelUnavailable, NeedlepointError, UsageError
from needlepoint.parts import DenseEncoder, TextEncoder

pytestmark = pytest.mark.torch

SOURCES = {
    "open_clip": ("open_clip_folder", {}),
    "siglip": ("hf_siglip", {}),
    "dinov3": ("hf_dino", {"kind": "dinov3_vit"}),
}


@pytest.fixture(scope="module", params=SOURCES)
def pair(request, tiny, tmp_path_factory):
    """(torch encoder, exported encoder, what was measured, folder)."""
    maker, options = SOURCES[request.param]
    address = f"local-dir:{tiny(maker, **options)}"
    folder = tmp_path_factory.mktemp("onnx") / request.param
    measured = exporting.export(address, folder)
    return open_encoder(address), open_encoder(f"onnx:{folder}", threads=1), measured, folder


def test_vectors_and_tokens_equal_torch(pair):
    ours, exported, measured, folder = pair
    want = frozenset({"tokens"})
    one, other = (e.image_features(pictures(), want=want) for e in (ours, exported))
    np.testing.assert_allclose(one.vector, other.vector, atol=1e-5, rtol=0)
    np.testing.assert_allclose(one.tokens, other.tokens, atol=1e-3, rtol=1e-4)
    assert one.grid == other.grid
    assert 0 <= measured["image_max_difference"] <= 1e-4
    assert json.loads((folder / "card.json").read_text())["measured"] == {
        k: v for k, v in measured.items() if k != "files"
    }


def test_words_equal_torch(pair):
    ours, exported, measured, _ = pair
    if "text" not in ours.card.abilities:
        assert not isinstance(exported, TextEncoder)
        assert measured["text_max_difference"] is None
        return
    texts = [*TEXTS, "It's  NAÏVE & 3 o'clock – 北京", "", "long " * 100]
    wanted = frozenset({"ids"})
    one, other = (e.text_features(texts, want=wanted) for e in (ours, exported))
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_allclose(one.vector, other.vector, atol=1e-5, rtol=0)


def test_independence(pair):
    check_independence(pair[1])


def test_card_travels(pair):
    ours, exported, _, folder = pair
    assert exported.card.address == f"onnx:{folder}"
    assert exported.card.spaces == ours.card.spaces
    assert exported.card.weights_hash != ours.card.weights_hash
    same = replace(exported.card, weights_hash=ours.card.weights_hash)
    assert same.fingerprint() == ours.card.fingerprint()
    assert not isinstance(exported, DenseEncoder)
    with pytest.raises(UsageError, match="holds vectors"):
        exported.image_features(pictures(1), want=frozenset({"attention"}))


def test_runs_without_torch(pair):
    """A process in which torch, transformers and open_clip cannot be imported."""
    folder = pair[3]
    program = f"""
import sys
for name in ("torch", "transformers", "open_clip", "torchvision", "sentencepiece"):
    sys.modules[name] = None
import numpy as np
from needlepoint.encoders.address import open_encoder
encoder = open_encoder("onnx:{folder}")
print(encoder.encode_image(np.zeros((70, 90, 3), np.uint8)).shape)
"text" in encoder.card.abilities and encoder.encode_text("a dog")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(")


def test_missing_files_and_newer_formats_are_named(pair, tmp_path):
    folder = shutil.copytree(pair[3], tmp_path / "copy")
    told = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**told, "format": 99}))
    with pytest.raises(ModelUnavailable, match="format 99"):
        open_encoder(f"onnx:{folder}")
    (folder / "image.onnx").unlink()
    with pytest.raises(ModelUnavailable, match=r"put image\.onnx into"):
        open_encoder(f"onnx:{folder}")


def test_export_refuses_what_it_cannot_do(tiny, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="not empty"):
        exporting.export(f"hf:{tiny('hf_siglip')}", tmp_path / "full")
    assert (tmp_path / "full" / "holiday.jpg").exists()
    with pytest.raises(UsageError, match="export writes float32"):
        exporting.export(f"hf:{tiny('hf_siglip')}+bf16", tmp_path / "half")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="export needs onnx and onnxscript"):
        exporting.export(f"hf:{tiny('hf_siglip')}", tmp_path / "none")


def test_an_export_that_differs_is_an_error(pair, monkeypatch):
    ours, _, _, folder = pair
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(NeedlepointError, match="image_max_difference is"):
        exporting._measure(ours, folder)
