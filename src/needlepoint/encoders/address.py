"""Addresses of encoders: one line of text names model, weights, tokenizer and preprocessing.

==============================  ================================================================
``builtin``                     the encoder inside the wheel
``open_clip:ARCH/TAG``          an open_clip architecture and the tag of its released weights
``open_clip:ARCH@FILE``         an open_clip architecture with weights in a local file
``open_clip:local-dir:FOLDER``  a folder with ``open_clip_config.json`` and weights
``hf:ORG/NAME[@REVISION]``      a Hugging Face model that has been fetched into the hub cache
``hf:FOLDER``                   a folder in Hugging Face format
``onnx:FOLDER``                 a folder written by ``needlepoint export``
``local-dir:FOLDER``            any of the three folder kinds; the files in it tell which
==============================  ================================================================

``+bf16`` at the end of an ``open_clip`` or ``hf`` address computes in bfloat16: several times
quicker on processors with AMX or AVX512-BF16 and on graphics cards, vectors alike to about 1e-3.

Opening never uses the network; ``needlepoint models fetch ADDRESS`` does.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from needlepoint.encoders.known import known_models
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.parts import Encoder

__all__ = ["Address", "known_models", "open_encoder", "parse"]

Family = Literal["builtin", "open_clip", "hf", "onnx"]

_FORMS = (
    "builtin, open_clip:ARCH/TAG, open_clip:ARCH@FILE, open_clip:local-dir:FOLDER, "
    "hf:ORG/NAME[@REVISION], hf:FOLDER, onnx:FOLDER or local-dir:FOLDER"
)
_BF16 = "+bf16"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address.

    ``name`` is the architecture (open_clip) or ``ORG/NAME`` (hf); ``tag`` the open_clip tag;
    ``revision`` the hub revision; ``path`` a local file or folder; ``precision`` is empty for
    float32 or ``bf16``. Unused fields are empty.
    """

    family: Family
    name: str = ""
    tag: str = ""
    revision: str = ""
    path: str = ""
    precision: str = ""

    def __str__(self) -> str:
        """The canonical text of the address: ``parse(str(a)) == a``."""
        return self._place() + (f"+{self.precision}" if self.precision else "")

    def _place(self) -> str:
        if self.family == "builtin":
            return "builtin"
        if self.family == "open_clip":
            if not self.name:
                return f"open_clip:local-dir:{self.path}"
            return f"open_clip:{self.name}" + (f"@{self.path}" if self.path else f"/{self.tag}")
        if self.path:
            return f"{self.family}:{self.path}"
        return f"hf:{self.name}" + (f"@{self.revision}" if self.revision else "")


def parse(address: str) -> Address:
    """Read an address without touching any model.

    Raises:
        UsageError: the text is not an address; the message gives the nearest known ones.

    Example:
        >>> parse("open_clip:ViT-B-32/datacomp_xl_s13b_b90k").tag
        'datacomp_xl_s13b_b90k'
    """
    text = address.strip()
    if text.endswith(_BF16):
        parsed = parse(text.removesuffix(_BF16))
        if parsed.family not in ("open_clip", "hf"):
            raise UsageError(
                f"model address '{address}': only open_clip: and hf: models can be asked for bf16"
            )
        return replace(parsed, precision="bf16")
    family, _, rest = text.partition(":")
    if text == "builtin":
        return Address("builtin")
    if family == "open_clip" and rest:
        return _parse_open_clip(text, rest)
    if family == "hf" and rest:
        if _is_path(rest):
            return Address("hf", path=_absolute(rest))
        name, _, revision = rest.partition("@")
        if _HUB_NAME.fullmatch(name):
            return Address("hf", name=name, revision=revision)
        raise _unknown(address, "hf: needs ORG/NAME or a folder")
    if family == "onnx" and rest:
        return Address("onnx", path=_absolute(rest))
    if family == "local-dir" and rest:
        return _detect(_absolute(rest))
    if family in get_args(Family):
        raise _unknown(address, f"nothing follows '{family}:'")
    raise _unknown(address, "the part before ':' is not a known family")


def open_encoder(address: str, *, device: str = "cpu", threads: int | None = None) -> Encoder:
    """Load the encoder an address names, from files on this machine only.

    Args:
        address: see the table at the top of this module.
        device: torch device (``cpu``, ``cuda``, ``cuda:1``, ``mps``); only for torch families.
        threads: threads of one inference; None leaves the library's own choice.

    Raises:
        UsageError: not an address, or a model of a kind that is not supported.
        ModelUnavailable: files or packages are missing (exit code 4); the message lists them.
    """
    parsed = parse(address)
    if parsed.family == "builtin":
        from needlepoint.encoders.builtin.encoder import BuiltinEncoder

        return BuiltinEncoder(threads=threads)
    if parsed.family == "onnx":
        from needlepoint.encoders.onnx import open_onnx

        return open_onnx(Path(parsed.path), threads=threads)
    library = "open_clip" if parsed.family == "open_clip" else "transformers"
    absent = [name for name in ("torch", library) if find_spec(name) is None]
    if absent:
        raise ModelUnavailable(
            f"address '{address}' needs {' and '.join(absent)}, which is not installed: "
            "pip install 'needlepoint[torch]'"
        )
    try:
        import_module(library)
    except (ImportError, RuntimeError, OSError) as error:
        raise ModelUnavailable(
            f"address '{address}' needs {library}, which is installed but cannot be imported "
            f"({error}). Reinstall torch, torchvision and {library} in versions that fit: "
            "pip install --force-reinstall 'needlepoint[torch]'"
        ) from error
    if parsed.family == "open_clip":
        from needlepoint.encoders.open_clip import open_open_clip

        return open_open_clip(parsed, device=device, threads=threads)
    from needlepoint.encoders.hf import open_hf

    return open_hf(parsed, device=device, threads=threads)


def _parse_open_clip(text: str, rest: str) -> Address:
    if rest.startswith("local-dir:") and len(rest) > len("local-dir:"):
        return Address("open_clip", path=_absolute(rest.removeprefix("local-dir:")))
    name, at, path = rest.partition("@")
    if at and name and path:
        return Address("open_clip", name=name, path=_absolute(path))
    name, slash, tag = rest.partition("/")
    if slash and name and tag and "/" not in tag:
        return Address("open_clip", name=name, tag=tag)
    raise _unknown(text, "open_clip: needs ARCH/TAG, ARCH@FILE or local-dir:FOLDER")


def _detect(folder: str) -> Address:
    """The family of a local folder, told by the files in it."""
    marks: tuple[tuple[str, Family], ...] = (
        ("open_clip_config.json", "open_clip"),
        ("card.json", "onnx"),
        ("config.json", "hf"),
    )
    for mark, family in marks:
        if (Path(folder) / mark).is_file():
            return Address(family, path=folder)
    raise ModelUnavailable(
        f"local-dir: '{folder}' holds no model: expected open_clip_config.json (open_clip), "
        "config.json (Hugging Face) or card.json (needlepoint export) in it"
    )


def _is_path(text: str) -> bool:
    return text.startswith(("/", ".", "~", "\\")) or text[1:2] == ":" or Path(text).is_dir()


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _unknown(address: str, why: str) -> UsageError:
    names = [str(model["address"]) for model in known_models()]
    near = difflib.get_close_matches(address, names, n=3, cutoff=0.4)
    if not near:  # a bare name without its family is the usual slip
        near = [n for n in names if address and address.lower() in n.lower()][:3]
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return UsageError(f"model address '{address}': {why}. Allowed: {_FORMS}.{hint}")
