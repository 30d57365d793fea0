"""From what stands behind ``--data`` to protocols; something to run where nothing is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from needlepoint.bench.datasets import open_dataset
from needlepoint.bench.needle import build_crowd
from needlepoint.bench.needle.edit_protocols import edit_protocol
from needlepoint.bench.needle.edit_truth import EDITS_FILE
from needlepoint.bench.needle.protocols import protocols_of
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import ModelUnavailable, UsageError

COMMANDS = (
    "needlepoint bench build needle crowd-2d SCENES/crowd-2d-dev --split dev",
    "needlepoint bench build needle crowd-2d SCENES/crowd-2d-test --split test",
    "needlepoint bench build needle crowd-3d SCENES/crowd-3d-dev --split dev",
    "needlepoint bench build needle crowd-3d SCENES/crowd-3d-test --split test",
    "needlepoint bench run --suite fine-grained --data SCENES",
)
"""How to come by the full data of the suite."""

_SMALL = 60  # scenes of the set that is built where no data is given
_SEED = 20261121

_DATASET = re.compile(
    r"(?P<name>[^=:,]+)(?::(?P<split>[^=:,]+))?(?P<options>(?:,[^=:,]+=[^=:,]+)*)=(?P<folder>.+)"
)

_CHECKOUT = Path(__file__).resolve().parents[3]
"""The repository, where this is not an installed copy."""

Report = Callable[[str], None]


def default_models() -> list[str]:
    """``builtin``, and the compact encoder where its weights and open_clip are at hand."""
    weights = _CHECKOUT / "weights" / "compact"
    able = all(find_spec(name) for name in ("torch", "open_clip"))
    return (
        ["builtin", f"open_clip:local-dir:{weights}"] if able and weights.is_dir() else ["builtin"]
    )


def read_data(texts: Sequence[str], needle: Path, report: Report) -> list[Protocol]:
    """The protocols of all data.

    Args:
        texts: each a folder with a generated set, a folder of such folders, or
            ``DATASET[:SPLIT][,option=value...]=FOLDER`` for the official files of a dataset. None:
            a small set, generated below ``needle``, or the samples of the repository.
        needle: folder for generated sets.
        report: told what is done where nothing was given.

    Raises:
        UsageError: no data there; the message says what would be.
    """
    if not texts:
        return protocols_of(_something(needle, report))
    return [protocol for text in texts for protocol in _read(text)]


def read_scenes(texts: Sequence[str], needle: Path, report: Report) -> list[Path]:
    """The folders of generated sets that ``texts`` name, as in ``read_data``.

    Raises:
        UsageError: no generated set there.
    """
    if not texts:
        return [_something(needle, report)]
    return [folder for text in texts for folder in _sets(text, Path(text).expanduser())]


def _read(text: str) -> list[Protocol]:
    told = _DATASET.fullmatch(text)
    if told and not Path(text).exists():
        pairs = (pair.split("=") for pair in told["options"].split(",") if pair)
        return open_dataset(told["name"], told["folder"], told["split"], dict(pairs))
    folder = Path(text).expanduser()
    if (folder / EDITS_FILE).is_file():
        return [edit_protocol(folder)]
    sets = _sets(text, folder)
    return [protocol for one in sets for protocol in protocols_of(one)]


def _sets(text: str, folder: Path) -> list[Path]:
    """A folder with a generated set, or those one below it."""
    sets = [folder, *sorted(one.parent for one in folder.glob("*/truth.json"))]
    found = [one for one in sets if (one / "truth.json").is_file()]
    if not found:
        raise UsageError(
            f"--data {text}: no truth.json in it or one folder below. Give the folder of a "
            "generated set, or DATASET[:SPLIT][,option=value...]=FOLDER (see `needlepoint bench "
            f"list`). To make sets: {COMMANDS[0]}"
        )
    return found


def _something(needle: Path, report: Report) -> Path:
    """A small generated set, made once; else the samples of the repository."""
    folder = needle / f"crowd-2d-dev-{_SMALL}-{_SEED}"
    if (folder / "truth.json").is_file():
        report(f"no --data: {_SMALL} generated scenes in {folder}")
        return folder
    try:
        report(f"no --data: generating {_SMALL} scenes in {folder}")
        build_crowd("crowd-2d", folder, split="dev", seed=_SEED, count=_SMALL)
        return folder
    except (UsageError, ModelUnavailable) as error:
        samples = _CHECKOUT / "samples"
        if (samples / "truth.json").is_file():
            report(f"cannot generate scenes ({error}); running on the samples in {samples}")
            return samples
        commands = "\n  ".join(COMMANDS)
        raise UsageError(
            f"no --data, and none can be generated: {error}\nWith the packages installed:\n"
            f"  {commands}"
        ) from error
