"""The photographs behind and beside the rendered samples, with their authors and licences."""

from __future__ import annotations

import base64
import importlib.util
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

_SKIMAGE = "scikit-image 0.26, skimage.data"
LOMIRI = "usr/share/backgrounds"
PANORAMAS = {
    "indoors": (
        "apartment",
        "bridge",
        "hall",
        "lab",
        "lobby",
        "warehouse",
        "workshop",
    ),
    "outdoors": ("city", "dawn", "forest", "park", "sunrise", "sunset", "venice"),
}


@dataclass(frozen=True)
class Photo:
    """A real photograph: where it comes from, who took it, under which licence."""

    name: str
    place: str
    caption: str
    author: str
    licence: str
    source: str


def _skimage(name: str, file: str, caption: str, author: str, licence: str) -> Photo:
    return Photo(
        name, f"skimage:{file}", caption, author, licence, "scikit-image 0.26, skimage.data"
    )


def _lomiri(name: str, file: str, caption: str, author: str, licence: str = "CC-BY-4.0") -> Photo:
    package = "Debian lomiri-wallpapers-16.04 20.04.0-2"
    return Photo(name, f"{LOMIRI}/{file}", caption, author, licence, package)


PHOTOS = (
    _skimage("coffee", "coffee.png", "a cup of coffee with a spoon", "Rachel Michetti", "CC0-1.0"),
    _skimage("cat", "chelsea.png", "a tabby cat", "Stefan van der Walt", "CC0-1.0"),
    _skimage("cameraman", "camera.png", "a man with a camera", "Lav Varshney", "CC0-1.0"),
    _skimage("rocket", "rocket.jpg", "a rocket launch", "SpaceX", "public domain"),
    _skimage("astronaut", "astronaut.png", "an astronaut", "NASA", "public domain"),
    _skimage("galaxies", "hubble_deep_field.jpg", "distant galaxies", "NASA", "public domain"),
    _skimage("retina", "retina.jpg", "a human retina", "Mikael Häggström", "CC0-1.0"),
    _lomiri(
        "dandelions",
        "seeding_by_Clements_Engelhardt.jpg",
        "dandelion clocks in a meadow",
        "Clemens Engelhardt",
        "CC0-1.0",
    ),
    _lomiri("mountain", "aitzgorri_by_Aitzol_Berasategi.jpg", "a mountain", "Aitzol Berasategi"),
    _lomiri("dogs", "friends_by_Aitzol_Berasategi.jpg", "two dogs", "Aitzol Berasategi"),
    _lomiri("stream", "life_by_Aitzol_Berasategi.jpg", "a stream in a wood", "Aitzol Berasategi"),
    _lomiri("peaks", "picosdeeuropa_by_Aitzol_Berasategi.jpg", "snowy peaks", "Aitzol Berasategi"),
    _lomiri("sunset", "sunset_by_Aitzol_Berasategi.jpg", "a sunset", "Aitzol Berasategi"),
    _lomiri("fig", "Picture_0B_by_freespace.jpg", "half a fig in a red bowl", 'Trevor "Freespace"'),
    _lomiri("brushes", "Picture_1A_by_freespace.jpg", "paint brushes", 'Trevor "Freespace"'),
    _lomiri("wine", "Wine_by_Jakkub_Mede.jpg", "a wine barrel and a table", "Jakub Mede"),
    Photo(
        "temple",
        "sklearn:china.jpg",
        "a Chinese temple",
        "Flickr user danielbuechele",
        "CC-BY-2.0",
        "scikit-learn, sklearn.datasets (www.flickr.com/photos/danielbuechele/6061409035)",
    ),
    Photo(
        "flower",
        "sklearn:flower.jpg",
        "a dahlia",
        "Flickr user vultilion",
        "CC-BY-2.0",
        "scikit-learn, sklearn.datasets (www.flickr.com/photos/vultilion/6056698931)",
    ),
)


def find_photo(photo: Photo, roots: Sequence[Path]) -> Path:
    """The photograph's file: in an installed Python package, or below one of the roots."""
    package, _, file = photo.place.partition(":")
    if not file:
        for root in roots:
            if (root / photo.place).is_file():
                return root / photo.place
        raise SystemExit(f"{photo.name} comes with {photo.source}: install it or give its --root")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{photo.name} comes with {photo.source}: install {package}")
    folder = Path(spec.origin).parent
    return folder / ("data" if package == "skimage" else "datasets/images") / file


def load_panorama(folder: Path, name: str) -> np.ndarray:
    """A panorama of the npm package @pmndrs/assets as float [H, W, 3], linear, middle at 0.5."""
    import OpenEXR

    text = (folder / "hdri" / f"{name}.exr.js").read_text(encoding="ascii")
    match = re.search(r"base64,([A-Za-z0-9+/=]+)", text)
    if match is None:
        raise SystemExit(f"{folder}/hdri/{name}.exr.js holds no picture")
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(base64.b64decode(match[1]))
        file.flush()
        with OpenEXR.File(file.name) as opened:
            channels = opened.channels()
            if "RGB" in channels:
                pixels = np.array(channels["RGB"].pixels, dtype=np.float64)
            else:
                pixels = np.stack([channels[key].pixels for key in "RGB"], axis=-1).astype(float)
    burnt = ~np.isfinite(pixels).all(axis=-1) | (pixels < 0).any(axis=-1)
    pixels[burnt] = 60.0
    return pixels * (0.4 / max(1e-6, float(np.median(pixels.max(axis=-1)))))


def view_of(
    panorama: np.ndarray,
    size: tuple[int, int],
    *,
    azimuth: float,
    pitch: float,
    field: float,
    blur: float,
) -> Image.Image:
    """What a camera sees of a panorama; ``azimuth``, ``pitch``, vertical ``field`` in degrees."""
    width, height = size
    reach = np.tan(np.radians(field / 2))
    up, right = np.meshgrid(
        np.linspace(reach, -reach, height),
        np.linspace(-reach, reach, width) * width / height,
        indexing="ij",
    )
    angle = np.radians(pitch)
    forward = np.cos(angle) - up * np.sin(angle)
    high = np.sin(angle) + up * np.cos(angle)
    longitude = np.arctan2(right, forward) + np.radians(azimuth)
    latitude = np.arctan2(high, np.hypot(right, forward))
    toned = _mend(np.clip(1.35 * panorama / (1 + panorama), 0, 1) ** (1 / 2.2))
    rows = (0.5 - latitude / np.pi) * panorama.shape[0] - 0.5
    columns = (longitude / (2 * np.pi)) * panorama.shape[1]
    seen = _bilinear(toned, rows, columns)
    image = Image.fromarray(np.rint(255 * seen).astype(np.uint8), "RGB")
    return image.filter(ImageFilter.GaussianBlur(blur))


def _mend(pixels: np.ndarray) -> np.ndarray:
    """Fill the dark specks that the panoramas' compression left around bright lamps."""
    image = Image.fromarray(np.rint(255 * pixels).astype(np.uint8), "RGB")
    closed = image.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5))
    filled = np.asarray(closed, dtype=np.float64) / 255
    speck = (filled.min(axis=-1) > 0.8) & ((filled - pixels).max(axis=-1) > 0.3)
    return np.where(speck[..., None], filled, pixels)


def _bilinear(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    rows = np.clip(rows, 0, height - 1.001)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, across = (rows - top)[..., None], (columns - left)[..., None]
    here, beside = left % width, (left + 1) % width
    upper = pixels[top, here] * (1 - across) + pixels[top, beside] * across
    lower = pixels[top + 1, here] * (1 - across) + pixels[top + 1, beside] * across
    return upper * (1 - down) + lower * down
