"""Write docs/methods/: one page a method and an index, from the cards beside the code."""

from __future__ import annotations

import sys
from pathlib import Path

from needlepoint.methods.card import MethodCard, find_method, how_to, list_methods

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "methods"
PICTURES = FOLDER.parent / "pictures"


def page(card: MethodCard) -> str:
    """One method's page."""
    commands = how_to(find_method(card.name))
    lines = [f"# {card.title} (`{card.name}`)", ""]
    facts = {
        "task": card.task,
        "paper": card.paper,
        "year": str(card.year),
        "evidence": card.evidence,
        "parts": "; ".join(card.parts),
        "index": f"`{commands['index']}`",
        "search": f"`{commands['search']}`",
        "needs of an encoder": ", ".join(card.needs) or "nothing",
        "stores": card.stores,
        "passes": card.passes,
    }
    lines += ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in facts.items()), ""]
    if (PICTURES / f"{card.name}.jpg").is_file():
        lines += [
            f"![{card.title}: a right answer that whole-picture search misses]"
            f"(../pictures/{card.name}.jpg)",
            "",
            "*Its best moment in the bench, drawn by `tools/method_pictures.py`; for the average "
            "see [the four-way test](../results/fine-grained.md).*",
            "",
        ]
    if card.parameters:
        lines += ["## Parameters", ""]
        lines += [f"- `{key}`: {value}" for key, value in card.parameters.items()]
        lines += [""]
    if card.disagreements:
        lines += ["## Where paper and code disagree", ""]
        lines += [f"- {one}" for one in card.disagreements]
        lines += [""]
    lines += [f"Made from the card in the code: `needlepoint methods show {card.name}`.", ""]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """File name to text, the index among them."""
    cards = list_methods()
    index = ["# Methods", "", "| name | title | task | stores |", "|---|---|---|---|"]
    index += [f"| [{c.name}]({c.name}.md) | {c.title} | {c.task} | {c.stores} |" for c in cards]
    return {"README.md": "\n".join([*index, ""]), **{f"{c.name}.md": page(c) for c in cards}}


def main() -> None:
    """Write the pages; with --check, fail when those on disk differ."""
    wanted = pages()
    if "--check" in sys.argv:
        found = {f.name: f.read_text("utf-8") for f in FOLDER.glob("*.md")}
        if found != wanted:
            raise SystemExit("docs/methods is not what the cards say: run tools/method_pages.py")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
