"""Pixels come out upright, in sRGB, over grey, at the promised scale."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from decode_kit import BLUE, GREEN, RED, WHITE, close, corners, quarters, wide_profile
from hostile_files import encoded, half, heif, picture, png
from PIL import Image, ImageOps
from raw_files import dng

from needlepoint.errors import PictureError, UsageError
from needlepoint.intake import decode as module
from needlepoint.intake.changes import digest
from needlepoint.intake.decode import Limits, decode


@pytest.mark.parametrize(
    ("format", "name", "tolerance"),
    [
        ("JPEG", "jpeg", 8), ("PNG", "png", 0), ("WEBP", "webp", 12), ("GIF", "gif", 0),
        ("BMP", "bmp", 0), ("TIFF", "tiff", 0), ("PPM", "pnm", 0), ("AVIF", "avif", 12),
        ("JPEG2000", "jpeg2000", 8),
    ],
)  # fmt: skip
def test_formats(format: str, name: str, tolerance: float) -> None:
    got = decode(encoded(format, quarters(), **({"quality": 95} if format in "JPEG" else {})))
    assert got.facts.format == name
    assert got.size == (64, 48)
    assert got.pixels.dtype == np.uint8
    assert got.pixels.flags.writeable
    assert close(corners(got.pixels), [RED, GREEN, BLUE, WHITE], tolerance)


def test_heic() -> None:
    got = decode(heif())
    assert (got.facts.format, got.size) == ("heic", (320, 240))
    assert np.abs(got.pixels.astype(int) - np.asarray(picture())).mean() < 6


def test_heic_turned_by_its_own_box_is_not_turned_again_by_exif() -> None:
    import pillow_heif

    exif = Image.Exif()
    exif[0x0112] = 6
    coded = pillow_heif.from_bytes("RGB", (64, 48), quarters().tobytes())
    coded.info["exif"] = exif.tobytes()
    file = io.BytesIO()
    coded.save(file, quality=95)
    assert b"irot" in file.getvalue()
    got = decode(file.getvalue())
    assert got.size == (48, 64)
    assert close(corners(got.pixels), [BLUE, RED, WHITE, GREEN], 20)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_agrees_with_pillows_own_turn(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} if format != "WEBP" else {"exif": exif.tobytes(), "lossless": True}
    data = encoded(format, picture(90, 70), **options)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    got = decode(data)
    assert np.array_equal(got.pixels, wanted)
    assert got.size == ((70, 90) if orientation >= 5 else (90, 70))


def test_orientation_across_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    from needlepoint.intake import colour

    exif = Image.Exif()
    exif[0x0112] = 7
    data = encoded("PNG", picture(90, 70), exif=exif)
    whole = decode(data)
    monkeypatch.setattr(colour, "_BAND_PIXELS", 90 * 9)
    assert np.array_equal(decode(data).pixels, whole.pixels)


@pytest.mark.parametrize(
    ("at_least", "shape"),
    [(0, (1200, 1600)), (1600, (1200, 1600)), (801, (1200, 1600)), (800, (600, 800)),
     (400, (300, 400)), (201, (300, 400)), (200, (150, 200)), (10, (150, 200)),
     (5000, (1200, 1600))],
)  # fmt: skip
def test_jpegs_are_decoded_small_but_never_too_small(at_least: int, shape: tuple[int, int]) -> None:
    got = decode(encoded("JPEG", picture(1600, 1200)), at_least=at_least)
    assert got.pixels.shape[:2] == shape
    assert got.size == (1600, 1200)
    assert got.scale_x == pytest.approx(1600 / shape[1])


@pytest.mark.parametrize("size", [(1601, 37), (65, 3), (4001, 2999), (17, 900), (9, 7), (8, 8)])
@pytest.mark.parametrize("at_least", [1, 50, 447])
def test_scaled_jpegs_of_odd_sizes(size: tuple[int, int], at_least: int) -> None:
    got = decode(encoded("JPEG", picture(*size)), at_least=at_least)
    assert got.size == size
    assert max(got.pixels.shape[:2]) >= min(at_least, max(size))


def test_scaled_and_turned_jpeg_keeps_the_upright_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    got = decode(encoded("JPEG", quarters(1600, 1200), exif=exif), at_least=300)
    assert got.size == (1200, 1600)
    assert got.pixels.shape == (400, 300, 3)
    assert close(corners(got.pixels), [BLUE, RED, WHITE, GREEN])


def test_progressive_and_grey_and_cmyk_jpegs() -> None:
    assert close(
        corners(decode(encoded("JPEG", quarters(), progressive=True)).pixels),
        [RED, GREEN, BLUE, WHITE],
        12,
    )
    grey = decode(encoded("JPEG", quarters().convert("L"))).pixels
    assert grey.shape == (48, 64, 3)
    assert (grey[..., 0] == grey[..., 2]).all()
    cmyk = decode(encoded("JPEG", quarters().convert("CMYK"), quality=95)).pixels
    assert close(corners(cmyk), [RED, GREEN, BLUE, WHITE], 12)


def test_mpo_gives_its_first_picture() -> None:
    file = io.BytesIO()
    quarters().save(file, "MPO", save_all=True, append_images=[picture(64, 48)], quality=95)
    got = decode(file.getvalue())
    assert got.facts.format == "jpeg"
    assert close(corners(got.pixels), [RED, GREEN, BLUE, WHITE])


def test_animations_give_their_first_picture() -> None:
    frames = [quarters(), Image.new("RGB", (64, 48))]
    for format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        file = io.BytesIO()
        frames[0].save(file, format, save_all=True, append_images=frames[1:])
        assert close(corners(decode(file.getvalue()).pixels), [RED, GREEN, BLUE, WHITE], 20), format


class TestRaw:
    def test_preview_when_large_enough(self) -> None:
        got = decode(dng(preview=encoded("JPEG", picture(256, 192))))
        assert (got.facts.format, got.size) == ("raw", (256, 192))
        assert got.facts.camera == "Testmaker One"
        assert got.facts.taken == "2021-05-06T07:08:09"
        assert np.abs(got.pixels.astype(int) - np.asarray(picture(256, 192))).mean() < 6

    def test_development_at_half_size_when_the_preview_is_small(self) -> None:
        got = decode(dng(preview=encoded("JPEG", picture(64, 48))))
        assert got.pixels.shape == (96, 128, 3)
        assert got.size == (256, 192)
        left, right = got.pixels[48, 20].astype(int), got.pixels[48, 108].astype(int)
        assert left[0] > left[2] + 100
        assert right[2] > right[0] + 100

    def test_small_preview_serves_a_small_wish(self) -> None:
        got = decode(dng(preview=encoded("JPEG", picture(64, 48))), at_least=60)
        assert got.pixels.shape == (48, 64, 3)
        assert got.size == (256, 192)

    @pytest.mark.parametrize("small", [True, False])
    def test_turned(self, small: bool) -> None:
        upright = np.asarray(picture(256, 192).transpose(Image.Transpose.ROTATE_270))
        got = decode(dng(preview=None if small else encoded("JPEG", picture(256, 192)),
                         orientation=6))  # fmt: skip
        assert got.size == (192, 256)
        if small:
            above, below = got.pixels[20, 48].astype(int), got.pixels[108, 48].astype(int)
            assert above[0] > above[2] + 100
            assert below[2] > below[0] + 100
        else:
            assert np.abs(got.pixels.astype(int) - upright).mean() < 6

    def test_preview_that_stands_upright_already_is_not_turned(self) -> None:
        upright = picture(192, 256)
        got = decode(dng(preview=encoded("JPEG", upright), orientation=6))
        assert got.size == (192, 256)
        assert got.pixels.shape == (256, 192, 3)
        assert np.abs(got.pixels.astype(int) - np.asarray(upright)).mean() < 6

    def test_truncated(self) -> None:
        with pytest.raises(PictureError, match="truncated"):
            decode(half(dng()))

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "rawpy", None)
        with pytest.raises(PictureError, match=r"needlepoint\[raw\]"):
            decode(dng())


def test_heic_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heif()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PictureError, match=r"needlepoint\[heif\]"):
        decode(data)


def test_sources_are_equivalent(tmp_path) -> None:
    data = encoded("PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    wanted = decode(data)
    with open(path, "rb") as stream:
        for source in (str(path), path, io.BytesIO(data), stream):
            got = decode(source)
            assert np.array_equal(got.pixels, wanted.pixels)
            assert got.extra["digest"] == digest(path)
    assert decode(path).source == str(path)


def test_negative_wish_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="-1"):
        decode(encoded("PNG"), at_least=-1)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_pixels=1000), "too many pixels"),
        (Limits(max_bytes=1000), "larger than 1 kB"),
        (Limits(max_memory=100_000), "memory"),
        (Limits(max_side=300), "side of 320"),
        (Limits(max_aspect=1.2), "strip"),
        (Limits(max_seconds=-1.0), "took longer"),
    ],
)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_each_limit_has_its_reason(tmp_path, limits: Limits, reason: str, format: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(format))
    with pytest.raises(PictureError) as caught:
        decode(path, limits=limits)
    assert reason in caught.value.reason


def test_pixel_limit_counts_what_is_decoded() -> None:
    data = encoded("JPEG", picture(1600, 1200))
    limits = Limits(max_pixels=200 * 150)
    assert decode(data, at_least=200, limits=limits).pixels.shape == (150, 200, 3)
    with pytest.raises(PictureError, match="too many pixels"):
        decode(data, at_least=400, limits=limits)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF", "GIF"])
def test_time_limit_holds_while_decoding(format: str) -> None:
    image = Image.new("RGB", (3000, 2500), (9, 99, 199)).effect_spread(40)
    data = encoded(format, image.convert("P", dither=0) if format == "GIF" else image)
    start = time.monotonic()
    with pytest.raises(PictureError, match=r"took longer than 0\.005 s"):
        decode(data, limits=Limits(max_seconds=0.005))
    assert time.monotonic() - start < 5
    for thread in module._left_behind:
        thread.join()
    assert decode(data).size == (3000, 2500)


def test_few_decoders_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def stuck(*_: object) -> object:
        release.wait(20)
        raise PictureError("x", "released")

    monkeypatch.setattr(module, "_decode", stuck)
    data = encoded("WEBP")
    reasons = []
    for _ in range(6):
        with pytest.raises(PictureError) as caught:
            decode(data, limits=Limits(max_seconds=0.01))
        reasons.append(caught.value.reason)
    release.set()
    assert ["busy" in reason for reason in reasons] == [False] * 4 + [True] * 2
    for thread in module._left_behind:
        thread.join()


def test_many_threads_agree() -> None:
    from concurrent.futures import ThreadPoolExecutor

    icc = wide_profile()
    data = [encoded("JPEG", picture(300 + i, 200), icc_profile=icc) for i in range(6)]
    data += [encoded("WEBP", picture(300, 200 + i)) for i in range(6)]
    wanted = [decode(d).pixels for d in data]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(4):
            for got, pixels in zip(pool.map(decode, data), wanted, strict=True):
                assert np.array_equal(got.pixels, pixels)


def test_nothing_is_printed_about_odd_files(tmp_path) -> None:
    """Warnings and C libraries' remarks stay off stderr, in a fresh process."""
    from hostile_files import exif_loop, tiff_claiming, with_segment

    odd = {
        "a.tif": tiff_claiming(4000, 4000, 5),
        "b.jpg": with_segment(encoded("JPEG"), 0xE1, exif_loop()),
        "c.tif": half(encoded("TIFF", compression="tiff_deflate")),
        "d.png": encoded("PNG", Image.new("1", (10_000, 9_500))),
        "e.png": png(4, 4, b"junk", (b"acTL", bytes(8))),
    }
    for name, data in odd.items():
        (tmp_path / name).write_bytes(data)
    program = (
        "import sys\nfrom needlepoint.intake.decode import decode\n"
        "from needlepoint.errors import PictureError\n"
        "for p in sys.argv[1:]:\n"
        "    try: decode(p)\n"
        "    except PictureError: pass\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "always", "-c", program, *(str(tmp_path / n) for n in odd)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert "PIL" not in ran.stderr
    assert "tempfile.tif" not in ran.stderr


def test_sidecar_is_read_and_left_alone(tmp_path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG"))
    sidecar = tmp_path / "a.xmp"
    text = (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
        "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
        "xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='4'/></rdf:RDF></x:xmpmeta>"
    )
    sidecar.write_text(text)
    assert decode(path).facts.rating == 4
    assert sidecar.read_text() == text
    sidecar.unlink()
    (tmp_path / "a.jpg.xmp").write_text(text)
    assert decode(path).facts.rating == 4
    (tmp_path / "a.jpg.xmp").write_text("<broken")
    assert decode(path).facts.rating is None
