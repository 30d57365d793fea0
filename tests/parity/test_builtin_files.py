"""The files in the wheel are what the packages they come from compute.

Rebuilt here with ``tools/builtin`` from the packages; one that is missing is an error.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from tools.builtin import concepts, look, whitening, words

from needlepoint.encoders.builtin.encoder import BuiltinEncoder, load_arrays
from needlepoint.encoders.builtin.sight import resize

pytestmark = pytest.mark.torch

DATA = Path(str(files("needlepoint.encoders.builtin"))) / "data"
SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "pictures"
PICTURES = {
    "photo-cat.jpg": (320, 224),
    "photo-rocket.jpg": (224, 288),
    "desk-00.jpg": (512, 384),
    "yard-04.jpg": (96, 64),
}
TEXTS = [
    "a cat",
    "Two RED bicycles leaning on a café wall!",
    "x",
    "",
    "東京 tower & 3.5 mm screws — naïve pneumonoultramicroscopicsilicovolcanoconiosis",
    "a small yellow duck in a crowd of plastic toys, seen from above on a wooden floor " * 8,
]


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory) -> Path:
    """A folder with every file that can be made from packages alone."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("builtin")
    look.build(folder)
    words.build(folder)
    return folder


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    found = []
    for name, (width, height) in PICTURES.items():
        with Image.open(SAMPLES / name) as image:
            found.append(resize(np.asarray(image.convert("RGB")), height, width))
    return found


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return look.network()


def session(file: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def cells(file: Path, pixels: np.ndarray) -> np.ndarray:
    return session(file).run(None, {"pixels": pixels[None]})[0]


# -- shipped against rebuilt


def test_the_shipped_network_computes_what_the_rebuilt_one_does(rebuilt, pictures):
    # batch norms are folded by the processor that rebuilds, and its last digits are its own
    for pixels in pictures:
        np.testing.assert_allclose(
            cells(DATA / "look.onnx", pixels), cells(rebuilt / "look.onnx", pixels), atol=2e-4
        )


def test_the_shipped_sentences_are_the_rebuilt_ones(rebuilt):
    shipped, fresh = session(DATA / "words.onnx"), session(rebuilt / "words.onnx")
    tokenizer = Tokenizer.from_file(str(DATA / "tokenizer.json"))
    for text in TEXTS:
        ids = np.array([tokenizer.encode(text).ids[:128]], np.int64)
        feed = {"ids": ids, "mask": np.ones_like(ids)}
        np.testing.assert_array_equal(shipped.run(None, feed)[0], fresh.run(None, feed)[0])


def test_the_shipped_classifier_is_the_rebuilt_one(rebuilt):
    shipped = load_arrays("classifier.npz")
    with np.load(rebuilt / "classifier.npz") as fresh:
        assert set(shipped) == set(fresh)
        for key, value in shipped.items():
            assert value.dtype == fresh[key].dtype
            np.testing.assert_array_equal(value, fresh[key])


def test_the_shipped_concepts_are_what_the_names_give(rebuilt):
    """Every eleventh class is made again; mean and axes follow from the classes themselves."""
    shipped = load_arrays("concepts.npz")
    classes, mean, basis = shipped["classes"], shipped["mean"], shipped["basis"]
    assert classes.shape == (1000, concepts.WIDTH)
    chosen = range(3, 1000, 11)
    texts = concepts.class_texts()
    fresh = concepts.class_vectors(rebuilt, [texts[i] for i in chosen])
    np.testing.assert_allclose(classes[chosen], (fresh - mean) @ basis, atol=1e-5, rtol=0)
    np.testing.assert_allclose(classes.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(basis.T @ basis, np.eye(concepts.WIDTH), atol=1e-5)
    spread = classes.T @ classes
    assert np.abs(spread - np.diag(np.diag(spread))).max() < 1e-3
    assert (np.diff(np.diag(spread)) < 0).all()
    assert shipped["temperature"] == np.float32(concepts.TEMPERATURE)


def test_the_shipped_tokenizer_is_the_packages(rebuilt):
    assert (rebuilt / "tokenizer.json").read_bytes() == (DATA / "tokenizer.json").read_bytes()


# -- the network against the one it came from


def test_the_map_is_that_of_the_torch_network(network, pictures):
    for pixels in pictures:
        with torch.no_grad():
            x = (torch.tensor(pixels)[None].permute(0, 3, 1, 2).float() - 127) / 128
            theirs = network.extract_features(x)[0].permute(1, 2, 0).numpy()
        ours = cells(DATA / "look.onnx", pixels)[0]
        assert ours.shape == (pixels.shape[0] // 32, pixels.shape[1] // 32, 1280)
        np.testing.assert_allclose(ours, theirs, atol=2e-4, rtol=1e-4)


def test_predictions_are_those_of_the_torch_network(network):
    """The whole released network on a 224 picture: the same probabilities, the same first five."""
    head = load_arrays("classifier.npz")
    for name in ("photo-cat.jpg", "photo-rocket.jpg", "photo-coffee.jpg", "photo-wine.jpg"):
        with Image.open(SAMPLES / name) as image:
            pixels = resize(np.asarray(image.convert("RGB")), 224, 224)
        with torch.no_grad():
            x = (torch.tensor(pixels)[None].permute(0, 3, 1, 2).float() - 127) / 128
            theirs = torch.softmax(network(x), -1)[0].numpy()
        mean = cells(DATA / "look.onnx", pixels)[0].mean((0, 1))
        logits = head["weight"].astype(np.float32) @ mean + head["bias"]
        ours = np.exp(logits - logits.max())
        ours /= ours.sum()
        np.testing.assert_allclose(ours, theirs, atol=3e-3)  # the head is kept in 16 bits
        np.testing.assert_array_equal(np.argsort(-ours)[:3], np.argsort(-theirs)[:3])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("photo-cat.jpg", "cat"), ("photo-coffee.jpg", "espresso"), ("photo-rocket.jpg", "missile")],
)
def test_the_classifier_knows_what_the_photographs_show(name, expected):
    """Weights, class order and names fit together: one slip in any and this fails."""
    with Image.open(SAMPLES / name) as image:
        pixels = resize(np.asarray(image.convert("RGB")), 224, 224)
    head = load_arrays("classifier.npz")
    mean = cells(DATA / "look.onnx", pixels)[0].mean((0, 1))
    best = np.argsort(-(head["weight"].astype(np.float32) @ mean + head["bias"]))[:5]
    names = concepts.class_texts()
    assert any(expected in lemma for i in best for lemma in names[i][:-1]), [names[i] for i in best]


# -- sentences against their sources


def pooled(model: torch.nn.Module, ids: torch.Tensor) -> np.ndarray:
    """Mean pooling and unit length, as sentence-transformers does it, from a transformers model."""
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    mean = hidden.mean(1)
    return torch.nn.functional.normalize(mean, dim=-1)[0].numpy()


@pytest.fixture(scope="module")
def bert() -> torch.nn.Module:
    import torchvision_stub

    torchvision_stub.declare()
    from transformers import BertModel

    return BertModel.from_pretrained(words.source(), attn_implementation="eager").eval()


def test_unrounded_sentences_are_those_of_transformers(bert):
    float_model = words.model(rounded=False)
    tokenizer = Tokenizer.from_file(str(DATA / "tokenizer.json"))
    for text in TEXTS:
        ids = torch.tensor([tokenizer.encode(text).ids[:128]])
        with torch.no_grad():
            ours = float_model(ids, torch.ones_like(ids))[0].numpy()
        np.testing.assert_allclose(ours, pooled(bert, ids), atol=1e-5, rtol=0)


def test_rounding_to_eight_bits_hardly_turns_a_sentence(bert):
    encoder = BuiltinEncoder(threads=1)
    tokenizer = Tokenizer.from_file(str(DATA / "tokenizer.json"))
    tokenizer.enable_truncation(128)
    tokenizer.no_padding()
    names = [texts[0] for texts in concepts.class_texts()[::50]]
    cosines = [
        float(encoder._sentences.encode([text])[0] @ pooled(bert, torch.tensor([ids])))
        for text in [*names, *TEXTS]
        for ids in [tokenizer.encode(text).ids]
    ]
    assert min(cosines[: len(names)]) >= 0.998
    assert min(cosines) >= 0.995  # scripts and words it never saw


def test_token_ids_are_those_of_transformers():
    import torchvision_stub

    torchvision_stub.declare()
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(words.source())
    ours = BuiltinEncoder(threads=1)._sentences._tokenizer
    for text in TEXTS:
        expected = theirs(text, truncation=True, max_length=128)["input_ids"]
        assert ours.encode(text).ids == expected, text


# -- the bridge


def test_class_names_are_near_their_own_class_and_words_are_spread():
    encoder = BuiltinEncoder(threads=1)
    classes = load_arrays("concepts.npz")["classes"]
    classes = classes / np.linalg.norm(classes, axis=1, keepdims=True)
    texts = concepts.class_texts()
    chosen = range(7, 1000, 31)
    vectors = encoder.encode_text([texts[i][-1] for i in chosen])
    better = np.array(
        [(classes @ v > classes[i] @ v).sum() for i, v in zip(chosen, vectors, strict=True)]
    )
    assert (better <= 3).mean() >= 0.9  # breeds of dogs stand close together
    assert len(texts) == 1000


# -- whitening


def things(seed: int = 0) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Made-up features: each thing differs from itself along a few loud directions."""
    rng = np.random.default_rng(seed)
    size, count, each = 480, 60, 12
    centres = rng.normal(size=(count, size))
    loud = np.linalg.qr(rng.normal(size=(size, 6)))[0]
    inner = rng.normal(size=(count, each, 6)) * 12 @ loud.T
    noise = 0.3 * rng.normal(size=(count, each, size))
    features = (centres[:, None] + inner + noise).reshape(-1, size)
    return features, [f"thing {i}" for i in range(count) for _ in range(each)], loud


def test_the_within_thing_covariance_is_around_each_things_own_mean():
    features, names, loud = things()
    found = whitening.within(features, names)
    shifted = features + np.repeat(np.random.default_rng(1).normal(size=(60, 480)), 12, axis=0)
    np.testing.assert_allclose(found, whitening.within(shifted, names), atol=1e-8)
    one = [features[i::12] - features.reshape(60, 12, -1).mean(1) for i in range(12)]
    slow = sum(part.T @ part for part in one) / (len(features) - 60)
    np.testing.assert_allclose(found, slow, atol=1e-8)
    assert np.trace(loud.T @ found @ loud) > 0.8 * np.trace(found)


def test_whitening_shrinks_what_differs_within_things_and_keeps_what_differs_between():
    features, names, loud = things()
    inner = whitening.within(features, names)
    total = np.cov(features.T)
    matrix = whitening.fit(total, inner)
    assert matrix.shape == (480, whitening.WIDTH)
    projected = features @ matrix

    def ratio(x: np.ndarray) -> float:
        means = x.reshape(60, 12, -1).mean(1)
        return float(np.trace(np.cov(means.T)) / np.trace(whitening.within(x, names)))

    assert ratio(projected) > 2 * ratio(features)
    spread = np.linalg.norm(loud.T @ matrix, axis=1).mean()
    quiet = np.linalg.norm(matrix, axis=1).mean()
    assert spread < 0.7 * quiet
    # the axes kept are uncorrelated over everything, the widest first
    seen = np.cov(projected.T)
    off = seen - np.diag(np.diag(seen))
    assert np.abs(off).max() < 1e-6 * seen.max()
    assert (np.diff(np.diag(seen)) <= 1e-9).all()
    # a sign is fixed: the largest entry of each column is positive
    assert (matrix[np.abs(matrix).argmax(0), np.arange(whitening.WIDTH)] > 0).all()


def test_a_thing_is_nearer_to_itself_after_whitening():
    features, names, _ = things(1)
    test, _, _ = things(1)
    matrix = whitening.fit(np.cov(features.T), whitening.within(features, names))

    def found(x: np.ndarray) -> float:
        x = x - x.mean(0)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        first, rest = x[::12], x[1::12]
        return float((np.argmax(rest @ first.T, axis=1) == np.arange(60)).mean())

    assert found(test @ matrix) >= 0.95 > found(test)
