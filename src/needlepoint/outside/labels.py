"""Things with names in a picture: from an annotation file, or an open-vocabulary detector."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.outside.local import load_local
from needlepoint.picture import Box, Picture


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: its class, its box in pixels of the upright original, and a score in 0 to 1."""

    label: str
    box: Box
    score: float = 1.0


class AnnotatedThings:
    """``annotations:FILE``: COCO's instances JSON, or the ``truth.json`` of a generated set.

    A picture is known by the longest end of its path that the file holds. COCO's crowds
    (``iscrowd``) are left out. Needs no model.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
            self._known = _coco(told) if "annotations" in told else _scenes(told)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"things annotations:{path} cannot be read ({type(error).__name__}: {error}). "
                "Give COCO's instances_*.json or the truth.json of a generated set."
            ) from error

    @property
    def name(self) -> str:
        """The text that opens this again, without folders."""
        return f"annotations:{self._path.name}"

    def detect(self, pictures: Sequence[Picture]) -> list[list[Thing]]:
        """The things of N pictures; ``UsageError`` for a picture the file does not list."""
        return [self._known[self._file(picture.source)] for picture in pictures]

    def _file(self, source: str) -> str:
        parts = PurePosixPath(source.replace("\\", "/")).parts
        for start in range(len(parts)):
            if (end := "/".join(parts[start:])) in self._known:
                return end
        raise UsageError(
            f"picture {source} is not listed in {self._path}. Every picture must be, also one "
            "without things."
        )


class OwlThings:
    """``owlv2:FOLDER``: OWLv2 (Minderer et al. 2023, arXiv 2306.09683) asked for a list of classes.

    Args:
        folder: the model as transformers saves it; nothing is downloaded.
        classes: names of the classes, asked as ``a photo of a NAME`` as in the paper.
        least_score: boxes below are dropped, in 0 to 1.
        device: ``cpu``, ``cuda``, …
    """

    def __init__(
        self,
        folder: str | Path,
        classes: Sequence[str],
        *,
        least_score: float = 0.1,
        device: str = "cpu",
    ) -> None:
        if not classes or not all(name.strip() for name in classes):
            raise UsageError(f"classes must be one or more names. Received: {list(classes)!r}.")
        self._folder, self._device = Path(folder), device
        self._classes = [name.strip() for name in classes]
        self._least = least_score
        self._processor, self._model = open_local(
            self._folder, {"owlv2": "Owlv2ForObjectDetection"}, device
        )

    @property
    def name(self) -> str:
        """What a figure made with this hangs on."""
        return f"owlv2:{self._folder.name} least={self._least:g} classes={len(self._classes)}"

    def detect(self, pictures: Sequence[Picture]) -> list[list[Thing]]:
        """The things of N pictures, best first."""
        import torch

        texts = [[f"a photo of a {name}" for name in self._classes]]
        found = []
        for picture in pictures:
            inputs = self._processor(text=texts, images=picture.pixels, return_tensors="pt")
            width, height = picture.size
            with torch.inference_mode():
                out = self._model(**inputs.to(self._device))
                (rows,) = self._processor.post_process_grounded_object_detection(
                    out, threshold=self._least, target_sizes=[(height, width)]
                )
            things = [
                Thing(self._classes[int(label)], _inside(corners, width, height), float(score))
                for label, corners, score in zip(
                    rows["labels"], rows["boxes"].tolist(), rows["scores"], strict=True
                )
            ]
            found.append(sorted(things, key=lambda thing: (-thing.score, thing.label, thing.box)))
        return found


def open_local(folder: Path, kinds: Mapping[str, str], device: str) -> tuple[Any, Any]:
    """Processor and model of a folder that transformers saved; never downloads.

    Args:
        folder: holds ``config.json``, weights and processor files.
        kinds: class of transformers by ``model_type``.
        device: where the model runs.

    Raises:
        ModelUnavailable: no such folder, another kind of model, or transformers is missing.
    """
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(
            f"model folder {folder} has no usable config.json ({error}). Fetch a model of type "
            f"{' or '.join(kinds)} and give its folder."
        ) from error
    if kind not in kinds:
        raise ModelUnavailable(
            f"model folder {folder} holds a model of type {kind!r}. Needed: {' or '.join(kinds)}."
        )
    try:
        import transformers
        from transformers.utils import logging
    except ImportError as error:
        raise ModelUnavailable(
            'transformers is not installed. Run: pip install "needlepoint[torch]"'
        ) from error
    logging.disable_progress_bar()  # one line a model on stderr would pass for our own talk
    model, _ = load_local(str(folder), kind, kinds[kind], device)
    try:
        processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"model folder {folder} lacks its processor: {error}") from error
    return processor, model


def _inside(corners: Sequence[float], width: int, height: int) -> Box:
    """Corners as x, y, w, h within the picture: a detector may look beyond its edge."""
    x1, x2 = (min(max(float(value), 0.0), width) for value in (corners[0], corners[2]))
    y1, y2 = (min(max(float(value), 0.0), height) for value in (corners[1], corners[3]))
    return x1, y1, x2 - x1, y2 - y1


def _coco(told: Mapping[str, Any]) -> dict[str, list[Thing]]:
    names = {row["id"]: str(row["name"]) for row in told["categories"]}
    files = {row["id"]: str(row["file_name"]) for row in told["images"]}
    known: dict[str, list[Thing]] = {file: [] for file in files.values()}
    for row in told["annotations"]:
        if not row.get("iscrowd", 0):
            thing = Thing(names[row["category_id"]], _box(row["bbox"]), float(row.get("score", 1)))
            known[files[row["image_id"]]].append(thing)
    return known


def _scenes(told: Mapping[str, Any]) -> dict[str, list[Thing]]:
    return {
        str(row["file"]): [Thing(str(one["name"]), _box(one["box"])) for one in row["objects"]]
        for row in told["pictures"]
    }


def _box(values: Sequence[float]) -> Box:
    x, y, w, h = map(float, values)
    return x, y, w, h
