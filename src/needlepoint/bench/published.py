"""Tables of papers as data: what was published, and what each figure needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from needlepoint.errors import UsageError, nearest

BOXES = "{boxes}"
"""In a method line: the annotated boxes of the gallery, written as a COCO file when it is run."""

OBJECTS = "{objects}"
"""In a method line: the source of objects that the caller names."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a published table.

    ``published`` holds measures in percent; ``encoder`` is a name of the table's ``encoders``;
    ``protocol`` is the protocol's name and ``split`` its split; ``differs`` says where our run is
    not the published one even with everything at hand.
    """

    label: str
    encoder: str
    method: str
    dataset: str
    protocol: str
    published: Mapping[str, float]
    source: str
    split: str = "test"
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The tables of one paper. An encoder without an address has no published weights."""

    name: str
    title: str
    encoders: Mapping[str, str]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def published_table(name: str) -> Table:
    """The table of a paper.

    Raises:
        UsageError: no such table.

    Example:
        >>> len(published_table("lare").rows)
        36
    """
    if name not in TABLES:
        raise UsageError(
            f"table {name!r} is not known{nearest(name, TABLES)}. Known: {', '.join(TABLES)}."
        )
    return TABLES[name]


def _recalls(text: str) -> dict[str, float]:
    return dict(zip(("R@1", "R@5", "R@10"), map(float, text.split("/")), strict=True))


_LARE_SETS = ("coco", "flickr30k", "coco-dense", "flickr30k-dense")
_LARE_PAPER = {
    (
        "CLIP L/14",
        "whole",
    ): "36.10/61.10/71.44 65.00/88.00/92.62 17.79/35.85/45.11 3.48/11.97/16.33",
    ("SigLIP So/14", "whole"): (
        "54.24/76.78/84.21 82.94/96.08/98.00 26.61/46.31/55.22 5.05/15.50/20.96"
    ),
    ("SigLIP 2 So/16", "whole"): (
        "56.55/78.75/85.95 83.72/96.34/98.32 27.56/47.56/56.73 5.12/16.47/21.80"
    ),
    ("CLIP L/14", "lare"): "36.10/61.10/71.44 65.00/88.00/92.62 22.97/42.10/52.03 9.73/16.63/20.40",
    ("SigLIP So/14", "lare"): (
        "54.26/76.80/84.24 82.94/96.12/98.00 29.94/50.17/59.26 12.33/19.87/24.10"
    ),
    ("SigLIP 2 So/16", "lare"): (
        "56.56/78.78/85.97 83.76/96.38/98.34 31.00/51.45/60.67 13.28/21.11/25.10"
    ),
}
_LARE_REPOSITORY = {
    ("CLIP L/14", "whole"): "18.25/36.11/45.66 7.31/16.21/21.87",
    ("SigLIP So/14", "whole"): "26.61/46.31/55.22 9.93/21.15/27.05",
    ("SigLIP 2 So/16", "whole"): "27.56/47.56/56.73 11.25/22.20/28.58",
    ("CLIP L/14", "lare"): "23.66/43.18/53.21 8.51/19.08/24.57",
    ("SigLIP So/14", "lare"): "29.19/49.28/58.00 10.94/21.84/28.00",
    ("SigLIP 2 So/16", "lare"): "30.33/50.56/59.62 11.49/22.91/29.48",
}


def _lare_rows() -> tuple[Row, ...]:
    rows = []
    parts = (
        (_LARE_PAPER, _LARE_SETS, "paper, Table 3", "lare:mode=released"),
        (_LARE_REPOSITORY, _LARE_SETS[2:], "repository, RESULTS.md", "lare:mode=released+csls"),
    )
    for figures, sets, source, line in parts:
        for (encoder, kind), text in figures.items():
            for dataset, recalls in zip(sets, text.split(), strict=True):
                rows.append(
                    Row(
                        label=encoder if kind == "whole" else f"LARE {encoder}",
                        encoder=encoder,
                        method="whole" if kind == "whole" else line,
                        dataset=dataset,
                        protocol=f"{dataset}/captions",
                        published=_recalls(recalls),
                        source=source,
                    )
                )
    return tuple(rows)


LARE = Table(
    "lare",
    "LARE (arXiv 2606.18885): R@k of words to pictures",
    {
        "CLIP L/14": "open_clip:ViT-L-14/openai",
        "SigLIP So/14": "open_clip:ViT-SO400M-14-SigLIP-384/webli",
        "SigLIP 2 So/16": "open_clip:ViT-SO400M-16-SigLIP2-384/webli",
    },
    _lare_rows(),
    (
        "The repository's runs of LARE add CSLS, which sees all questions at once; its baselines "
        "do not. Its lines are run here the same way.",
        "The published caption file of Flickr30k-Dense was replaced after the paper's table; the "
        "repository's figures belong to the later file.",
        "COCO has 25 010 captions in its test split; which 25 000 the paper took is not said.",
    ),
)

_MAO_SETS = (
    ("voxdet", "voxdet/robotools"),
    ("permir", "permir/instances"),
    ("instre-xs", "instre-xs/instances"),
    ("instre-xxs", "instre-xxs/instances"),
)
_MAO_LINE = f"mao:objects=annotations:{BOXES},shape=box"
_MAO = (
    ("CLIP", "CLIP B/16", "whole", "44.52 26.98 - -"),
    ("DINOv2", "DINOv2 B/14", "whole", "51.23 40.57 - -"),
    ("MaO-CLIP", "CLIP B/16", _MAO_LINE, "65.22 89.51 89.39 71.23"),
    ("MaO-DINOv2", "DINOv2 B/14", _MAO_LINE, "70.20 89.86 71.28 53.13"),
    ("CLIP fine-tuned", "CLIP B/16 fine-tuned", "whole", "52.80 38.49 72.90 62.04"),
    ("DINOv2 fine-tuned", "DINOv2 B/14 fine-tuned", "whole", "54.33 30.47 - -"),
    ("MaO-CLIP fine-tuned", "CLIP B/16 fine-tuned", _MAO_LINE, "79.86 90.86 91.29 77.46"),
    ("MaO-DINOv2 fine-tuned", "DINOv2 B/14 fine-tuned", _MAO_LINE, "83.70 90.07 90.01 75.91"),
)


def _mao_rows() -> tuple[Row, ...]:
    rows = []
    for label, encoder, method, figures in _MAO:
        for (dataset, protocol), figure in zip(_MAO_SETS, figures.split(), strict=True):
            if figure != "-":
                differs = "" if method == "whole" else "boxes stand for masks, which are not read"
                rows.append(
                    Row(
                        label,
                        encoder,
                        method,
                        dataset,
                        protocol,
                        {"mAP": float(figure)},
                        "paper",
                        differs=differs,
                    )
                )
    wild = Row(
        "MaO-DINOv2 fine-tuned, detected objects",
        "DINOv2 B/14 fine-tuned",
        f"mao:objects={OBJECTS}",
        "voxdet",
        "voxdet/robotools",
        {"mAP": 68.54},
        "paper, ablation (VoxDetW)",
    )
    return (*rows, wild)


MAO = Table(
    "mao",
    "MaO (arXiv 2503.07038): mean average precision of a thing to scenes",
    {
        "CLIP B/16": "open_clip:ViT-B-16/openai",
        "DINOv2 B/14": "hf:facebook/dinov2-base",
        "CLIP B/16 fine-tuned": "",
        "DINOv2 B/14 fine-tuned": "",
    },
    _mao_rows(),
    (
        "Plain names use annotated objects of the gallery, which a user does not have; 83.70 is "
        "such a figure, with detected objects it is 68.54.",
        "Fine-tuned weights are not published.",
    ),
)

_PEOPLE = {
    "cuhk-pedes": ("66.54/86.94/91.77/62.69", "71.88/90.50/94.75/65.22"),
    "icfg-pedes": ("57.44/75.79/82.22/33.03", "62.54/80.18/84.57/37.37"),
    "rstpreid": ("56.67/78.09/86.62/44.25", "60.30/82.78/88.66/46.47"),
}


def _calibclip_rows() -> tuple[Row, ...]:
    rows = []
    for dataset, figures in _PEOPLE.items():
        encoder = f"CLIP B/16 fine-tuned on {dataset}"
        lines = ("whole", "calibclip:mode=released,size=384x128")
        for label, method, text in zip(("CLIP B/16", "CalibCLIP"), lines, figures, strict=True):
            names = ("R@1", "R@5", "R@10", "mAP")
            rows.append(
                Row(
                    label,
                    encoder,
                    method,
                    dataset,
                    f"{dataset}/captions",
                    dict(zip(names, map(float, text.split("/")), strict=True)),
                    "repository, README",
                )
            )
    return tuple(rows)


CALIBCLIP = Table(
    "calibclip",
    "CalibCLIP (doi 10.1145/3746027.3755765): people by description",
    {f"CLIP B/16 fine-tuned on {dataset}": "" for dataset in _PEOPLE},
    _calibclip_rows(),
    (
        "The baselines are models fine-tuned for the task, and no weights are published; the "
        "released program loads the raw weights of CLIP, whose figures are several times lower. "
        "The table cannot be reproduced from what is public.",
        "The released program adds untrained random layers: figures hang on their seed.",
    ),
)

TABLES = {table.name: table for table in (LARE, MAO, CALIBCLIP)}
