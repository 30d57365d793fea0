"""``onnx:FOLDER``: an encoder written by ``needlepoint export``, run by onnxruntime without torch.

The folder holds ``card.json`` (card, preprocessing, what was measured), ``image.onnx`` and, for
encoders with words, ``text.onnx`` and ``tokenizer.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.encoders import weights
from needlepoint.encoders.convenience import EncodesImages, EncodesTexts
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.runtime import onnxruntime
from needlepoint.encoders.text import CANONICAL
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.parts import EncoderCard, ImageFeatures, SpaceCard, TextFeatures
from needlepoint.picture import Pixels

CARD, IMAGE, TEXT, TOKENIZER = "card.json", "image.onnx", "text.onnx", "tokenizer.json"
FORMAT = 1

_FIELDS = fields(EncoderCard)


def open_onnx(folder: Path, *, threads: int | None = None) -> OnnxImages:
    """Open an exported folder.

    Args:
        folder: as ``needlepoint export`` wrote it.
        threads: threads of one inference; None leaves onnxruntime's choice.

    Raises:
        ModelUnavailable: files are missing, or of a newer format.
    """
    path = folder / CARD
    told = weights.read_json(path) if path.is_file() else {}
    names = [CARD, IMAGE] + ([TEXT, TOKENIZER] if told.get("text") else [])
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise weights.missing(f"onnx:{folder}", absent, folder=str(folder))
    if told.get("format") != FORMAT:
        raise ModelUnavailable(
            f"{path} is of format {told.get('format')}, this version reads {FORMAT}: export again"
        )
    kind = OnnxClip if told.get("text") else OnnxImages
    return kind(folder, told, threads)


class OnnxImages(EncodesImages):
    """Vectors and last tokens of pictures."""

    def __init__(self, folder: Path, told: dict[str, Any], threads: int | None) -> None:
        files = sorted(p for name in (IMAGE, TEXT) for p in folder.glob(name + "*"))
        self.card = replace(
            read_card(told["card"], folder / CARD),
            address=f"onnx:{folder}",
            weights_hash=weights.weights_hash(files),
            size_mb=weights.size_mb(files),
        )
        self.preprocess = Preprocess(
            **{**told["preprocess"], **{k: tuple(told["preprocess"][k]) for k in ("mean", "std")}}
        )
        self._threads = threads
        self._grid = tuple(told["grid"]) if told.get("grid") else None
        self._image = self._session(folder / IMAGE)

    def image_features(
        self, pictures: Sequence[Pixels], *, want: frozenset[str] = frozenset(), block: int = -1
    ) -> ImageFeatures:
        """Vectors float32 ``[N, D]`` of N pictures uint8 ``[H, W, 3]``.

        Args:
            pictures: the N pictures.
            want: empty, or ``tokens`` for the raw output of the last block (``[N, P, C]``).
            block: only -1, the last, was exported.
        """
        names = {output.name for output in self._image.get_outputs()} - {"vector"}
        if want - names or block != -1:
            raise UsageError(
                f"want={sorted(want)}, block={block}: this export holds vectors and "
                f"{sorted(names) or 'nothing else'} of the last block (-1)"
            )
        asked = ["vector", *sorted(want)]
        found = self._image.run(asked, {"pixels": self.preprocess.batch(pictures)})
        told = dict(zip(asked, found, strict=True))
        return ImageFeatures(told["vector"], tokens=told.get("tokens"), grid=self._grid)

    def _session(self, path: Path) -> Any:
        ort = onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        try:
            return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no public base
            raise ModelUnavailable(f"{path} does not load: {str(error)[:200]}") from error


class OnnxClip(OnnxImages, EncodesTexts):
    """Vectors of pictures and of texts."""

    def __init__(self, folder: Path, told: dict[str, Any], threads: int | None) -> None:
        super().__init__(folder, told, threads)
        self._text = self._session(folder / TEXT)
        self._tokenize = FileTokenize(
            folder / TOKENIZER, self.card.context, int(told["pad_id"]), self.card.canonical
        )

    def text_features(
        self, texts: Sequence[str], *, want: frozenset[str] = frozenset()
    ) -> TextFeatures:
        """Vectors float32 ``[N, D]`` of N texts; ``want`` may name ``ids`` (int64 ``[N, L]``)."""
        if want - {"ids"}:
            raise UsageError(f"want={sorted(want)}: this export holds vectors and ids only")
        ids = self._tokenize(texts)
        (vector,) = self._text.run(["vector"], {"ids": ids})
        return TextFeatures(vector, ids=ids if "ids" in want else None)


class FileTokenize:
    """``tokenizer.json`` padded to ``context`` tokens on the right."""

    def __init__(self, path: Path, context: int, pad_id: int, canonical: str) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.enable_truncation(context)
        self._tokenizer.enable_padding(length=context, pad_id=pad_id)
        self._clean: Callable[[str], str] = CANONICAL[canonical]

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        found = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        return np.array([one.ids for one in found], np.int64)


def read_card(told: dict[str, Any], path: Path) -> EncoderCard:
    """An ``EncoderCard`` from its JSON form (``dataclasses.asdict``); ``path`` is where it stood.

    Raises:
        ModelUnavailable: another version wrote it: fields are missing, or not known here.
    """
    known = {f.name: f.default is MISSING and f.default_factory is MISSING for f in _FIELDS}
    odd = sorted(set(told) - set(known))
    lost = sorted(name for name, needed in known.items() if needed and name not in told)
    if odd or lost:
        what = [f"{', '.join(odd)} not known here"] if odd else []
        what += [f"{', '.join(lost)} missing"] if lost else []
        raise ModelUnavailable(
            f"the card in {path} is of another version of needlepoint ({'; '.join(what)}): export "
            "the encoder again with this one, or use the version that wrote it"
        )
    spaces = tuple(SpaceCard(**{**s, "answers": tuple(s["answers"])}) for s in told["spaces"])
    lists = {k: tuple(v) for k, v in told.items() if isinstance(v, list) and k != "spaces"}
    return EncoderCard(**{**told, **lists, "spaces": spaces})
