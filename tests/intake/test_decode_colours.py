"""Decoding: deep pictures, transparency and colour profiles come out as plain sRGB."""

from __future__ import annotations

import io

import numpy as np
import pytest
from decode_kit import BLUE, GREEN, RED, WHITE, close, corners, quarters, wide_profile
from hostile_files import encoded, picture, png
from PIL import Image, ImageCms

from needlepoint.intake.decode import decode


class TestDeepPictures:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)

    @pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
    def test_16_bit_grey_is_scaled(self, format: str) -> None:
        got = decode(encoded(format, Image.fromarray(self.ramp))).pixels
        assert close(got[..., 1], self.ramp / 257.0, 1)

    def test_dark_16_bit_grey_is_not_stretched(self) -> None:
        dark = (self.ramp // 300).astype(np.uint16)
        for format in ("PNG", "PPM"):
            assert decode(encoded(format, Image.fromarray(dark))).pixels.max() <= 1

    def test_16_bit_grey_where_zero_is_white(self) -> None:
        data = encoded("TIFF", Image.fromarray(self.ramp), tiffinfo={262: 0})
        got = decode(data).pixels[..., 0]
        assert got[0, 0] > 250
        assert got[-1, -1] < 5

    def test_16_bit_rgb_tiff(self) -> None:
        tifffile = pytest.importorskip("tifffile")
        values = np.stack([self.ramp, self.ramp[::-1], self.ramp[:, ::-1]], axis=2)
        file = io.BytesIO()
        tifffile.imwrite(file, values, photometric="rgb")
        assert close(decode(file.getvalue()).pixels, values / 257.0, 1)

    def test_16_bit_rgb_png(self) -> None:
        import zlib

        rows = np.zeros((4, 4, 3), ">u2")
        rows[..., 0], rows[..., 1] = 0x8000, 0xFFFF
        idat = zlib.compress(b"".join(b"\x00" + row.tobytes() for row in rows))
        assert tuple(decode(png(4, 4, idat, depth=16)).pixels[0, 0]) == (128, 255, 0)

    @pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
    def test_float_tiff(self, top: float) -> None:
        values = (self.ramp / 65535 * top).astype(np.float32)
        assert close(decode(encoded("TIFF", Image.fromarray(values))).pixels[..., 0],
                     self.ramp / 257.0, 1)  # fmt: skip

    def test_float_tiff_with_holes_and_odd_range(self) -> None:
        values = np.linspace(-3, 7, 64 * 48).reshape(48, 64).astype(np.float32)
        values[0, :3] = np.nan, np.inf, -np.inf
        got = decode(encoded("TIFF", Image.fromarray(values))).pixels[..., 0]
        assert tuple(got[0, :3]) == (0, 255, 0)
        assert got[-1, -1] == 255
        assert close(got[24, 0], 127, 2)

    def test_32_bit_integers(self) -> None:
        got = decode(encoded("TIFF", Image.fromarray(self.ramp.astype(np.int32) * 1000)))
        assert got.pixels.min() == 0
        assert got.pixels.max() == 255

    def test_bilevel(self) -> None:
        for format in ("PNG", "TIFF", "PPM"):
            assert set(np.unique(decode(encoded(format, quarters().convert("1"))).pixels)) == {
                0,
                255,
            }

    def test_cmyk_and_lab_tiff(self) -> None:
        got = decode(encoded("TIFF", quarters().convert("CMYK"))).pixels
        assert close(corners(got), [RED, GREEN, BLUE, WHITE], 3)
        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        lab = ImageCms.applyTransform(quarters(), to_lab)
        assert close(corners(decode(encoded("TIFF", lab)).pixels), [RED, GREEN, BLUE, WHITE], 12)


class TestTransparency:
    def half_clear(self) -> Image.Image:
        image = quarters().convert("RGBA")
        image.paste((0, 0, 0, 0), (0, 0, 32, 48))
        image.putpixel((63, 47), (255, 255, 255, 128))
        return image

    @pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
    def test_over_grey_with_a_box(self, format: str) -> None:
        options = {"lossless": True} if format == "WEBP" else {}
        got = decode(encoded(format, self.half_clear(), **options))
        assert close(got.pixels[:, :30], 128, 3)
        assert close(got.pixels[10, 50], GREEN, 12)
        x, _y, w, h = got.extra["alpha_box"]
        assert (x + w, h) == (64, 48)
        assert abs(x - 32) <= (1 if format == "AVIF" else 0)

    def test_partial_opacity_is_a_mixture(self) -> None:
        got = decode(encoded("PNG", Image.new("RGBA", (4, 4), (255, 0, 0, 51)))).pixels[0, 0]
        assert tuple(got) == (153, 102, 102)

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_opaque_alpha_leaves_no_box(self, mode: str) -> None:
        got = decode(encoded("PNG", quarters().convert(mode)))
        assert "alpha_box" not in got.extra

    def test_entirely_clear_leaves_no_box(self) -> None:
        got = decode(encoded("PNG", Image.new("RGBA", (5, 5), (255, 0, 0, 0))))
        assert "alpha_box" not in got.extra
        assert (got.pixels == 128).all()

    def test_palette_with_one_clear_colour(self) -> None:
        image = Image.new("P", (20, 10), 1)
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.paste(0, (0, 0, 10, 10))
        for format in ("PNG", "GIF"):
            got = decode(encoded(format, image, transparency=0))
            assert got.extra["alpha_box"] == (10, 0, 10, 10)
            assert tuple(got.pixels[0, 0]) == (128, 128, 128)
            assert tuple(got.pixels[0, 15]) == (0, 0, 255)

    def test_palette_with_many_opacities(self) -> None:
        image = Image.new("P", (3, 1))
        image.putpalette([255, 0, 0, 255, 0, 0, 255, 0, 0])
        for x in range(3):
            image.putpixel((x, 0), x)
        got = decode(encoded("PNG", image, transparency=bytes([0, 51, 255]))).pixels[0]
        assert [tuple(p) for p in got] == [(128, 128, 128), (153, 102, 102), (255, 0, 0)]

    def test_named_transparent_colour(self) -> None:
        got = decode(encoded("PNG", quarters(), transparency=RED))
        assert got.extra["alpha_box"] == (0, 0, 64, 48)
        assert tuple(got.pixels[5, 5]) == (128, 128, 128)
        grey = Image.new("L", (8, 8), 7)
        grey.putpixel((3, 4), 99)
        assert decode(encoded("PNG", grey, transparency=7)).extra["alpha_box"] == (3, 4, 1, 1)

    def test_named_transparent_colour_of_16_bits(self) -> None:
        import zlib

        rows = np.full((4, 4, 3), 0x1234, ">u2")
        rows[2, 3] = 0xF000
        idat = zlib.compress(b"".join(b"\x00" + row.tobytes() for row in rows))
        data = png(4, 4, idat, (b"tRNS", b"\x12\x34" * 3), depth=16)
        assert decode(data).extra["alpha_box"] == (3, 2, 1, 1)
        grey = zlib.compress(b"".join(b"\x00" + row[:, 0].tobytes() for row in rows))
        data = png(4, 4, grey, (b"tRNS", b"\x12\x34"), depth=16, colour=0)
        assert decode(data).extra["alpha_box"] == (3, 2, 1, 1)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_box_is_turned_with_the_picture(self, orientation: int) -> None:
        image = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
        image.paste((0, 255, 0, 255), (5, 2, 12, 9))
        exif = Image.Exif()
        exif[0x0112] = orientation
        got = decode(encoded("PNG", image, exif=exif))
        x, y, w, h = got.extra["alpha_box"]
        green = (got.pixels == (0, 255, 0)).all(axis=2)
        assert green[y : y + h, x : x + w].all()
        assert green.sum() == w * h


class TestProfiles:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
    def test_profile_is_obeyed(self, format: str) -> None:
        image = Image.new("RGB", (32, 32), (230, 20, 20))
        got = decode(encoded(format, image, icc_profile=wide_profile())).pixels[16, 16]
        assert close(got, (20, 230, 20), 25)

    def test_profile_with_palette_and_alpha(self) -> None:
        image = Image.new("RGBA", (8, 8), (230, 20, 20, 255))
        assert close(
            decode(encoded("PNG", image, icc_profile=wide_profile())).pixels[1, 1],
            (20, 230, 20),
            25,
        )
        image = image.convert("RGB").quantize(4)
        assert close(
            decode(encoded("PNG", image, icc_profile=wide_profile())).pixels[1, 1],
            (20, 230, 20),
            25,
        )

    def test_bad_profile_is_ignored(self) -> None:
        data = encoded("PNG", quarters(), icc_profile=wide_profile()[:300] + bytes(200))
        assert close(corners(decode(data).pixels), [RED, GREEN, BLUE, WHITE], 0)

    def test_srgb_profile_changes_nothing(self) -> None:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        data = encoded("PNG", picture(), icc_profile=srgb)
        assert np.array_equal(decode(data).pixels, np.asarray(picture()))
