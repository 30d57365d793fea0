"""The datasets of composed questions: a reference picture and a change in words."""

from __future__ import annotations

from needlepoint.bench.datasets.cards import dataset_card
from needlepoint.bench.metrics.composed import FASHIONIQ, GENECIS, PATTERNCOM

_FILES = "counted in the published files"
_DOMAINS = (
    (
        "imagenet-r",
        "imagenet_r",
        "ImageNet-R",
        "full_files.csv",
        " (set_dataset.py writes the file)",
        (16983, 16983),
        "counted in the list the file is written from",
        "the file as that program describes it, written from the published lists",
    ),
    ("ltll", "ltll", "LTLL", "full_files.csv", "", (488, 488), _FILES, "the published file"),
    (
        "minidn",
        "minidn",
        "Mini-DomainNet",
        "query_files.csv",
        "",
        (0, 2520),
        _FILES,
        "the published list of queries",
    ),
    (
        "nico",
        "nico",
        "NICO++",
        "query_files.csv",
        "",
        (80134, 8723),
        _FILES,
        "the published files",
    ),
)

COMPOSED = (
    dataset_card(
        "fashioniq",
        "FashionIQ: clothes by a picture and a change",
        "fashioniq",
        "captions/cap.dress.val.json",
        pictures=("images",),
        splits=tuple(
            f"{category}{part}"
            for part in ("val", "train")
            for category in ("", *(f"{one}-" for one in FASHIONIQ))
        ),
        source="the repository XiaoxiaoGuo/fashion-iq (captions, image_splits); pictures as linked "
        "there",
        licence="Community Data License Agreement; pictures of a shop",
        counts={
            "dress-val": (3817, 2017),
            "shirt-val": (6346, 2038),
            "toptee-val": (5373, 1961),
            "dress-train": (11452, 5985),
            "shirt-train": (19036, 5988),
            "toptee-train": (16121, 6027),
        },
        counted="counted in the published files, with gallery=split",
        tried="the published files of all categories in val and train: two captions a pair, of "
        "which 1 in shirt-val, 2 in toptee-val, 1 in dress-train and 12 in toptee-train say "
        "nothing; gallery=union holds 2 628, 3 089 and 2 902 pictures in val",
        options={
            "gallery": ("split", "union"),
            "captions": ("and", "both-orders", "apart"),
            "reference": ("kept", "removed"),
        },
    ),
    dataset_card(
        "cirr",
        "CIRR: everyday pictures by a picture and a change",
        "cirr",
        "captions/cap.rc2.val.json",
        pictures=("img_raw", "images"),
        splits=("val", "test1", "train"),
        source="the branch cirr_dataset of the repository Cuberick-Orion/CIRR (captions, "
        "image_splits); pictures of NLVR2 on request",
        licence="annotations MIT; pictures under the terms of NLVR2",
        counts={"val": (2297, 4181), "test1": (2315, 4148), "train": (16939, 28225)},
        counted="val and test1 counted in the published files; questions of train as published",
        tried="the published files of val and test1: six members a set, the reference and (in "
        "val) the target always among them",
    ),
    dataset_card(
        "circo",
        "CIRCO: several right pictures in COCO's unlabelled ones",
        "circo",
        "annotations/val.json",
        pictures=(
            "COCO2017_unlabeled/unlabeled2017",
            "unlabeled2017",
        ),
        splits=("val", "test"),
        source="the repository miccunifi/CIRCO (annotations); unlabeled2017 and "
        "image_info_unlabeled2017.json of cocodataset.org",
        licence="annotations CC BY-NC 4.0; pictures under the terms of Flickr",
        counts={"val": (123403, 220), "test": (123403, 800)},
        counted="questions counted in the published files, pictures as stated by the authors",
        tried="the published annotations: 220 questions with 4.16 right pictures on average, 14 at "
        "most, the target always first; 800 without",
        options={"gallery": ("unlabeled", "named")},
    ),
    dataset_card(
        "genecis",
        "GeneCIS: alike in what the condition says",
        "genecis",
        "genecis/focus_attribute.json",
        pictures=("VG_100K_all", "val2017"),
        splits=("test", *GENECIS),
        source="the repository facebookresearch/genecis (genecis); val2017 of cocodataset.org, and "
        "the pictures of Visual Genome 1.2",
        licence="annotations CC BY-NC 4.0; pictures under the terms of Flickr",
        counts={
            "focus-attribute": (14228, 2000),
            "change-attribute": (16949, 2112),
            "focus-object": (2192, 1960),
            "change-object": (2734, 1960),
        },
        counted="counted in the published files; pictures are pieces in the tasks of attributes",
        tried="the published files (of attributes those of the first release, in another format): "
        "14 others a question, of focus-attribute 9; galleries hold the reference in 79 questions "
        "of change-attribute, the target in 2 and another picture twice in 11",
    ),
    dataset_card(
        "patterncom",
        "PatternCom: places from above with another attribute",
        "patterncom",
        "PatternCom/color.csv",
        splits=("test", *PATTERNCOM),
        source="as linked in the repository billpsomas/rscir (PatternCom, patternnet.csv); "
        "pictures of PatternNet",
        licence="not stated; pictures for research",
        counts=dict.fromkeys(("test", *PATTERNCOM), (30400, 0)),
        counted="38 classes of 800 pictures, as stated by the authors of PatternNet",
        tried="self-made files in the format that the published program reads",
    ),
    *(
        dataset_card(
            name,
            f"{title}: the same thing in another domain",
            "domains",
            file,
            source=f"data/{folder} of the repository NikosEfth/freedom{made}; pictures as linked "
            "there",
            licence="annotations MIT; pictures under the terms of their datasets",
            counts={"test": counts},
            counted=counted,
            tried=tried,
        )
        for name, folder, title, file, made, counts, counted, tried in _DOMAINS
    ),
)
