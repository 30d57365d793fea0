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

    needlepoint bench run --suite composed --data fashioniq:dress-val,gallery=union=FOLDER

They are part of the protocol's name, so that every figure says how it was come by.

## Questions with a picture and a change

What is ranked, what is right and what is stated:

- **FashionIQ** ranks the category's split; right is the target. R@10 and R@50 by category, and
  their mean over the three.
- **CIRR** ranks the split without the reference (R@1, 5, 10, 50) and the five others of its set
  (Rs@1, 2, 3); right is the target. The mean of R@5 and Rs@1 sums it up.
- **CIRCO** ranks all unlabelled pictures of COCO, the reference among them; several are right.
  mAP@5, 10, 25, 50, divided by min(k, right), and mAP@10 of each kind of change; recall counts the
  target alone.
- **GeneCIS** ranks a gallery for each question; right is the target. R@1, 2, 3 of four tasks, and
  their mean.
- **PatternCom** ranks all of PatternNet, the reference among it; right is the class with the value
  asked for. mAP over the hits found, P@k and recall@k of six attributes, and their mean.
- **Sets of domains** (`imagenet-r`, `minidn`, `nico`, `ltll`) rank their database; right is the
  class in the domain asked for. mAP by the trapezoid rule, P@k and recall@k of each ordered pair of
  domains, and their mean.

Choices that papers leave unsaid and that move figures:

- **FashionIQ, `gallery`.** `split` is the original list. `union` is the smaller one that some
  programs build from the pairs, and gives higher figures. They do not compare.
- **FashionIQ, `captions`.** Two people described each pair. `and` joins their words once;
  `both-orders` asks both ways and averages the query vectors; `apart` keeps them single, which is
  for training, where a trainer draws. Marks at the ends of captions are taken off before, as
  published programs do; a caption with nothing left is not joined.
- **FashionIQ, `reference`.** `kept` is what most programs do. A method that stays close to its
  picture loses a place by it.
- **CIRR** always leaves the reference out. Figures of `val` do not compare with those of `test1`,
  whose targets only the server knows.
- **CIRCO, `gallery`.** `named` ranks only pictures that the annotations name: for a trial on a few
  files, never for a table.

Where answers are hidden (`cirr:test1`, `circo:test`), runs have no figures, and
`needlepoint bench submit` writes what the servers take, from the runs of `--suite composed`:

    needlepoint bench run --suite composed --data cirr:test1=FOLDER --method weicom --out RESULTS
    needlepoint bench submit cirr:test1=FOLDER 'recall weicom' 'subset weicom' --out RESULTS

With `--check FILE` a submission, ours or another's, is read back: wrong counts, unknown or missing
questions, pictures named twice or not in the gallery and CIRR's reference among the answers are
told, and the measures where the answers are known.
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
