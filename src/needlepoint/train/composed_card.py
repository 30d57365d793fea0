"""The page that lies beside a trained combiner."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

from needlepoint.train.card import FACTS, PAGE


def write_composed_card(
    folder: Path, told: dict[str, Any], *, method: str, command: str, licence: str
) -> None:
    """Write ``training.json`` and ``README.md``.

    Args:
        folder: the model's.
        told: what ``train_composed`` returns.
        method: the composer that the model is for, ``combiner`` or ``dqe_cir``.
        command: the command that trains the same model again.
        licence: of the weights.
    """
    facts = {"command": command, "licence": licence, **told}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(_page(told, method, command, licence), encoding="utf-8")


def _page(told: dict[str, Any], method: str, command: str, licence: str) -> str:
    recipe, encoder, data = told["recipe"], told["encoder"], told["data"]
    shape = recipe["shape"]
    wide = (
        f"a Combiner, P = {shape['projection'] or 4 * shape['dim']} and "
        f"H = {shape['hidden'] or 8 * shape['dim']} (published: {4 * shape['dim']} and "
        f"{8 * shape['dim']})"
        if shape["base"] == "combiner"
        else f"a perceptron with {shape['hidden'] or 8 * shape['dim']} hidden numbers"
    )
    weighted = (
        f", with weights for {' and '.join(shape['attributes'])}" if shape["attributes"] else ""
    )
    what = (
        f"A picture's and a text's vector of {shape['dim']} numbers to one query vector: {wide}"
        f"{weighted}. {told['parameters']:,} parameters, kept as float16. Used as "
        f"`{method}:weights=FOLDER` with the encoder of its features, {encoder['encoder']} "
        f"(fingerprint {encoder['fingerprint']})."
    )
    learnt = (
        f"{data['questions']:,} questions of {data['name']} about {data['pictures']:,} pictures, "
        f"{told['steps_done']:,} steps of {recipe['batch']}, seed {recipe['plan']['seed']}, "
        f"{told['seconds']:.0f} seconds. Negatives: {_negatives(recipe)}. All settings: `{FACTS}`."
    )
    figures = ", ".join(f"{name} {value}" for name, value in told["held_out"].items())
    checked = f"On questions of groups held out: {figures or 'nothing was held out'}."
    page = [
        f"---\nlicense: {licence}\n---\n# {_TITLES[method]}",
        _wrapped(what),
        "## Training",
        f"    {command}",
        _wrapped(learnt),
        *([_refreshes(told["refreshes"])] if told["refreshes"] else []),
        "## Figures",
        _wrapped(checked),
        "## Limits",
        _wrapped(
            "It knows the changes and the things of its training set; what it makes of other words "
            "and pictures was not measured here."
        ),
    ]
    return "\n\n".join(page) + "\n"


def _wrapped(text: str) -> str:
    # addresses and names of options stay whole
    return fill(text, 100, break_on_hyphens=False)


_TITLES = {"combiner": "A Combiner (CLIP4Cir)", "dqe_cir": "DQE-CIR (our reading)"}


def _negatives(recipe: dict[str, Any]) -> str:
    kind, bounds = recipe["negatives"], recipe["choice"]["bounds"]
    if kind in ("in-batch", "all"):
        return {"in-batch": "the other targets of a step", "all": "the whole gallery"}[kind]
    told = (
        f"{kind}, {recipe['count']} a question and step, made anew every {recipe['refresh']} epochs"
    )
    if kind == "trns":
        told += f", {bounds['by']}s of {bounds['low']:g} to {bounds['high']:g}"
    return told


def _refreshes(rows: list[dict[str, Any]]) -> str:
    lines = "\n".join(
        f"| {row['epoch']} | {row['size']:.0f} | {row['fallback']:.1%} | {row['near']:.2%} |"
        for row in rows
    )
    return (
        "| epoch | negatives a question | fallback | right answers that nobody labelled |\n"
        f"|---|---|---|---|\n{lines}"
    )


def write_towers_card(folder: Path, told: dict[str, Any], *, command: str, licence: str) -> None:
    """Write ``training.json`` and ``README.md``; ``told`` is what ``tune_towers`` returns."""
    facts = {"command": command, "licence": licence, **told}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    recipe, data = told["recipe"], told["data"]
    before, after = (
        ", ".join(f"{name} {value}" for name, value in told[key].items())
        for key in ("before", "held_out")
    )
    what = (
        f"Both towers of {told['start']} after the first stage of CLIP4Cir: a picture's vector "
        "plus the words' is to be the target's. Opens as `open_clip:local-dir:FOLDER`; libraries "
        "must be indexed with it. "
        + (
            f"Pictures longer than {recipe['pad_ratio']:g} to 1 are padded with black to that."
            if recipe["pad_ratio"]
            else "Pictures are not padded."
        )
    )
    learnt = (
        f"{data['questions']:,} questions of {data['name']} about {data['pictures']:,} pictures, "
        f"{told['steps_done']:,} steps of {recipe['batch']}, seed {recipe['plan']['seed']}, "
        f"{told['seconds']:.0f} seconds, always in eval mode. All settings: `{FACTS}`."
    )
    checked = (
        f"The plain sum on questions of groups held out, before: {before or 'not measured'}; "
        f"after: {after or 'nothing was held out'}."
    )
    page = [
        f"---\nlicense: {licence}\n---\n# Towers tuned for composed questions",
        _wrapped(what),
        "## Training",
        f"    {command}",
        _wrapped(learnt),
        "## Figures",
        _wrapped(checked),
    ]
    (folder / PAGE).write_text("\n\n".join(page) + "\n", encoding="utf-8")
