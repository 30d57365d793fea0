"""PerMiR (arXiv 2405.18025): find the one thing among several of its kind, in video frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.instances import instance_protocol, local_files, read_annotations
from needlepoint.bench.datasets.pickles import load_objects
from needlepoint.bench.datasets.reading import need_file
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError

_MASKS = "masks.npz.npy"
_LEAST = 0.005


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """Either ``annotations.pt`` in the format of SoIR, or the folders that the published program
    makes of BURST: ``VIDEO/0.jpg``, ``1.jpg``, ``2.jpg`` and ``VIDEO/masks.npz.npy``, a pickled
    list with one ``{track: bool [H, W]}`` a frame.

    Of such folders the published evaluation is followed: a frame is cut to the square of its
    short side that holds the object's left and right ends as far as it can; a video is left out
    when the object takes less than 0.5 % of that square in any frame; the frame where it takes
    most asks, the others are the gallery. (There the square is first resized to 512 pixels, which
    can move a share by a rounding.) That gives two gallery pictures a question; the 450 pictures
    for 150 questions that SoIR states must have been chosen otherwise, how is not said.
    """
    videos = sorted(path.parent for path in folder.glob(f"*/{_MASKS}"))
    if not videos:
        annotations = read_annotations(need_file(card, folder, "anns.pt"), card)
        files = local_files(list(annotations), folder)
        return [instance_protocol(card, "instances", split, folder, annotations, files)]
    rows: dict[str, dict[str, Any]] = {}
    for video in videos:
        masks = [_mask(each, video) for each in load_objects(video / _MASKS)]
        shares = [square_share(mask) for mask in masks]
        if len(masks) < 2 or min(shares) < _LEAST:
            continue
        asks = int(np.argmax(shares))
        for frame, mask in enumerate(masks):
            file = next(iter(sorted(video.glob(f"{frame}.*"))), video / f"{frame}.jpg")
            rows[f"{video.name}/{file.name}"] = {
                "bbox": _corners(mask),
                "ins": video.name,
                "is_query": frame == asks,
            }
    if not rows:
        raise UsageError(f"dataset {card.name}: no video in {folder} has an object large enough.")
    return [
        instance_protocol(card, "instances", split, folder, rows, {file: file for file in rows})
    ]


def square_share(mask: npt.NDArray[np.bool_]) -> float:
    """Share of the frame's square that the object takes; 0.0 for an empty mask.

    Args:
        mask: bool ``[H, W]``.

    Example:
        >>> square_share(np.ones((4, 8), bool))
        1.0
    """
    if not mask.any():
        return 0.0
    height, width = mask.shape
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    x1, _, x2, _ = _corners(mask)
    right = left + side
    if x1 < left:
        left, right = float(x1), right - (left - x1)
    if x2 > right:
        left, right = left + (x2 - right), float(x2)
    part = mask[round(top) : round(top) + side, max(0, round(left)) : round(right)]
    return float(part.sum() / side**2)


def _corners(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _mask(frame: Any, video: Path) -> npt.NDArray[np.bool_]:
    tracks = list(frame.values()) if isinstance(frame, dict) else []
    if not tracks or not isinstance(tracks[0], np.ndarray) or tracks[0].ndim != 2:
        raise UsageError(f"{video / _MASKS} must hold one mapping from track to mask a frame.")
    return np.asarray(tracks[0], dtype=bool)
