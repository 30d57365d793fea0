"""Write docs/datasets.md from the cards of the datasets beside the code."""

from __future__ import annotations

import sys
from pathlib import Path

from needlepoint.bench.datasets import DatasetCard, list_datasets

PAGE = Path(__file__).resolve().parent.parent / "docs" / "datasets.md"

HEAD = """# Public datasets

Loaders read the official annotation files as they are published; nothing is downloaded, and
pictures stay with their owners. Put a dataset into a folder and name it:

    needlepoint bench run --data coco=FOLDER --method whole --method lare
    needlepoint bench reproduce lare --data FOLDER_OF_FOLDERS

A file that is not there is named with its source. Pictures that are not there are reported, never
left out of the gallery. Files of `torch.save` and pickled `numpy` files are read as plain data,
without torch, and refused when they hold anything else.

Where papers differ in how they ask a dataset, its conventions are options, written between the name
and the folder; the first value, in bold below, is taken when none is named:

    needlepoint bench run --data fashioniq:dress-val,gallery=union,reference=removed=FOLDER …

They are part of the protocol's name, so that every figure says how it was come by.
"""


def conventions(card: DatasetCard) -> str:
    """The options of a dataset, the value taken when none is named in bold."""
    told = []
    for name, (first, *others) in card.options.items():
        told.append(f"{name} = **{first}**, {', '.join(others)}")
    return "; ".join(told)


def entry(card: DatasetCard) -> list[str]:
    """One dataset's part of the page."""
    counts = [
        f"{split}: {pictures or '?'} pictures, {questions or '?'} questions"
        for split, (pictures, questions) in card.counts.items()
    ]
    places = [f"`{place}`" for place in card.pictures] + ["the folder itself"]
    facts = {
        "annotations": f"`{card.file}`",
        "pictures in": ", ".join(places),
        "splits": ", ".join(card.splits),
        **({"conventions": conventions(card)} if card.options else {}),
        "from": card.source,
        "licence": card.licence,
        "official counts": f"{'; '.join(counts)} ({card.counted})" if counts else "not known",
        "loader tried on": card.tried,
    }
    rows = [f"| {name} | {told} |" for name, told in facts.items()]
    return [f"## {card.title} (`{card.name}`)", "", "| | |", "|---|---|", *rows, ""]


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for card in list_datasets() for line in entry(card))])


def main() -> None:
    """Write the page; with --check, fail when the one on disk differs."""
    if "--check" in sys.argv:
        if PAGE.read_text("utf-8") != page():
            raise SystemExit(
                "docs/datasets.md is not what the cards say: run tools/dataset_page.py"
            )
        return
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
