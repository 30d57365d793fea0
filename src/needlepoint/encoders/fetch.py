"""Downloading weights, on request only, after saying how much and under which licence.

``plan_fetch`` asks the hub and downloads nothing; ``fetch`` carries the plan out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from needlepoint.encoders import weights
from needlepoint.encoders.address import Address, parse
from needlepoint.errors import ModelUnavailable, UsageError

#: small files of a model that are fetched when they exist
_SMALL = ("*.json", "merges.txt", "vocab.txt", "spiece.model", "tokenizer.model", "README.md")
#: JSON files that are not part of any model here
_NOT = ("*.msgpack*", "onnx/*", "openvino*", "*training*", "*trainer*")


@dataclass(frozen=True, slots=True)
class FetchFile:
    """One file to download: hub name, revision as asked, file name, size in bytes."""

    repo: str
    revision: str
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What a fetch would do, shown before it is done.

    ``bytes`` is the sum over files, whether cached or not; ``revision`` the commit the hub names.
    """

    address: str
    files: tuple[FetchFile, ...]
    bytes: int
    licence: str
    revision: str

    def __str__(self) -> str:
        """Two or more lines for a person: address, size, licence, then the files."""
        head = f"{self.address}: {self.bytes / 1e6:,.0f} MB, licence {self.licence}"
        rows = [f"  {f.repo}  {f.name}  {f.bytes / 1e6:,.1f} MB" for f in self.files]
        return "\n".join([f"{head}, revision {self.revision or 'unknown'}", *rows])


def plan_fetch(address: str, *, api: Any | None = None) -> FetchPlan:
    """Ask the hub which files an address needs.

    Args:
        address: an ``hf:ORG/NAME`` or ``open_clip:ARCH/TAG`` address.
        api: anything with ``model_info`` of ``huggingface_hub.HfApi``; None for the real one.

    Raises:
        UsageError: an address that names local files, or weights that are not on the hub.
        ModelUnavailable: offline, or the hub does not give what is needed.
    """
    parsed = parse(address)
    wanted = list(_wanted(parsed))
    if weights.offline():
        raise ModelUnavailable(
            f"model '{address}': fetching needs the network, but NEEDLEPOINT_OFFLINE or "
            "HF_HUB_OFFLINE is set. Copy the files instead: needlepoint's page 'encoders' says "
            "which and where"
        )
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi()
    files: list[FetchFile] = []
    licence, commit = "", ""
    for repo, revision, names in wanted:
        info = _ask(api, repo, revision, address)
        sizes = {s.rfilename: int(getattr(s, "size", 0) or 0) for s in info.siblings or ()}
        chosen = _choose(list(sizes), names)
        if not chosen:
            raise ModelUnavailable(
                f"model '{address}': {repo} on the hub has none of {' or '.join(names)}"
            )
        files += [FetchFile(repo, revision, name, sizes[name]) for name in chosen]
        commit = commit or str(info.sha or "")
        licence = licence or _licence(info)
    total = sum(f.bytes for f in files)
    return FetchPlan(str(parsed), tuple(files), total, licence or "not stated", commit)


def fetch(
    plan: FetchPlan,
    *,
    download: Callable[..., str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Download the files of a plan into the hub cache; what is cached already is not sent again.

    Args:
        plan: from ``plan_fetch``.
        download: like ``huggingface_hub.hf_hub_download``; None for the real one.
        progress: called with (bytes done, bytes in all) after each file.

    Returns:
        Paths of the files in the cache.

    Raises:
        ModelUnavailable: offline, no permission, or the connection broke.
    """
    if weights.offline():
        raise ModelUnavailable(f"model '{plan.address}': offline, nothing was fetched")
    if download is None:
        from huggingface_hub import hf_hub_download

        download = hf_hub_download
    paths, done = [], 0
    for file in plan.files:
        try:
            path = download(
                repo_id=file.repo,
                filename=file.name,
                revision=file.revision or None,
                cache_dir=str(weights.hub_cache()),
            )
        except Exception as error:  # the client raises its own, httpx's and the system's errors
            raise ModelUnavailable(_reason(plan.address, file.repo, error)) from error
        paths.append(Path(path))
        done += file.bytes
        if progress is not None:
            progress(done, plan.bytes)
    return paths


def _wanted(address: Address) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(hub name, revision, acceptable weight files) of each hub model an address needs.

    No weight files means that only the small files are needed (a tokenizer).
    """
    if address.family == "hf" and not address.path:
        from needlepoint.encoders.hf import WEIGHT_FILES

        yield address.name, address.revision, WEIGHT_FILES
        return
    if address.family != "open_clip" or not address.tag:
        raise UsageError(
            f"model '{address}' names local files or the built-in model: nothing to fetch. "
            "hf:ORG/NAME and open_clip:ARCH/TAG can be fetched"
        )
    from needlepoint.encoders.open_clip import built_in, hub_source, tag_facts

    told = tag_facts(address)
    repo, names = hub_source(told)
    if not repo:
        raise UsageError(
            f"model '{address}' is not on the hub; download {told.get('url')} yourself and use "
            f"open_clip:{address.name}@FILE"
        )
    yield repo, "", names
    source = str(built_in(address)["text_cfg"].get("hf_tokenizer_name", ""))
    if source and source != repo:
        yield source, "", ()


def _choose(present: Sequence[str], weight_names: Sequence[str]) -> list[str]:
    """The small files and the first of the weight files that are there, with its shards."""
    small = [
        name
        for name in present
        if "/" not in name
        and any(fnmatch(name, p) for p in _SMALL)
        and not any(fnmatch(name, p) for p in _NOT)
        and not name.endswith(".index.json")
    ]
    if not weight_names:
        return sorted(small)
    best = next((name for name in weight_names if name in present), None)
    if best is None:
        return []
    heavy = [best]
    if best.endswith(".index.json"):
        heavy += [n for n in present if fnmatch(n, "model-*-of-*.safetensors")]
    return sorted({*small, *heavy})


def _ask(api: Any, repo: str, revision: str, address: str) -> Any:
    try:
        return api.model_info(repo, revision=revision or None, files_metadata=True)
    except Exception as error:  # the client raises its own, httpx's and the system's errors
        raise ModelUnavailable(_reason(address, repo, error)) from error


def _reason(address: str, repo: str, error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"model '{address}': {repo} could not be fetched from the hub ({type(error).__name__}: "
        f"{lines[0][:200]}). A gated model needs its licence accepted on its page and a token "
        "(hf auth login)"
    )


def _licence(info: Any) -> str:
    data = getattr(info, "card_data", None)
    told = getattr(data, "license_name", None) or getattr(data, "license", None)
    if told:
        return str(told)
    tags = getattr(info, "tags", None) or ()
    return next((t.partition(":")[2] for t in tags if t.startswith("license:")), "")
