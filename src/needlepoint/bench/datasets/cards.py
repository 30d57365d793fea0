"""What is known about each dataset: files, source, licence and official counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_PEOPLE = "research only, on request; pictures of people, keep them to yourself"
_INSTANCES = "not stated; built on pictures with terms of their own"


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """One dataset that can be opened.

    ``file`` is the annotation file looked for in the folder; ``pictures`` are the folders, as seen
    from there, in which pictures are looked for: the first that exists, else the folder itself.
    ``counts`` holds, by split, the official numbers of gallery pictures and of questions (0 where
    they are not known), and ``counted`` says whose count it is. ``tried`` says on what the loader
    was tried.
    """

    name: str
    title: str
    module: str
    file: str
    pictures: tuple[str, ...]
    splits: tuple[str, ...]
    source: str
    licence: str
    counts: Mapping[str, tuple[int, int]]
    counted: str
    tried: str

    @property
    def split(self) -> str:
        """The split opened when none is named."""
        return self.splits[0]


def _card(
    name: str,
    title: str,
    module: str,
    file: str,
    *,
    pictures: tuple[str, ...] = (),
    splits: tuple[str, ...] = ("test",),
    source: str,
    licence: str,
    counts: dict[str, tuple[int, int]] | None = None,
    counted: str = "",
    tried: str = "self-made files in the published format",
) -> DatasetCard:
    return DatasetCard(
        name,
        title,
        module,
        file,
        pictures,
        splits,
        source,
        licence,
        MappingProxyType(counts or {}),
        counted,
        tried,
    )


CARDS = (
    _card(
        "coco",
        "COCO captions, Karpathy split",
        "coco",
        "dataset_coco.json",
        splits=("test", "test-1k", "val"),
        source="Karpathy's caption_datasets.zip (cs.stanford.edu/people/karpathy/deepimagesent); "
        "pictures train2014 and val2014 of cocodataset.org",
        licence="captions CC BY 4.0; pictures under the terms of Flickr",
        counts={"test": (5000, 25010), "val": (5000, 0), "test-1k": (1000, 0)},
        counted="the usual figures of the split",
    ),
    _card(
        "flickr30k",
        "Flickr30k captions, Karpathy split",
        "flickr30k",
        "dataset_flickr30k.json",
        pictures=("flickr30k-images", "flickr30k_images", "images"),
        splits=("test", "val"),
        source="Karpathy's caption_datasets.zip (cs.stanford.edu/people/karpathy/deepimagesent); "
        "pictures on request from the University of Illinois (Flickr30k)",
        licence="non-commercial research and education; pictures under the terms of Flickr",
        counts={"test": (1000, 5000), "val": (1014, 5070)},
        counted="test counted in the published file; val the usual figures",
        tried="the test split in this format that AbdulmalikDS/LARE publishes: 1 000 pictures, "
        "5 000 captions, 4 999 distinct",
    ),
    _card(
        "coco-dense",
        "Dense-Set of COCO val2014 (LARE)",
        "dense_set",
        "coco_dense.json",
        pictures=("val2014", "../coco/val2014"),
        source="data/captions of the repository AbdulmalikDS/LARE; pictures val2014 of "
        "cocodataset.org",
        licence="captions: not stated (the file says Unknown); pictures under the terms of Flickr",
        counts={"test": (3089, 15630)},
        counted="counted in the published file",
        tried="the published file: 3 089 pictures, 15 630 captions, 9 893 distinct, the commonest "
        "69 times for 34 pictures; equal captions alone leave at most R@1 76.5 %, R@5 94.1 %",
    ),
    _card(
        "flickr30k-dense",
        "Dense-Set of Flickr30k (LARE)",
        "dense_set",
        "flickr30k_dense.json",
        pictures=("flickr30k-images", "images", "../flickr30k/flickr30k-images"),
        source="data/captions of the repository AbdulmalikDS/LARE; pictures on request from the "
        "University of Illinois (Flickr30k)",
        licence="captions: not stated; pictures under the terms of Flickr",
        counts={"test": (2477, 0)},
        counted="pictures as stated by the authors; the captions of the file were replaced twice",
    ),
    _card(
        "dense-set",
        "Dense-Set of one's own pictures",
        "dense_set",
        "dense_set.json",
        pictures=("pictures", "images"),
        source="needlepoint bench dense-set PICTURES OUT",
        licence="that of the pictures",
        tried="sets made of generated scenes",
    ),
    _card(
        "voxdet",
        "VoxDet-SoIR: small objects in scenes",
        "voxdet",
        "anns.pt",
        splits=("test", "owid"),
        source="create_dataset.py of the repository pihash2k/VoxDet-SoIR, run on the data of "
        "Jaraxxus-Me/VoxDet (RoboTools is the test set, OWID the training set)",
        licence=_INSTANCES,
        tried="a file that the published program wrote of self-made pictures",
    ),
    _card(
        "permir",
        "PerMiR: one of several things of a kind",
        "permir",
        "annotations.pt",
        source="the repository dvirsamuel/PDM (PerMIRS/permirs_gen_dataset.py on the BURST "
        "videos); annotations in the format of pihash2k/SoIR are read as well",
        licence="BURST's: research only",
        counts={"test": (450, 150)},
        counted="as stated by the authors of SoIR",
    ),
    _card(
        "instre-xs",
        "INSTRE-XS: objects below 15 % of the picture",
        "instre",
        "annotations.pt",
        source="annotations in the format of the repository pihash2k/SoIR; pictures of INSTRE "
        "(Wang and Jiang 2015). The script that chooses the subset is named there, not published",
        licence=_INSTANCES,
        counts={"test": (2065, 2428)},
        counted="as stated by the authors of SoIR",
    ),
    _card(
        "instre-xxs",
        "INSTRE-XXS: objects below 5 % of the picture",
        "instre",
        "annotations.pt",
        source="annotations in the format of the repository pihash2k/SoIR; pictures of INSTRE "
        "(Wang and Jiang 2015). The script that chooses the subset is named there, not published",
        licence=_INSTANCES,
        counts={"test": (120, 106)},
        counted="as stated by the authors of SoIR",
    ),
    _card(
        "cuhk-pedes",
        "CUHK-PEDES: people by description",
        "cuhk_pedes",
        "reid_raw.json",
        pictures=("imgs",),
        splits=("test", "val", "train"),
        source="on request from the authors (repository "
        "ShuangLI59/Person-Search-with-Natural-Language-Description)",
        licence=_PEOPLE,
        counts={"test": (3074, 6156), "val": (3078, 6158), "train": (34054, 68126)},
        counted="the usual figures of the splits",
    ),
    _card(
        "icfg-pedes",
        "ICFG-PEDES: people by description",
        "icfg_pedes",
        "ICFG-PEDES.json",
        pictures=("imgs",),
        splits=("test", "train"),
        source="on request from the authors (repository zifyloo/SSAN)",
        licence=_PEOPLE,
        counts={"test": (19848, 19848), "train": (34674, 34674)},
        counted="the usual figures of the splits",
    ),
    _card(
        "rstpreid",
        "RSTPReid: people by description",
        "rstpreid",
        "data_captions.json",
        pictures=("imgs",),
        splits=("test", "val", "train"),
        source="the repository NjtechCVLab/RSTPReid-Dataset (pictures from MSMT17)",
        licence=_PEOPLE,
        counts={"test": (1000, 2000), "val": (1000, 2000), "train": (18505, 37010)},
        counted="from the authors' numbers of pictures and captions a picture",
    ),
)
