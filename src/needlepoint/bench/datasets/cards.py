"""What is known about each dataset: files, source, licence and official counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_PEOPLE = "research only, on request; pictures of people, keep them to yourself"
_COCO = ("coco", "images")
_INSTANCES = "not stated; built on pictures with terms of their own"


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """One dataset that can be opened.

    ``file`` is the annotation file looked for in the folder; ``pictures`` are the folders, as seen
    from there, in which pictures are looked for: the first that exists, else the folder itself.
    ``counts`` holds, by split, the official numbers of gallery pictures and of questions (0 where
    they are not known), and ``counted`` says whose count it is. ``tried`` says on what the loader
    was tried. ``options`` holds the values of conventions that differ between papers, the first of
    which is taken when none is named.
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
    options: Mapping[str, tuple[str, ...]]

    @property
    def split(self) -> str:
        """The split opened when none is named."""
        return self.splits[0]


def dataset_card(
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
    options: dict[str, tuple[str, ...]] | None = None,
) -> DatasetCard:
    """A card with what most datasets have in common left out."""
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
        MappingProxyType(options or {}),
    )


CARDS = (
    dataset_card(
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
    dataset_card(
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
    dataset_card(
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
    dataset_card(
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
    dataset_card(
        "dense-set",
        "Dense-Set of one's own pictures",
        "dense_set",
        "dense_set.json",
        pictures=("pictures", "images"),
        source="needlepoint bench dense-set PICTURES OUT",
        licence="that of the pictures",
        tried="sets made of generated scenes",
    ),
    dataset_card(
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
    dataset_card(
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
    dataset_card(
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
    dataset_card(
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
    dataset_card(
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
    dataset_card(
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
    dataset_card(
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
    dataset_card(
        "chatir",
        "ChatIR: dialogues about a picture",
        "chatir",
        "dialogues/VisDial_v1.0_queries_val.json",
        pictures=_COCO,
        splits=("visdial", "human", "chatgpt", "flan-alpaca", "unanswered"),
        source="the repository levymsn/ChatIR (dialogues and ChatIR_Protocol); pictures "
        "unlabeled2017 of cocodataset.org",
        licence="MIT (the repository); VisDial's words CC BY 4.0; pictures under the terms of "
        "Flickr",
        counts=dict.fromkeys(
            ("visdial", "human", "chatgpt", "flan-alpaca", "unanswered"), (50000, 2064)
        ),
        counted="counted in the published files",
        tried="the published files, all five: 2 064 dialogues of 11 rounds over 50 000 pictures, "
        "every target among them",
    ),
    dataset_card(
        "plugir",
        "PlugIR: dialogues rewritten as captions",
        "chatir",
        "dialogues/ours_final_q_n_5_recall_hitting_10_thres_low_500_recon_true_referring_true_"
        "filtering_true_select_true_reconed.json",
        pictures=_COCO,
        splits=("plugir", "visdial"),
        source="the repository Saehyung-Lee/PlugIR (dialogues and Protocol); pictures "
        "unlabeled2017 of cocodataset.org",
        licence="MIT (the repository); pictures under the terms of Flickr",
        counts={"plugir": (50000, 2064), "visdial": (50000, 2064)},
        counted="counted in the published files",
        tried="the published files: 2 064 dialogues of 11 rounds over ChatIR's 50 000 pictures",
    ),
    dataset_card(
        "genir",
        "GenIR: renderings of each round",
        "chatir",
        "dialogues/VisDial_v1.0_queries_val.json",
        pictures=_COCO,
        splits=("visdial",),
        source="dialogues and search space as in levymsn/ChatIR, renderings "
        "generated/STEM_ROUND.jpg as the programs of mikelmh025/generative_ir write them",
        licence="that of the dialogues, and of the model that made the renderings",
    ),
    dataset_card(
        "dialogues",
        "Dialogues of one's own in ChatIR's format",
        "chatir",
        "dialogues/joined.json",
        pictures=("pictures", "images"),
        splits=("joined", "rewritten"),
        source="files of one's own: dialogues/joined.json (rounds add up) or rewritten.json "
        "(each says all), and search_space.json",
        licence="that of the pictures",
    ),
    dataset_card(
        "visdial",
        "VisDial v1.0: ten questions about a picture",
        "visdial",
        "visdial_1.0_val.json",
        pictures=("images",),
        splits=("val", "test", "train"),
        source="visualdialog.org, v1.0: visdial_1.0_SPLIT.json, pictures VisualDialog_val2018 and "
        "VisualDialog_test2018; train takes train2014 and val2014 of cocodataset.org",
        licence="CC BY 4.0; pictures under the terms of Flickr",
        counts={"val": (2064, 2064), "test": (8000, 8000), "train": (123287, 123287)},
        counted="the usual figures of the release",
    ),
    dataset_card(
        "multiturn-fashioniq",
        "Multi-turn FashionIQ: clothes by pictures and changes",
        "multiturn_fashioniq",
        "data/all.val.json",
        pictures=("images",),
        splits=tuple(
            f"{category}{part}"
            for part in ("val", "train")
            for category in ("", "dress-", "shirt-", "toptee-")
        ),
        source="the repository yfyuan01/MultiturnFashionRetrieval (data, image_splits); pictures "
        "as linked there",
        licence="not stated; pictures of a shop",
        counts={
            "val": (6257, 2400),
            "dress-val": (2562, 1000),
            "shirt-val": (1770, 681),
            "toptee-val": (1942, 719),
            "train": (10398, 9106),
            "dress-train": (4030, 3338),
            "shirt-train": (3112, 2994),
            "toptee-train": (3296, 2774),
        },
        counted="counted in the published files",
        tried="the published files: in val 1 752 records of two rounds, 483 of three and 165 of "
        "four; in train 6 897, 1 733 and 475, and one of a single round",
    ),
)
