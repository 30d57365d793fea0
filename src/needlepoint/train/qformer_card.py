"""The page that lies beside a trained Q-Former."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

from needlepoint.train.card import FACTS, PAGE

_TITLES = {
    "blip2": "A small BLIP-2, taught which text is of which picture",
    "sprc": "A Q-Former for composed questions: SPRC",
    "qure": "A Q-Former for composed questions: as QuRe",
    "dqe_cir": "A Q-Former for composed questions: DQE-CIR (our reading)",
}


def write_qformer_card(
    folder: Path, told: dict[str, Any], *, method: str, command: str, licence: str
) -> None:
    """Write ``training.json`` and ``README.md``.

    Args:
        folder: the model's.
        told: what the training returns.
        method: blip2, sprc, qure or dqe_cir.
        command: the command that trains the same model again.
        licence: of the weights; the encoder's card shows it.
    """
    facts = {"command": command, "licence": licence, **told}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(_page(told, method, command, licence), encoding="utf-8")


def _page(told: dict[str, Any], method: str, command: str, licence: str) -> str:
    plan = told["recipe"]["plan"]
    batch = f"{told['steps_done']:,} steps of {told['recipe']['batch']}, seed {plan['seed']}"
    if method == "blip2":
        learnt = f"{told['pairs']:,} pictures with texts, {batch}. All settings: `{FACTS}`."
        use = "Opens as `hf:FOLDER` beside the encoder that its `config.json` names."
        checked = "Which text is of which picture is all it has learnt; nothing was held out."
    else:
        data = told["data"]
        learnt = (
            f"{data['questions']:,} questions of {data['name']}, {batch}; negatives: "
            f"{told['recipe']['negatives']}. All settings: `{FACTS}`."
        )
        use = (
            f"Opens as `hf:FOLDER`; `--method {method}` asks with a picture and a change in words. "
            f"{told['parameters']:,} parameters were learnt, the vision tower was not."
        )
        figures = ", ".join(f"{name} {value}" for name, value in told["held_out"].items())
        checked = f"On questions of groups held out: {figures or 'nothing was held out'}."
    page = [
        f"---\nlicense: {licence}\n---\n# {_TITLES[method]}",
        fill(use, 100),
        "## Training",
        f"    {command}",
        fill(learnt, 100),
        "## Figures and limits",
        fill(checked, 100),
    ]
    return "\n\n".join(page) + "\n"
