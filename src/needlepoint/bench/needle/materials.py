"""What crowds are made of: stamps, clip art, emoji and models, each with its word and split."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from needlepoint.bench.needle.assets import Assets, Background, Model, Stamp
from needlepoint.bench.needle.paste import trim
from needlepoint.bench.needle.words import deal_instances, word_of
from needlepoint.errors import UsageError

KINDS = ("photo", "drawn", "clipart", "emoji")
CLIPART = "usr/share/openclipart/png"
EMOJI = "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
_LONGEST = 640
_GLYPH_SIZE = 109  # the one size of the font's pictures
_GROUND_SPLIT = {"fit": "train", "dev": "dev", "test": "test"}


@dataclass(frozen=True)
class Material:
    """One thing that can be put into a crowd.

    ``kind`` is ``photo``, ``drawn``, ``clipart``, ``emoji`` or ``model``; ``names`` its short
    names by language; ``path`` a picture with transparency or the emoji font, ``glyph`` the emoji,
    ``model`` the 3-D model.
    """

    object_id: str
    name: str
    caption: str
    word: str
    kind: str
    split: str
    licence: str
    names: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    glyph: str = ""
    model: Model | None = None


def flat_materials(
    assets: Assets, roots: Sequence[str | Path], kinds: Sequence[str]
) -> list[Material]:
    """Stamps, clip art and emoji of the wanted kinds, dealt to the splits of crowds.

    Args:
        assets: the stamps that were found.
        roots: folders that hold a ``usr/share``, for clip art and the emoji font.
        kinds: some of ``photo``, ``drawn`` (stamps), ``clipart``, ``emoji``.

    Returns:
        The materials, ordered by id.

    Raises:
        UsageError: an unknown kind, or clip art or emoji that are not installed.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise UsageError(f"materials={unknown[0]!r} is not known (allowed: {', '.join(KINDS)})")
    rows = [_stamp(stamp) for stamp in assets.stamps]
    wanted = [row for row in rows if row.kind in kinds]
    for kind, maker, place, package in (
        ("clipart", _clipart, CLIPART, "openclipart-png"),
        ("emoji", _emoji, EMOJI, "fonts-noto-color-emoji"),
    ):
        if kind in kinds:
            found = next(
                (Path(root) / place for root in roots if (Path(root) / place).exists()), None
            )
            if found is None:
                raise UsageError(
                    f"roots={[str(root) for root in roots]} hold no {place}; install it with "
                    f"`apt-get install {package}` or leave {kind!r} out of materials"
                )
            wanted += maker(found)
    return _dealt(wanted)


def model_materials(models: Iterable[Model]) -> list[Material]:
    """3-D models, dealt to the splits of crowds, with their names in every catalogue language."""
    rows = []
    names: dict[Path, dict[str, dict[str, str]]] = {}
    for model in models:
        if model.archive not in names:
            names[model.archive] = _catalogue_names(model.archive)
        rows.append(
            Material(
                object_id=model.object_id,
                name=model.name,
                caption=model.caption,
                word=word_of(model.name),
                kind="model",
                split="",
                licence=model.licence,
                names=names[model.archive].get(model.member, {}),
                model=model,
            )
        )
    return _dealt(rows)


def grounds_of(backgrounds: Sequence[Background], split: str) -> list[Background]:
    """The photographs behind scenes of a split; training uses those reserved for fitting."""
    return [row for row in backgrounds if _GROUND_SPLIT[row.split] == split]


@lru_cache(maxsize=1500)
def cutout(path: Path, glyph: str = "", halvings: int = 0) -> Image.Image:
    """An RGBA picture cut to its visible part, at most 640 pixels long; an emoji with ``glyph``.

    ``halvings`` says how often to halve its sides, so that small copies are quick to make.
    """
    if halvings:
        return cutout(path, glyph).convert("RGBa").reduce(2**halvings).convert("RGBA")
    if glyph:
        font = ImageFont.truetype(str(path), _GLYPH_SIZE)
        image = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
        ImageDraw.Draw(image).text((8, 8), glyph, font=font, embedded_color=True)
        return trim(image)
    with Image.open(path) as opened:
        reduced = opened.convert("RGBA")
    reduced = trim(reduced).convert("RGBa")
    reduced.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    return reduced.convert("RGBA")


def _dealt(rows: Sequence[Material]) -> list[Material]:
    dealt = deal_instances({row.object_id: row.word for row in rows})
    ordered = sorted(rows, key=lambda row: row.object_id)
    return [replace(row, split=dealt[row.object_id]) for row in ordered]


def _stamp(stamp: Stamp) -> Material:
    words = stamp.path.with_suffix(".txt").read_text(encoding="utf-8", errors="replace")
    names = {"en": stamp.caption}
    for line in words.splitlines()[1:]:
        language, equals, text = line.partition(".utf8=")
        if equals and text.strip():
            names[language.strip()] = text.strip().rstrip(".。")
    return Material(
        object_id=f"stamp/{stamp.object_id}",
        name=stamp.name,
        caption=stamp.caption,
        word=word_of(stamp.name),
        kind="photo" if stamp.photo else "drawn",
        split="",
        licence=stamp.licence,
        names=names,
        path=stamp.path,
    )


def _clipart(folder: Path) -> list[Material]:
    return [
        Material(
            object_id=f"clipart/{place.removesuffix('.png')}",
            name=word,
            caption=word,
            word=word,
            kind="clipart",
            split="",
            licence="CC0-1.0",
            names={"en": word},
            path=folder / place,
        )
        for word, place in _drawn("clipart")
        if (folder / place).is_file()
    ]


def _emoji(font: Path) -> list[Material]:
    return [
        Material(
            object_id=f"emoji/{code}",
            name=word,
            caption=unicodedata.name(chr(int(code, 16))).lower(),
            word=word,
            kind="emoji",
            split="",
            licence="OFL-1.1",
            names={"en": word},
            path=font,
            glyph=chr(int(code, 16)),
        )
        for word, code in _drawn("emoji")
    ]


def _drawn(kind: str) -> list[tuple[str, str]]:
    text = resources.files("needlepoint.bench.needle").joinpath("drawn.txt").read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, place) for word, its, place in rows if its == kind]


def _catalogue_names(archive: Path) -> dict[str, dict[str, str]]:
    """Names by model member and language, from every catalogue file of an archive."""
    texts: dict[str, str] = {}
    pattern = re.compile(r"PluginFurnitureCatalog(?:_(\w+))?\.properties$")
    if archive.is_dir():
        for path in sorted(archive.iterdir()):
            if match := pattern.match(path.name):
                texts[match[1] or "en"] = path.read_text(encoding="latin-1")
    else:
        with zipfile.ZipFile(archive) as bundle:
            for member in bundle.namelist():
                if match := pattern.match(member):
                    texts[match[1] or "en"] = bundle.read(member).decode("latin-1")
    members: dict[str, str] = {}
    found: dict[str, dict[str, str]] = {}
    for line in texts.get("en", "").splitlines():
        if match := re.match(r"model#(\d+)\s*=\s*/?(.*)", line.strip()):
            members[match[1]] = match[2].strip()
    for language, text in sorted(texts.items()):
        for line in text.splitlines():
            match = re.match(r"name#(\d+)\s*=\s*(.*)", line.strip())
            if match and match[1] in members:
                found.setdefault(members[match[1]], {})[language] = _unescaped(match[2].strip())
    return found


def _unescaped(text: str) -> str:
    r"""The text of a properties file's value, ``\uXXXX`` resolved."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
