"""Every hostile file ends as a picture or a short reason, in a process with little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files import BAD, EITHER, GOOD, KINDS, encoded, heif, picture, spoiled
from raw_files import dng

RESIDENT_MB = 150
"""What the whole run may add to the resident memory of the bare imports."""

RESIDENT = '''
def resident():
    """Peak resident memory of this program in MB; ru_maxrss would inherit the parent's."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
'''

PROGRAM = """
import json, os, sys, time
from needlepoint.errors import PictureError
from needlepoint.intake.decode import Limits, decode
from needlepoint.intake.walk import walk
import pillow_heif, rawpy
import PIL.ImageCms

root, seconds = sys.argv[1], float(sys.argv[2])
limits = Limits(max_memory=256 << 20, max_seconds=seconds)
start = resident()
skipped = {}
for found in walk(root, on_skip=lambda path, reason: skipped.update({path: reason})):
    began = time.monotonic()
    row = {"path": found.path}
    try:
        made = decode(os.path.join(root, found.path), at_least=200, limits=limits)
        row["shape"] = made.pixels.shape
        row["size"] = made.size
    except PictureError as error:
        row["reason"] = error.reason
    row["seconds"] = time.monotonic() - began
    row["grown"] = resident() - start
    print(json.dumps(row), flush=True)
print(json.dumps({"skipped": skipped}))
"""


def run(root: Path, seconds: float = 20.0) -> tuple[dict[str, dict], dict[str, str], str]:
    """Walk and decode a folder in a fresh process; rows by path, what the walk skipped, stderr."""
    ran = subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-W",
            "always",
            "-c",
            RESIDENT + PROGRAM,
            root,
            str(seconds),
        ],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "OMP_NUM_THREADS": "1",
        },
        timeout=240,
        check=False,
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0, f"died after {lines[-1:]}: {ran.stderr[-2000:]}"
    return {row["path"]: row for row in lines[:-1]}, lines[-1]["skipped"], ran.stderr


pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="memory is read from /proc"
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict], str]:
    root = tmp_path_factory.mktemp("hostile")
    for name, (_, make) in KINDS.items():
        (root / name).write_bytes(make())
    rows, skipped, talk = run(root)
    assert skipped == {}
    return rows, talk


def test_there_are_many_kinds() -> None:
    assert len(KINDS) >= 60


@pytest.mark.parametrize("name", KINDS)
def test_ends_as_picture_or_reason(name: str, outcome) -> None:
    row, (wanted, _) = outcome[0][name], KINDS[name]
    ended = GOOD if "shape" in row else BAD
    assert wanted in (ended, EITHER), row
    if ended == BAD:
        assert 3 < len(row["reason"]) <= 60
        assert "\n" not in row["reason"]
    else:
        assert len(row["shape"]) == 3
        assert row["shape"][2] == 3
    assert row["seconds"] < 21


def test_memory_stays_small(outcome) -> None:
    grown = max(row["grown"] for row in outcome[0].values())
    assert grown < RESIDENT_MB


def test_nothing_is_printed(outcome) -> None:
    assert outcome[1] == ""


def test_truncated_is_called_truncated(outcome) -> None:
    rows = outcome[0]
    for name in KINDS:
        if name.startswith("jpeg_half") or name in ("jpeg_no_end.jpg", "jpeg_zero_tail.jpg",
                                                    "png_half.png", "gif_half.gif",
                                                    "bmp_half.bmp", "webp_half.webp"):  # fmt: skip
            assert rows[name]["reason"] == "truncated", name


SMALL = picture(120, 90)
SEEDS = {
    "jpeg": lambda: encoded("JPEG", SMALL),
    "jpeg progressive": lambda: encoded("JPEG", SMALL, progressive=True),
    "png": lambda: encoded("PNG", SMALL),
    "png palette": lambda: encoded("PNG", SMALL.convert("P")),
    "webp": lambda: encoded("WEBP", SMALL),
    "webp alpha": lambda: encoded("WEBP", SMALL.convert("RGBA"), lossless=True),
    "gif": lambda: encoded("GIF", SMALL),
    "bmp": lambda: encoded("BMP", SMALL),
    "tiff": lambda: encoded("TIFF", SMALL),
    "tiff lzw": lambda: encoded("TIFF", SMALL, compression="tiff_lzw"),
    "tiff jpeg": lambda: encoded("TIFF", SMALL, compression="jpeg"),
    "pnm": lambda: encoded("PPM", SMALL),
    "avif": lambda: encoded("AVIF", SMALL),
    "heic": heif,
    "jpeg2000": lambda: encoded("JPEG2000", SMALL),
    "dng": lambda: dng(preview=encoded("JPEG", SMALL)),
}


@pytest.mark.parametrize("name", SEEDS)
def test_spoiled_files_end_as_picture_or_reason(name: str) -> None:
    """Forty damaged versions of a good file, half of them damaged in the header."""
    from needlepoint.errors import PictureError
    from needlepoint.intake.decode import Limits, decode

    data, limits = SEEDS[name](), Limits(max_memory=256 << 20, max_seconds=20)
    reasons = []
    for seed in range(40):
        where = data[:200] if seed % 2 else data
        bad = spoiled(where, seed=seed, count=1 + seed % 7) + data[len(where) :]
        try:
            pixels = decode(bad, at_least=64, limits=limits).pixels
            assert pixels.ndim == 3
        except PictureError as error:
            reasons.append(error.reason)
    assert all(3 < len(reason) <= 60 for reason in reasons)
    assert 0 < len(reasons) < 40, reasons


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")
def test_hostile_names_and_files(tmp_path: Path) -> None:
    jpeg = encoded("JPEG", picture(64, 48))
    for name in (b"caf\xe9.jpg", b"new\nline.jpg", b"x" * 251 + b".jpg", "ü\u202e.jpg".encode()):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(jpeg)
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("loop.jpg", tmp_path / "loop.jpg")
    os.symlink("/dev/zero", tmp_path / "zero.jpg")
    os.symlink("/proc/self/mem", tmp_path / "mem.jpg")
    os.symlink(tmp_path, tmp_path / "again")
    with open(tmp_path / "sparse.jpg", "wb") as file:
        file.truncate(1 << 40)
    with open(tmp_path / "sparse_with_magic.jpg", "wb") as file:
        file.write(jpeg[:200])
        file.truncate(1 << 40)
    with open(tmp_path / "sparse_below_limit.jpg", "wb") as file:
        file.truncate(900 << 20)
    rows, skipped, talk = run(tmp_path, 5.0)
    assert talk == ""
    assert skipped == {
        "loop.jpg": "symbolic link loop", "pipe.jpg": "is a named pipe", "zero.jpg": "is a device",
    }  # fmt: skip
    good = sorted(os.fsencode(path) for path, row in rows.items() if "shape" in row)
    assert good == sorted(
        [b"caf\xe9.jpg", b"new\nline.jpg", b"x" * 251 + b".jpg", "ü\u202e.jpg".encode()]
    )
    reasons = {path: row["reason"] for path, row in rows.items() if "reason" in row}
    assert reasons == {
        "mem.jpg": "empty file", "sparse.jpg": "file larger than 1.07 GB",
        "sparse_with_magic.jpg": "file larger than 1.07 GB",
        "sparse_below_limit.jpg": "not a picture in a known format",
    }  # fmt: skip
    assert max(row["grown"] for row in rows.values()) < RESIDENT_MB


def test_files_that_change_or_vanish_while_read(tmp_path: Path, monkeypatch) -> None:
    """The bytes decoded are those of one moment, or there is a reason."""
    from needlepoint.errors import PictureError
    from needlepoint.intake import reading
    from needlepoint.intake.decode import decode

    path = tmp_path / "a.jpg"
    data = encoded("JPEG", picture(900, 700))
    real = os.read

    def meddle(change) -> str | None:
        path.write_bytes(data)
        calls = []

        def read(fd: int, count: int) -> bytes:
            got = real(fd, min(count, 20_000))
            if not calls:
                change()
            calls.append(1)
            return got

        monkeypatch.setattr(reading.os, "read", read)
        try:
            decode(path)
        except PictureError as error:
            return error.reason
        finally:
            monkeypatch.setattr(reading.os, "read", real)
        return None

    assert meddle(lambda: None) is None
    assert meddle(path.unlink) is None  # the open file stays whole
    assert meddle(lambda: os.truncate(path, 10_000)) == "changed while being read"
    assert meddle(lambda: path.write_bytes(data + b"more")) == "changed while being read"


def test_memory_estimates_are_honest(tmp_path: Path) -> None:
    """The estimate in front of a decoder is no less than what the decoder then takes."""
    program = """
import sys
from needlepoint.intake.decode import Limits, decode
import PIL.ImageCms, pillow_heif
asked = []
import needlepoint.intake.decode as d
real = d._admit
def note(name, width, height, working, memory, limits):
    asked.append(memory)
    real(name, width, height, working, memory, limits)
d._admit = note
before = resident()
decode(sys.argv[1])
print((resident() - before) * 2**20, max(asked))
"""
    image = picture(3000, 2400)
    files = {
        "a.jpg": encoded("JPEG", image),
        "b.jpg": encoded("JPEG", image, progressive=True),
        "c.png": encoded("PNG", image, compress_level=1),
        "d.png": encoded("PNG", image.convert("RGBA"), compress_level=1),
        "e.webp": encoded("WEBP", image, method=0),
        "f.tif": encoded("TIFF", image.convert("CMYK"), compression="tiff_lzw"),
        "g.avif": encoded("AVIF", image, speed=10),
        "h.gif": encoded("GIF", image.convert("P")),
        "i.jp2": encoded("JPEG2000", image.resize((1500, 1200))),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        ran = subprocess.run(
            [sys.executable, "-c", RESIDENT + program, str(tmp_path / name)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            check=True,
        )
        taken, estimate = (float(v) for v in ran.stdout.split())
        assert taken < 1.15 * estimate + 24e6, (name, taken / 1e6, estimate / 1e6)
