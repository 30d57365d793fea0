"""Addresses, the table of known models, and what is said when a model is not there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time

import pytest

from needlepoint.encoders import address as addresses
from needlepoint.encoders import weights
from needlepoint.encoders.address import Address, known_models, open_encoder, parse
from needlepoint.errors import EXIT_MODEL, ModelUnavailable, UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("builtin", Address("builtin")),
        (" builtin ", Address("builtin")),
        (
            "open_clip:ViT-B-32/laion2b_s34b_b79k",
            Address("open_clip", name="ViT-B-32", tag="laion2b_s34b_b79k"),
        ),
        (
            "open_clip:ViT-B-32@/w/clip.safetensors",
            Address("open_clip", name="ViT-B-32", path="/w/clip.safetensors"),
        ),
        ("open_clip:local-dir:/m", Address("open_clip", path="/m")),
        ("hf:org/name", Address("hf", name="org/name")),
        ("hf:org/na.me_1@v2", Address("hf", name="org/na.me_1", revision="v2")),
        ("hf:/m/x", Address("hf", path="/m/x")),
        ("onnx:/m/x", Address("onnx", path="/m/x")),
        ("hf:org/name@v2+bf16", Address("hf", name="org/name", revision="v2", precision="bf16")),
        ("open_clip:A/t+bf16", Address("open_clip", name="A", tag="t", precision="bf16")),
    ],
)
def test_parse_and_back(text, expected):
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("mark", "family"),
    [("open_clip_config.json", "open_clip"), ("card.json", "onnx"), ("config.json", "hf")],
)
def test_a_local_folder_tells_its_family(mark, family, tmp_path):
    (tmp_path / mark).write_text("{}")
    assert parse(f"local-dir:{tmp_path}") == Address(family, path=str(tmp_path))


def test_relative_folders_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    assert parse("hf:m").path == parse("hf:./m").path == str(tmp_path / "m")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf:",
        "open_clip:ViT-B-32",
        "open_clip:a/b/c",
        "hf:one",
        "onnx:",
        "vit",
        "ftp:x",
        "+bf16",
    ],
)
def test_what_is_not_an_address_is_a_usage_error(text):
    with pytest.raises(UsageError, match=r"Allowed: builtin, open_clip:ARCH/TAG"):
        parse(text)


def test_only_torch_families_have_another_precision():
    for text in ("builtin+bf16", "onnx:/m+bf16"):
        with pytest.raises(UsageError, match="can be asked for bf16"):
            parse(text)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("siglip2-base-patch16-224", "hf:google/siglip2-base-patch16-224"),
        ("openclip:ViT-B-32/datacomp_xl_s13b_b90k", "open_clip:ViT-B-32/datacomp_xl_s13b_b90k"),
        ("built-in", "builtin"),
    ],
)
def test_the_nearest_addresses_are_named(slip, meant):
    with pytest.raises(UsageError, match=r"Did you mean .*" + meant.replace("/", "/")):
        parse(slip)


def test_known_models_are_addresses_with_facts():
    models = known_models()
    assert len({m["address"] for m in models}) == len(models)
    for model in models:
        assert str(parse(model["address"])) == model["address"]
        assert model["licence"]
        assert model["size_mb"] > 0
        assert set(model["good_for"]) <= {"words", "pictures", "places"}
    best = [m["address"] for m in models if "words" in m["recommended_for"]]
    assert len(best) == 1


@pytest.mark.torch
def test_known_open_clip_models_exist_with_these_dims():
    import torchvision_stub

    torchvision_stub.declare()
    import open_clip

    for model in known_models():
        parsed = parse(model["address"])
        if parsed.family == "open_clip":
            assert parsed.tag in open_clip.list_pretrained_tags_by_model(parsed.name)
            assert open_clip.get_model_config(parsed.name)["embed_dim"] == model["dim"]


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (
            "hf:google/siglip2-base-patch16-224",
            ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"],
        ),
        ("hf:facebook/dinov2-small@main", ["config.json", "model.safetensors"]),
        ("open_clip:ViT-B-32/datacomp_xl_s13b_b90k", ["open_clip_model.safetensors"]),
    ],
)
@pytest.mark.torch
def test_a_missing_model_is_told_quickly_with_its_files(text, files, tmp_path, monkeypatch):
    import torchvision_stub

    torchvision_stub.declare()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    started = time.monotonic()
    with pytest.raises(ModelUnavailable) as caught:
        open_encoder(text)
    assert time.monotonic() - started < 30  # imports included; a retry storm takes minutes
    assert caught.value.exit_code == EXIT_MODEL == 4
    said = str(caught.value)
    for name in files:
        assert name in said
    assert str(tmp_path / "hub" / "models--") in said
    assert f"needlepoint models fetch {text}" in said
    assert "local-dir:" in said


def test_opening_makes_no_connection(tmp_path):
    """Even when no variable says offline: sockets are forbidden in a process of its own."""
    program = f"""
import os, socket
for name in ("HF_HUB_OFFLINE", "NEEDLEPOINT_OFFLINE"):
    os.environ.pop(name, None)
os.environ["HF_HUB_CACHE"] = {str(tmp_path)!r}
def refuse(*a, **k): raise SystemExit("a connection was tried")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from needlepoint.encoders.address import open_encoder
from needlepoint.errors import ModelUnavailable
try:
    open_encoder("hf:google/siglip2-base-patch16-224")
except ModelUnavailable:
    print("told")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "told", done.stderr


def test_missing_packages_name_the_extra(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(addresses, "find_spec", lambda n: None if n == "torch" else found(n))
    with pytest.raises(ModelUnavailable, match=r"pip install 'needlepoint\[torch\]'") as caught:
        open_encoder("hf:a/b")
    assert caught.value.exit_code == EXIT_MODEL


def test_a_local_folder_says_what_to_put_into_it(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"put card\.json, image\.onnx into"):
        open_encoder(f"onnx:{tmp_path}")
    with pytest.raises(ModelUnavailable, match="holds no model"):
        parse(f"local-dir:{tmp_path}")


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert str(weights.hub_cache()).endswith(".cache/huggingface/hub")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert weights.hub_cache() == tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "c"))
    assert weights.hub_cache() == tmp_path / "c"


def test_weights_hash_reads_bytes_or_the_name_of_a_hub_blob(tmp_path):
    import hashlib

    one, two = tmp_path / "a.bin", tmp_path / "b.bin"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    assert weights.weights_hash([one]) == hashlib.sha256(b"one").hexdigest()[:16]
    assert weights.weights_hash([one, two]) != weights.weights_hash([two, one])
    blob = tmp_path / hashlib.sha256(b"blob").hexdigest()
    blob.write_bytes(b"blob")
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    assert weights.weights_hash([link]) == blob.name[:16]


def test_a_cached_snapshot_is_found_by_branch_and_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    commit = "0" * 40
    snapshot = tmp_path / "models--org--name" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    references = tmp_path / "models--org--name" / "refs"
    references.mkdir()
    (references / "main").write_text(commit)
    assert weights.cached_snapshot("org/name") == snapshot
    assert weights.cached_snapshot("org/name", "main") == snapshot
    assert weights.cached_snapshot("org/name", commit) == snapshot
    assert weights.cached_snapshot("org/name", "v1") is None
    assert weights.cached_snapshot("org/other") is None


def test_a_package_that_does_not_import_is_told_apart_from_a_missing_one(monkeypatch):
    def broken(name):
        raise RuntimeError("operator nms does not exist")

    monkeypatch.setattr("needlepoint.encoders.address.find_spec", lambda name: object())
    monkeypatch.setattr("needlepoint.encoders.address.import_module", broken)
    with pytest.raises(ModelUnavailable, match=r"installed but cannot be imported .*nms"):
        open_encoder("open_clip:ViT-B-32/openai")
