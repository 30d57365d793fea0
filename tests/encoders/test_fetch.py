"""Fetching, against a hub that lives in this process."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from needlepoint.encoders.fetch import fetch, plan_fetch
from needlepoint.errors import ModelUnavailable, UsageError

COMMIT = "c" * 40
FILES = {
    "config.json": 500,
    "model.safetensors": 1_500_000,
    "pytorch_model.bin": 1_500_000,
    "preprocessor_config.json": 300,
    "tokenizer.json": 4_000,
    "tokenizer_config.json": 200,
    "README.md": 1_000,
    "flax_model.msgpack": 1_500_000,
    "onnx/model.onnx": 1_500_000,
}


class FakeHub:
    """As much of ``HfApi`` and ``hf_hub_download`` as fetching uses."""

    def __init__(self, repos, licence="apache-2.0"):
        self.repos, self.licence, self.asked = repos, licence, []

    def model_info(self, repo, *, revision=None, files_metadata=False):
        assert files_metadata
        self.asked.append((repo, revision))
        if repo not in self.repos:
            raise OSError("404 Client Error: no such repository")
        siblings = [SimpleNamespace(rfilename=n, size=s) for n, s in self.repos[repo].items()]
        card = SimpleNamespace(license=self.licence)
        return SimpleNamespace(siblings=siblings, sha=COMMIT, card_data=card, tags=[])

    def download(self, *, repo_id, filename, revision, cache_dir):
        self.asked.append((repo_id, filename, revision, cache_dir))
        return f"{cache_dir}/{filename}"


@pytest.fixture(autouse=True)
def online(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("NEEDLEPOINT_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))


def test_the_plan_names_files_size_licence_and_revision_first():
    hub = FakeHub({"org/name": FILES})
    plan = plan_fetch("hf:org/name@v1", api=hub)
    assert [f.name for f in plan.files] == [
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert plan.bytes == 1_506_000
    assert plan.licence == "apache-2.0"
    assert plan.revision == COMMIT
    assert hub.asked == [("org/name", "v1")]
    assert str(plan).startswith("hf:org/name@v1: 2 MB, licence apache-2.0")


def test_shards_come_with_their_index():
    shards = {f"model-0000{i}-of-00002.safetensors": 10 for i in (1, 2)}
    names = {"config.json": 1, "model.safetensors.index.json": 1, **shards}
    plan = plan_fetch("hf:org/name", api=FakeHub({"org/name": names}))
    assert {f.name for f in plan.files} == set(names)


def test_fetch_carries_the_plan_out_and_tells_its_progress(tmp_path):
    hub = FakeHub({"org/name": FILES})
    plan = plan_fetch("hf:org/name", api=hub)
    hub.asked.clear()
    steps = []
    paths = fetch(plan, download=hub.download, progress=lambda *now: steps.append(now))
    assert [p.name for p in paths] == [f.name for f in plan.files]
    assert all(row[2:] == (None, str(tmp_path)) for row in hub.asked)
    assert steps[-1] == (plan.bytes, plan.bytes)
    assert steps == sorted(steps)


@pytest.mark.torch
def test_an_open_clip_tag_brings_its_tokenizer():
    import torchvision_stub

    torchvision_stub.declare()
    weights = {"open_clip_model.safetensors": 100, "open_clip_config.json": 2, "README.md": 1}
    hub = FakeHub({"laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K": weights}, "mit")
    plan = plan_fetch("open_clip:ViT-B-32/datacomp_xl_s13b_b90k", api=hub)
    assert {f.name for f in plan.files} == set(weights)
    assert plan.licence == "mit"
    both = {**weights, "tokenizer.json": 5, "tokenizer_config.json": 5}
    hub = FakeHub({"timm/ViT-B-16-SigLIP2": both})
    plan = plan_fetch("open_clip:ViT-B-16-SigLIP2/webli", api=hub)
    assert {"tokenizer.json", "tokenizer_config.json"} <= {f.name for f in plan.files}
    assert {f.repo for f in plan.files} == {"timm/ViT-B-16-SigLIP2"}


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "NEEDLEPOINT_OFFLINE"])
def test_offline_asks_nobody(name, monkeypatch):
    hub = FakeHub({"org/name": FILES})
    plan = plan_fetch("hf:org/name", api=hub)
    hub.asked.clear()
    monkeypatch.setenv(name, "1")
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match="needs the network") as caught:
        plan_fetch("hf:org/name", api=hub)
    assert caught.value.exit_code == 4
    with pytest.raises(ModelUnavailable, match="offline"):
        fetch(plan, download=hub.download)
    assert hub.asked == []
    assert time.monotonic() - started < 5


def test_errors_of_the_hub_become_one_line():
    hub = FakeHub({"org/name": FILES, "org/empty": {"README.md": 1}})
    with pytest.raises(ModelUnavailable, match=r"org/gone could not be fetched .*404"):
        plan_fetch("hf:org/gone", api=hub)
    with pytest.raises(ModelUnavailable, match=r"has none of model\.safetensors or"):
        plan_fetch("hf:org/empty", api=hub)

    def broken(**_):
        raise ConnectionError("reset by peer\nand more")

    with pytest.raises(ModelUnavailable, match=r"reset by peer\)\. A gated model"):
        fetch(plan_fetch("hf:org/name", api=hub), download=broken)


@pytest.mark.parametrize("address", ["builtin", "hf:/m", "onnx:/m", "open_clip:local-dir:/m"])
def test_local_addresses_have_nothing_to_fetch(address):
    with pytest.raises(UsageError, match="nothing to fetch"):
        plan_fetch(address, api=FakeHub({}))
