"""Build the sample pictures of the repository: crowded rendered scenes and real photographs.

    python tools/build_samples.py samples --root / --panoramas node_modules/@pmndrs/assets

Needs pyvista, OpenEXR, scikit-image, scikit-learn, the Debian packages sweethome3d-furniture and
lomiri-wallpapers-16.04 (installed, or unpacked below --root), and the npm package
@pmndrs/assets 1.7.0 (CC0; its panoramas are Poly Haven's). All of it may be redistributed; nothing
is copyleft. ``samples/LICENSE.md`` is written from what was used.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image

from needlepoint.bench.needle import find_assets
from needlepoint.bench.needle.assets import Model
from needlepoint.bench.needle.build import about
from needlepoint.bench.needle.paste import open_rgb, trim
from needlepoint.bench.needle.truth import (
    Placed,
    ScenePicture,
    SceneQuery,
    Truth,
    View,
    positives_of,
)
from needlepoint.bench.needle.views import MIN_ANGLE, Shot, angle_between, render
from sample_licence import write_licence
from sample_meta import invented_exif
from sample_photos import PANORAMAS, PHOTOS, find_photo, load_panorama, view_of
from sample_pools import GROUNDS, TABLES, THEMES, TOY_CM, YARD
from sample_stage import FIELD, SIZE, Piece, Stage

SEED = 1


class Builder:
    """Builds one folder of samples; every picture has its own generator of random numbers."""

    def __init__(self, out: Path, roots: Sequence[Path], panoramas: Path, work: Path) -> None:
        self.out, self.roots, self.panoramas, self.work = out, roots, panoramas, work
        models = find_assets(roots, need=("models",)).models
        self.models = {
            row.object_id.split("/")[1]: row
            for row in models
            if row.licence == "CC0-1.0" and row.split != "fit"
        }
        self.pictures: list[ScenePicture] = []
        self.seen: dict[str, list[View]] = defaultdict(list)
        self.credits: dict[str, str] = {}

    def asked_view(self, model: Model) -> View:
        """From where a question shows the object; no scene shows it from near there."""
        rng = np.random.default_rng([SEED, *model.object_id.encode()])
        return View(round(float(rng.uniform(-75, -45)), 1), round(float(rng.uniform(14, 32)), 1))

    def table(self, number: int) -> None:
        """A table or counter full of small things in front of a room."""
        rng = np.random.default_rng([SEED, 1, number])
        stage = Stage(self.work)
        name = list(TABLES)[number % len(TABLES)]
        support = stage.add(self.models[name], TABLES[name])
        support.stand(0, 0, 0, float(rng.choice([0.0, 6.0, -8.0])))
        top = float(support.size[1])
        centre = (0.0, top, 0.0)
        half = 0.62 * max(support.size[2], support.size[0] * SIZE[1] / SIZE[0])
        plate = stage.plate(support, centre, half)
        view = View(float(rng.uniform(-24, 24)), float(rng.uniform(27, 40)))
        distance = float(max(support.size[0], support.size[2] * 0.9)) * float(
            rng.uniform(1.75, 2.0)
        )
        eye = stage.look((0.0, top + 3, 0.0), view, distance)
        theme = list(THEMES)[(number // len(TABLES)) % len(THEMES)]
        wanted = [THEMES[theme][i] for i in rng.permutation(len(THEMES[theme]))]
        pieces = self._fill(stage, wanted, int(rng.integers(14, 21)), eye, top, half, plate, rng)
        place = PANORAMAS["indoors"][int(rng.integers(len(PANORAMAS["indoors"])))]
        stage.light(
            View(view.azimuth + float(rng.choice([-75, 75, -50])), float(rng.uniform(45, 62))),
            0.5,
            float(rng.uniform(0.62, 0.8)),
            float(rng.uniform(0.1, 0.9)),
        )
        stage.shade(pieces, top, centre, half, plate)
        self._finish(stage, pieces, eye, place, view, f"{theme}-{number:02d}", True, rng)

    def yard(self, number: int) -> None:
        """Furniture and garden things standing about outdoors."""
        rng = np.random.default_rng([SEED, 2, number])
        stage = Stage(self.work)
        view = View(0.0, float(rng.uniform(17, 24)))
        eye = stage.look((0.0, 25.0, 0.0), view, float(rng.uniform(660, 760)))
        wanted = [YARD[i] for i in rng.permutation(len(YARD))]
        pieces = self._fill(stage, wanted, int(rng.integers(14, 21)), eye, 0.0, 195.0, None, rng)
        stage.light(
            View(float(rng.choice([-70, 70, 110])), float(rng.uniform(40, 58))),
            0.55,
            float(rng.uniform(0.6, 0.8)),
            float(rng.uniform(0.2, 1.0)),
        )
        ground = list(GROUNDS)[number % len(GROUNDS)]
        stage.sheet(self._ground(ground, rng), -0.5, (0.0, 0.0, 0.0), 600.0)
        stage.shade(pieces, 0.0, (0.0, 0.0, 0.0), 450.0, None, soft=5.0)
        place = PANORAMAS["outdoors"][int(rng.integers(len(PANORAMAS["outdoors"])))]
        self._finish(stage, pieces, eye, place, view, f"yard-{number:02d}", False, rng)

    def photos(self) -> None:
        """The real photographs, reduced to at most 960 pixels."""
        for photo in PHOTOS:
            image = open_rgb(find_photo(photo, self.roots), (1024, 1024))
            image.thumbnail((960, 960), Image.Resampling.LANCZOS)
            file = f"pictures/photo-{photo.name}.jpg"
            image.save(self.out / file, quality=76, optimize=True)
            self.credits[file] = (
                f"“{photo.caption}”, {photo.author}, {photo.licence}; from {photo.source}; reduced"
            )
            self.pictures.append(ScenePicture(file, *image.size, photo.name, ()))

    def questions(self, count: int) -> list[SceneQuery]:
        """Renderings of small things from a side that no sample shows."""
        (self.out / "queries").mkdir()
        rows = []
        for model in self.models.values():
            positives = positives_of(self.pictures, model.object_id, 0.5)
            if len(positives) < 3 or len(rows) == count:
                continue
            view = self.asked_view(model)
            nearest = min(angle_between(view, other) for other in self.seen[model.object_id])
            if nearest < MIN_ANGLE:
                raise SystemExit(f"{model.object_id} is seen {nearest:.0f}° from its question")
            shot = Shot(view, View(view.azimuth + 35, 50.0), key=0.75, fill=0.45)
            thing = trim(render(model, [shot], size=320, work=self.work)[0])
            thing.thumbnail((210, 210), Image.Resampling.LANCZOS)
            base = Image.new("RGB", (256, 256), (222, 222, 220))
            base.paste(thing, ((256 - thing.width) // 2, (256 - thing.height) // 2), thing)
            stem = f"queries/{model.name.replace(' ', '-')}-{len(rows):02d}"
            base.save(self.out / f"{stem}.jpg", quality=88)
            thing.quantize(128).save(self.out / f"{stem}.png", optimize=True)
            for file in (f"{stem}.jpg", f"{stem}.png"):
                self.credits[file] = f"rendering of {model.name}"
            rows.append(
                SceneQuery(
                    f"{stem}.jpg", model.object_id, model.name, positives, f"{stem}.png", None, view
                )
            )
        return rows

    def truth(self, queries: list[SceneQuery]) -> Truth:
        used = {placed.object_id for picture in self.pictures for placed in picture.objects}
        return Truth(
            recipe="samples",
            split="samples",
            seed=SEED,
            licence="see LICENSE.md",
            objects=tuple(about(row) for row in self.models.values() if row.object_id in used),
            pictures=tuple(self.pictures),
            queries=tuple(queries),
        )

    def _fill(
        self,
        stage: Stage,
        wanted: list[str],
        count: int,
        eye: np.ndarray,
        surface: float,
        half: float,
        plate: np.ndarray | None,
        rng: np.random.Generator,
    ) -> list[Piece]:
        """Stand things on a surface: none on another, tall ones behind, none over the edge."""
        pieces: list[Piece] = []
        taken: list[tuple[float, float, float]] = []
        wide = half * SIZE[0] / SIZE[1]
        depth = 1.3 if plate is None else 0.75
        towards = np.array([eye[0], eye[2]]) / np.hypot(eye[0], eye[2])
        for name in wanted:
            if len(pieces) == count:
                break
            model = self.models[name]
            long = max(model.size_cm)
            scale = 1.0
            if plate is not None:
                scale = TOY_CM[name] / long if name in TOY_CM else (1.35 if long < 18 else 1.0)
            piece = stage.add(model, scale)
            radius = float(np.hypot(piece.size[0], piece.size[2])) / 2
            for _ in range(400):
                x, z = float(rng.uniform(-wide, wide)), float(rng.uniform(-half, half))
                near = float(np.array([x, z]) @ towards) / half
                yaw = float(rng.uniform(0, 360))
                clear = all(
                    np.hypot(x - a, z - b) > 0.88 * (radius + other) for a, b, other in taken
                )
                if (
                    clear
                    and _inside(plate, x, z, radius, half)
                    and near < depth - piece.size[1] / (0.7 * half)
                    and self._new_view(model, eye, (x, surface, z), yaw)
                ):
                    piece.stand(x, surface, z, yaw)
                    pieces.append(piece)
                    taken.append((x, z, radius))
                    break
            else:
                stage.remove(piece)
        return pieces

    def _new_view(
        self, model: Model, eye: np.ndarray, foot: tuple[float, float, float], yaw: float
    ) -> bool:
        seen = view_from(eye, foot, yaw)
        return angle_between(seen, self.asked_view(model)) >= MIN_ANGLE + 4

    def _ground(self, name: str, rng: np.random.Generator) -> np.ndarray:
        """A tinted texture [H, W, 4] that fades out towards the sides and the back."""
        import skimage.data

        grey = np.asarray(getattr(skimage.data, name)(), dtype=np.float64) / 255
        grey = np.tile(grey, (6, 8))[::2, ::2]
        low, high = (np.array(colour) for colour in GROUNDS[name])
        pixels = low + (high - low) * grey[..., None]
        rows, columns = np.mgrid[-1 : 1 : grey.shape[0] * 1j, -1 : 1 : grey.shape[1] * 1j]
        reach = np.hypot(rows, columns * 0.9)
        alpha = np.clip((1.0 - reach) / 0.35, 0, 1)
        return np.dstack([pixels, 255 * alpha]).astype(np.uint8)

    def _finish(
        self,
        stage: Stage,
        pieces: list[Piece],
        eye: np.ndarray,
        place: str,
        view: View,
        stem: str,
        indoors: bool,
        rng: np.random.Generator,
    ) -> None:
        whole, owner = stage.masks(pieces)
        scene = stage.picture()
        stage.close()
        base = view_of(
            load_panorama(self.panoramas, place),
            SIZE,
            azimuth=float(rng.uniform(0, 360)),
            pitch=-view.elevation * 0.7,
            field=FIELD * (1.9 if indoors else 1.25),
            blur=7.0 if indoors else 5.0,
        )
        base.paste(scene, (0, 0), scene)
        grain = rng.normal(0, 1.6, size=(SIZE[1], SIZE[0], 1))
        pixels = np.clip(np.asarray(base, dtype=np.float64) + grain, 0, 255)
        placed = []
        for number, (piece, mask) in enumerate(zip(pieces, whole, strict=True)):
            area = int(mask.sum())
            visible = float((owner == number).sum()) / area if area else 0.0
            if area < 60 or visible < 0.1:
                continue
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = (
                int(columns[0]),
                int(rows[0]),
                int(columns[-1] - columns[0] + 1),
                int(rows[-1] - rows[0] + 1),
            )
            seen = view_from(eye, piece.place, piece.yaw)
            self.seen[piece.model.object_id].append(seen)
            placed.append(
                Placed(
                    piece.model.name,
                    piece.model.object_id,
                    box,
                    round(area / (SIZE[0] * SIZE[1]), 6),
                    round(min(1.0, visible), 4),
                    seen,
                )
            )
        file = f"pictures/{stem}.jpg"
        Image.fromarray(np.rint(pixels).astype(np.uint8), "RGB").save(
            self.out / file, quality=80, optimize=True, **invented_exif(len(self.pictures), placed)
        )
        credit = "; ".join(sorted({piece.model.name for piece in pieces}))
        self.credits[file] = f"rendering over Poly Haven’s panorama “{place}” (CC0): {credit}"
        self.pictures.append(ScenePicture(file, *SIZE, place, tuple(placed)))


def view_from(eye: np.ndarray, foot: tuple[float, ...], yaw: float) -> View:
    """From where a camera at ``eye`` sees a thing that stands at ``foot``, turned by ``yaw``."""
    x, y, z = np.asarray(eye) - np.asarray(foot)
    azimuth = (float(np.degrees(np.arctan2(x, z))) - yaw) % 360
    elevation = float(np.degrees(np.arctan2(y, np.hypot(x, z))))
    return View(round(azimuth, 1), round(elevation, 1))


def _inside(plate: np.ndarray | None, x: float, z: float, radius: float, half: float) -> bool:
    """Whether a round foot lies wholly on the plate (a mask from above), or within the yard."""
    wide = half * SIZE[0] / SIZE[1]
    if plate is None:
        return abs(x) + radius < wide and abs(z) + radius < half
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rows = ((z + 0.8 * radius * np.sin(around)) / half + 1) / 2 * plate.shape[0]
    columns = ((x + 0.8 * radius * np.cos(around)) / wide + 1) / 2 * plate.shape[1]
    if rows.min() < 0 or columns.min() < 0:
        return False
    if rows.max() >= plate.shape[0] or columns.max() >= plate.shape[1]:
        return False
    return bool(plate[rows.astype(int), columns.astype(int)].all())


@click.command(help=__doc__)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--root", "roots", type=click.Path(path_type=Path), multiple=True, default=("/",))
@click.option("--panoramas", type=click.Path(path_type=Path), required=True)
@click.option("--work", type=click.Path(path_type=Path), default=".cache/models")
@click.option("--tables", default=44, show_default=True)
@click.option("--yards", default=20, show_default=True)
def main(
    out: Path, roots: tuple[Path, ...], panoramas: Path, work: Path, tables: int, yards: int
) -> None:
    """Build the sample pictures into OUT, which is emptied first."""
    if out.exists():
        shutil.rmtree(out)
    (out / "pictures").mkdir(parents=True)
    builder = Builder(out, roots, panoramas, work)
    for number in range(tables):
        builder.table(number)
    for number in range(yards):
        builder.yard(number)
    builder.photos()
    truth = builder.truth(builder.questions(30))
    truth.save(out)
    write_licence(out, builder.credits)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    click.echo(
        f"{len(truth.pictures)} pictures, {len(truth.queries)} questions, {size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
