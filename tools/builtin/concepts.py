"""concepts.npz: the thousand class names of ImageNet as sentence vectors, for ConSE.

Names and definitions are WordNet's (its licence is in NOTICE), in the order in which the package
``timm`` lists the classes. Temperature and width were chosen on the dev half of the photographic
stamps (`docs/results/words.md`).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

WIDTH = 64
TEMPERATURE = 1 / 0.6


def class_texts() -> list[list[str]]:
    """For each class its names (lemmas), the last entry being "name: definition"."""
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        raise SystemExit("concepts need the package timm, for WordNet's names of the classes")
    folder = Path(spec.origin).parent / "data" / "_info"
    lemmas, definitions = (
        dict(
            line.split("\t")
            for line in (folder / f"imagenet_synset_to_{kind}.txt").read_text("utf-8").splitlines()
        )
        for kind in ("lemma", "definition")
    )
    texts = []
    for synset in (folder / "imagenet_synsets.txt").read_text("utf-8").split():
        names = [name.strip() for name in lemmas[synset].split(",")]
        texts.append([*names, f"{names[0]}: {definitions[synset]}"])
    return texts


def sentence_vectors(folder: Path, texts: list[str]) -> np.ndarray:
    """Vectors float32 ``[N, 384]`` by the files in ``folder``."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    session = ort.InferenceSession(str(folder / "words.onnx"), providers=["CPUExecutionProvider"])
    rows = []
    for text in texts:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        rows.append(session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0][0])
    return np.stack(rows)


def class_vectors(folder: Path, classes: list[list[str]]) -> np.ndarray:
    """Unit vectors float64 ``[N, 384]`` of classes given as :func:`class_texts` gives them.

    A class is the mean of its names' vectors plus the vector of its name with its definition.
    """
    vectors = iter(sentence_vectors(folder, [text for texts in classes for text in texts]))
    rows = []
    for texts in classes:
        *names, defined = (next(vectors) for _ in texts)
        name = np.mean(names, axis=0)
        both = name / np.linalg.norm(name) + defined
        rows.append(both / np.linalg.norm(both))
    return np.stack(rows).astype(np.float64)


def build(folder: Path) -> None:
    """Write concepts.npz: class vectors ``[1000, D]``, their mean ``[384]``, basis ``[384, D]``."""
    classes = class_vectors(folder, class_texts())
    mean = classes.mean(0)
    _, axes = np.linalg.eigh((classes - mean).T @ (classes - mean))
    basis = axes[:, ::-1][:, :WIDTH]
    basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(WIDTH)])
    np.savez(
        folder / "concepts.npz",
        classes=((classes - mean) @ basis).astype(np.float32),
        mean=mean.astype(np.float32),
        basis=basis.astype(np.float32),
        temperature=np.float32(TEMPERATURE),
    )
