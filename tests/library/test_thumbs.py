"""Small pictures, and the cache that may be lost at any time."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from library_kit import flat
from PIL import Image

from needlepoint.errors import PictureGone, UsageError
from needlepoint.library import Library
from needlepoint.library import thumbs as module
from needlepoint.library.kept import Kept
from needlepoint.library.thumbs import Thumbs

MODEL = "onnx:/fake"


@pytest.fixture
def library(open_library, fake, tmp_path: Path) -> Library:
    quarters = np.zeros((60, 80, 3), np.uint8)
    quarters[:30, :40] = 255, 0, 0
    quarters[:30, 40:] = 0, 255, 0
    quarters[30:, :40] = 0, 0, 255
    folder = tmp_path / "p"
    folder.mkdir()
    Image.fromarray(quarters).save(folder / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(quarters).resize((800, 600), Image.Resampling.NEAREST).save(
        folder / "b.jpg", exif=exif, quality=95
    )
    library = open_library()
    library.index(folder, model=MODEL)
    return library


@pytest.fixture
def thumbs(library: Library):
    made = Thumbs(library.shelf)
    yield made
    made.close()


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image.convert("RGB")


def colour(image: Image.Image, x: float, y: float) -> str:
    pixel = image.getpixel((int(x * image.width), int(y * image.height)))
    return "rgb"[int(np.argmax(pixel))] if max(pixel) > 128 else "black"


def test_a_small_picture_keeps_its_shape_and_is_never_enlarged(thumbs: Thumbs) -> None:
    assert opened(thumbs.small(thumbs.want(1, 320))).size == (80, 60)
    small = opened(thumbs.small(thumbs.want(1, 40)))
    assert small.size == (40, 30)
    assert colour(small, 0.2, 0.2) + colour(small, 0.8, 0.2) + colour(small, 0.2, 0.8) == "rgb"


def test_a_small_picture_stands_upright(thumbs: Thumbs) -> None:
    small = opened(thumbs.small(thumbs.want(2, 160)))
    assert small.size == (120, 160)
    assert colour(small, 0.2, 0.2) + colour(small, 0.8, 0.2) + colour(small, 0.8, 0.8) == "brg"


@pytest.mark.parametrize(
    ("box", "seen"),
    [
        ((0, 0, 40, 30), "r"),
        ((40, 0, 40, 30), "g"),
        ((-20, 30, 50, 90), "b"),
        ((0.2, 0, 1, 1), "r"),
    ],
)
def test_a_piece_is_cut_where_the_box_lies(thumbs: Thumbs, box, seen: str) -> None:
    piece = opened(thumbs.large(thumbs.want(1, 300, box)))
    assert {colour(piece, x, y) for x in (0.1, 0.9) for y in (0.1, 0.9)} == {seen}
    assert piece.width <= 40


def test_a_piece_of_a_large_picture_has_the_large_ones_pixels(thumbs: Thumbs) -> None:
    assert opened(thumbs.small(thumbs.want(2, 200, (0, 0, 300, 400)))).size == (150, 200)


@pytest.mark.parametrize(
    "box",
    [
        *[(0, 0, 0, 5), (0, 0, 5, -1), (80, 0, 5, 5), (-9, 0, 9, 5), (0, 61, 5, 5)],
        *[(float("nan"), 0, 5, 5), (0, 0, float("inf"), 5), (1e308, 0, 1e308, 5), (0, 0, 1e-9, 1)],
    ],
)
def test_a_box_that_holds_nothing_is_refused(thumbs: Thumbs, library: Library, box) -> None:
    with pytest.raises(UsageError, match="box"):
        thumbs.want(1, 100, box)
    # the same when the size of the picture is only known once it is read
    path = Path(library.picture(1)["path"])
    os.utime(path, ns=(1, 1))
    with pytest.raises(UsageError, match="box"):
        thumbs.small(thumbs.want(1, 100, box))


def test_the_tag_differs_by_side_piece_and_content(thumbs: Thumbs, library: Library) -> None:
    asked = [(1, 40, None), (1, 41, None), (1, 40, (0, 0, 9, 9)), (2, 40, None)]
    tags = [thumbs.want(*one).tag for one in asked]
    assert len(set(tags)) == 4
    assert thumbs.want(1, 40).tag == tags[0]
    path = Path(library.picture(1)["path"])
    before = path.stat()
    flat(path, 5, (80, 60))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert thumbs.want(1, 40).tag != tags[0]


def test_a_picture_that_changed_is_never_shown_as_it_was(thumbs: Thumbs, library: Library) -> None:
    old = thumbs.small(thumbs.want(1, 40))
    path = Path(library.picture(1)["path"])
    Image.new("RGB", (80, 60), (0, 255, 0)).save(path)
    new = thumbs.small(thumbs.want(1, 40))
    assert new != old
    assert colour(opened(new), 0.1, 0.1) == "g"
    wanted = thumbs.want(1, 40)
    path.unlink()
    with pytest.raises(PictureGone):
        thumbs.want(1, 40)
    with pytest.raises(PictureGone):
        thumbs.large(wanted)


def test_what_was_made_is_kept_also_for_the_next_process(
    thumbs: Thumbs, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = thumbs.small(thumbs.want(1, 40))
    thumbs.close()
    monkeypatch.setattr(module.Thumbs, "_make", None)
    again = Thumbs(library.shelf)
    assert again.small(again.want(1, 40)) == first
    again.close()


def test_many_who_want_the_same_get_the_same(thumbs: Thumbs) -> None:
    got: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: got.append(thumbs.small(thumbs.want(2, 100))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1


def test_a_library_open_for_reading_gets_no_file(library: Library) -> None:
    path = library.path
    library.close()
    with Library.open(path, read_only=True) as reader:
        thumbs = Thumbs(reader.shelf)
        first = thumbs.small(thumbs.want(1, 40))
        assert thumbs.small(thumbs.want(1, 40)) == first
        thumbs.close()
        assert not (path / "cache" / "thumbs.sqlite3").exists()


# -- the cache


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "kept.sqlite3"


def test_what_is_kept_is_found_until_there_is_too_much(file: Path) -> None:
    kept = Kept(file, 10_000)
    for number in range(40):
        kept.put(bytes([number]), bytes([number]) * 500)
        assert kept.held <= 10_000
    assert kept.get(bytes([39])) == bytes([39]) * 500
    assert kept.get(bytes([0])) is None
    kept.put(b"large", bytes(5000))  # would push out half of the others
    assert kept.get(b"large") is None
    kept.close()
    assert kept.get(bytes([39])) is None


def test_what_was_used_longest_ago_goes_first(file: Path, monkeypatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("needlepoint.library.kept.time.time", lambda: now[0])
    kept = Kept(file, 1000)
    for name in (b"a", b"b", b"c"):
        kept.put(name, bytes(90))
        now[0] += 100
    kept.get(b"a")
    for number in range(8):
        now[0] += 100
        kept.put(bytes([number]), bytes(90))
    now[0] += 100
    kept.put(b"last", bytes(80))
    assert kept.get(b"a") is not None
    assert kept.get(b"b") is None
    kept.close()


def test_a_damaged_file_is_begun_anew(file: Path) -> None:
    for damage in (b"not a database at all" * 400, b"", b"SQLite format 3\0" + bytes(5000)):
        file.parent.mkdir(exist_ok=True)
        for end in ("-wal", "-shm"):
            file.with_name(file.name + end).unlink(missing_ok=True)
        file.write_bytes(damage)
        kept = Kept(file)
        kept.put(b"k", b"v")
        assert kept.get(b"k") == b"v"
        assert kept.on_disk
        kept.close()


def test_damage_in_the_middle_of_work_loses_only_the_cache(file: Path) -> None:
    kept = Kept(file)
    for number in range(200):
        kept.put(number.to_bytes(2), bytes([number]) * 3000)
    kept.close()
    held = bytearray(file.read_bytes())
    held[4096:-4096] = b"\x07" * (len(held) - 8192)
    file.write_bytes(held)
    kept = Kept(file)
    for number in range(200):
        assert kept.get(number.to_bytes(2)) in (None, bytes([number]) * 3000)
    kept.put(b"new", b"value")
    assert kept.get(b"new") == b"value"
    kept.close()


def test_a_value_that_was_flipped_is_not_given(file: Path) -> None:
    kept = Kept(file)
    kept.put(b"k", b"right")
    with sqlite3.connect(file) as db:
        db.execute("UPDATE kept SET data = ?", (b"wrong",))
    assert kept.get(b"k") is None
    kept.put(b"k", b"right")
    assert kept.get(b"k") == b"right"
    kept.close()


def test_where_no_file_can_be_a_little_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    for path in (None, tmp_path / "cache" / "kept.sqlite3"):
        kept = Kept(path)
        kept.put(b"k", b"v")
        assert kept.get(b"k") == b"v"
        assert not kept.on_disk
        kept.close()


def test_a_busy_file_is_done_without(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("needlepoint.library.kept.WAIT", 0.05)
    kept = Kept(file)
    kept.put(b"k", b"v")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    kept.put(b"more", b"v")
    other.execute("ROLLBACK")
    other.close()
    assert kept.get(b"k") == b"v"
    assert kept.get(b"more") is None
    kept.close()


def test_a_killed_process_leaves_a_file_that_serves(file: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from needlepoint.library.kept import Kept\n"
        "kept = Kept(Path(sys.argv[1]), 300_000)\n"
        "for n in range(10**6):\n"
        "    kept.put(n.to_bytes(4), n.to_bytes(4) * 500)\n"
        "    if n == 400: print('going', flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "going\n"
    child.kill()
    child.wait()
    kept = Kept(file, 300_000)
    assert kept.on_disk
    found = [n for n in range(500) if kept.get(n.to_bytes(4)) == n.to_bytes(4) * 500]
    assert found
    assert kept.held <= 300_000
    kept.close()
