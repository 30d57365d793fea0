"""Where weights lie on this machine, and what to say when they do not. Nothing here downloads."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from needlepoint.errors import ModelUnavailable

_YES = {"1", "true", "yes", "on"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def offline() -> bool:
    """Whether ``NEEDLEPOINT_OFFLINE`` or ``HF_HUB_OFFLINE`` forbids the network."""
    return any(
        os.environ.get(name, "").strip().lower() in _YES
        for name in ("NEEDLEPOINT_OFFLINE", "HF_HUB_OFFLINE")
    )


def hub_cache() -> Path:
    """The folder in which Hugging Face tools keep downloaded models."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{base}/huggingface"
    return Path(home).expanduser() / "hub"


def repo_folder(repo: str) -> Path:
    """Folder of one hub model inside ``hub_cache()``."""
    return hub_cache() / f"models--{repo.replace('/', '--')}"


def cached_snapshot(repo: str, revision: str = "") -> Path | None:
    """Folder of the fetched files of a hub model, or None when it was never fetched."""
    folder = repo_folder(repo)
    reference = folder / "refs" / (revision or "main")
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = folder / "snapshots" / commit
    return snapshot if commit and snapshot.is_dir() else None


def first_present(folder: Path | None, names: Sequence[str]) -> Path | None:
    """The first of the alternative file names that lies in the folder, or None."""
    if folder is None:
        return None
    return next((folder / name for name in names if (folder / name).is_file()), None)


def missing(
    address: str, files: Iterable[str], *, repo: str = "", folder: str = ""
) -> ModelUnavailable:
    """The error that says which files go where.

    Args:
        address: what the user asked for.
        files: names of the absent files; alternatives joined by `` or ``.
        repo: hub name when the files belong in the hub cache.
        folder: local folder when the address names one.
    """
    names = ", ".join(files)
    if folder:
        return ModelUnavailable(f"model '{address}': put {names} into {folder}")
    return ModelUnavailable(
        f"model '{address}' is not on this machine. With a network: needlepoint models fetch "
        f"{address}. Without: copy {names} of {repo} from another machine, either as the whole "
        f"cache folder {repo_folder(repo)} (with its refs and snapshots), or into any folder F and "
        f"use the address local-dir:F"
    )


def weights_hash(files: Sequence[Path]) -> str:
    """First 16 hex digits of the SHA-256 of the weights.

    One file: its own digest; several: the digest of their digests in the given order. Files in
    the hub cache are links to blobs named by their SHA-256, which is then not computed again.
    """
    digests = [_sha256(path) for path in files]
    if len(digests) == 1:
        return digests[0][:16]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def size_mb(files: Sequence[Path]) -> float:
    """Size of the files in 10^6 bytes."""
    return round(sum(path.stat().st_size for path in files) / 1e6, 1)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file as a dict; a damaged one is a missing model, not a crash."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{path} cannot be read: {error}") from error
    if not isinstance(loaded, dict):
        raise ModelUnavailable(f"{path} does not hold a JSON object")
    return loaded


def licence_of(folder: Path) -> str:
    """The licence that the model page (``README.md`` in the folder) states, or ``unknown``."""
    page = folder / "README.md"
    if page.is_file():
        for line in page.read_text(encoding="utf-8", errors="replace").splitlines()[:80]:
            if line.startswith(("license:", "license_name:")):
                return line.partition(":")[2].strip().strip("\"'") or "unknown"
    return "unknown"


def _sha256(path: Path) -> str:
    blob = path.resolve().name
    if path.is_symlink() and _SHA256.fullmatch(blob):
        return blob
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
