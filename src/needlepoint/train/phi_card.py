"""The page that lies beside a trained mapping network."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

from needlepoint.train.card import FACTS, PAGE

_TITLES = {"pic2word": "Pic2Word", "searle": "SEARLE", "lincir": "LinCIR"}


def write_phi_card(folder: Path, told: dict[str, Any], *, command: str, licence: str) -> None:
    """Write ``training.json`` and ``README.md``; ``told`` is what ``train_phi`` returns."""
    facts = {"command": command, "licence": licence, **told}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(_page(told, command, licence), encoding="utf-8")


def _page(told: dict[str, Any], command: str, licence: str) -> str:
    recipe = told["recipe"]
    kind, plan = recipe["method"], recipe["plan"]
    what = (
        f"A picture's vector to one word of the text tower of {told['encoder']['title']} (encoder "
        f"fingerprint {told['encoder']['fingerprint']}): two layers of {told['hidden']} numbers, "
        f"{told['parameters']:,} parameters, kept in half precision. Used as "
        f"method `{kind}:weights=FOLDER` with that encoder."
    )
    items = "captions" if kind == "lincir" else "pictures and pieces"
    learnt = (
        f"{told['items']:,} {items} of {', '.join(told['data'])} (digest {told['digest']}), "
        f"{told['steps_done']:,} steps of {recipe['batch']}, seed {plan['seed']}, "
        f"{plan['precision']}, {told['minutes']} minutes; the loss went from "
        f"{told['loss'].get('first')} to {told['loss'].get('last')}. All settings: `{FACTS}`."
    )
    figures = ", ".join(f"{name} {value}" for name, value in told["held_out"].items())
    checked = (
        f'"a photo of" and the word of one of the {items} held out, against the vectors of all '
        f"of them: {figures or 'nothing was held out'}."
    )
    return f"""---
license: {licence}
---
# A mapping network of {_TITLES[kind]}

{fill(what, 100)}

## Training

    {command}

{fill(learnt, 100)}

{fill(_stage(told), 100)}

## Figures

{fill(checked, 100)}

## Limits

{fill(_limits(told), 100)}
"""


def _stage(told: dict[str, Any]) -> str:
    stage = told.get("stage_one")
    if not stage:
        return "Neither tower of the encoder was changed."
    return (
        f"Before that, the words of {stage['words']:,} pictures were found by optimisation in "
        f"{stage['minutes']} minutes, with {stage['names']} names of things: their sentences "
        f"come to a cosine of {stage['cosine']} with their pictures. {stage['rejected_phrases']} "
        "phrases were left out because their name does not occur in them. Runs of other seeds "
        "share these words. Neither tower of the encoder was changed."
    )


def _limits(told: dict[str, Any]) -> str:
    how = (
        f"The network is given unit vectors times {told['scale']}, the mean length of the "
        f"encoder's {told['scale_of']}: libraries keep unit vectors, so the length that a "
        "picture's own vector had is not seen."
    )
    if told["recipe"]["method"] == "lincir":
        return (
            f"{how} In training it was given the vectors of captions with their own lengths; that "
            "the two go together is an approximation."
        )
    return how
