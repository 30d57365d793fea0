"""The page that lies beside a trained model: what it is, what it learnt from, what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

FACTS = "training.json"
PAGE = "README.md"


def write_card(folder: Path, told: dict[str, Any], *, command: str, licence: str) -> None:
    """Write ``training.json`` and ``README.md``.

    Args:
        folder: the model's.
        told: what ``train_dual`` returns.
        command: the command that trains the same model again.
        licence: of the weights; the encoder's card shows it.
    """
    facts = {"command": command, "licence": licence, **told}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(_page(told, command, licence), encoding="utf-8")


def _page(told: dict[str, Any], command: str, licence: str) -> str:
    shape, plan = told["recipe"]["shape"], told["recipe"]["plan"]
    stem = shape["image_tower"] == "builtin-stem"
    tower = "a ViT on the frozen built-in network" if stem else "a plain ViT"
    data = "\n".join(
        f"- `{one['name']}`, SHA-256 of its captions {one['captions_sha256'][:16]}…; "
        f"licences of the material in its pictures: {one.get('licence', 'not stated')}"
        for one in told["data"]
    )
    figures = "\n".join(
        f"| {kind} | {row['pairs']} | {row['R@1']:.3f} | {row['R@5']:.3f} |"
        for kind, row in told["held_out"].items()
    )
    what = (
        f"Pictures and English words in one space of {shape['dim']} dimensions. Image tower: "
        f"{tower} ({shape['size']} pixels, {shape['layers']} blocks of width {shape['width']}); "
        f"text tower: {shape['text_layers']} blocks of width {shape['text_width']}, "
        f"{told['tokens']:,} tokens, at most {shape['context']} in a text. "
        f"{told['parameters']:,} parameters of its own. Opens as `open_clip:local-dir:FOLDER`."
    )
    learnt = (
        f"{told['pairs']:,} pairs of {told['pieces']:,} pieces of pictures, {told['steps_done']:,} "
        f"steps of {told['recipe']['batch']} pairs, seed {plan['seed']}, {plan['precision']}. Data:"
    )
    return f"""---
license: {licence}
---
# A compact dual encoder

{fill(what, 100)}

## Training

    {command}

{fill(learnt, 100)}

{data}

All settings: `{FACTS}`.

## Figures

A text finds its picture among held-out pairs: other scenes, but the same things and backgrounds, so
this is no test of what is new.

| kind | pairs | R@1 | R@5 |
|---|---|---|---|
{figures}

## Limits

It knows what its captions name and little else; words it never saw with a picture are placed by
their nearness to known ones at best. It does not read text, and relations only as far as the
captions state them.
"""
