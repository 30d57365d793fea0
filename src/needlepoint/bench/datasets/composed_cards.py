"""The datasets of composed questions: a reference picture and a change in words."""

from __future__ import annotations

from needlepoint.bench.datasets.cards import dataset_card
from needlepoint.bench.metrics.composed import FASHIONIQ

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
)
