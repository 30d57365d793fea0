"""Renderings of named 3-D models: which directions to look from, the renderer, and its cache."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from needlepoint.bench.needle.assets import Model, unpack
from needlepoint.bench.needle.tidy import tidy
from needlepoint.bench.needle.truth import View
from needlepoint.errors import ModelUnavailable, PictureError

MIN_ANGLE = 40.0
_LEAST_COVER = 0.01
_FIELD = 30.0
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shot:
    """One rendering: the camera's direction and the light's, in degrees, and its strength."""

    view: View
    light: View
    key: float
    fill: float


@dataclass(frozen=True)
class Rendering:
    """A finished rendering, cut to the object; ``path`` is an RGBA PNG."""

    shot: Shot
    path: Path


def direction(view: View) -> FloatArray:
    """Unit vector [3] (y up) from the object towards a camera at ``view``."""
    azimuth, elevation = np.radians(view.azimuth), np.radians(view.elevation)
    return np.array(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ]
    )


def angle_between(first: View, second: View) -> float:
    """Angle in degrees between two directions of view.

    Example:
        >>> round(angle_between(View(0, 0), View(90, 0)))
        90
    """
    cosine = float(direction(first) @ direction(second))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def plan_shots(
    object_id: str,
    count: int,
    *,
    seed: int = 0,
    min_angle: float = MIN_ANGLE,
    elevation: tuple[float, float] = (2.0, 50.0),
) -> tuple[Shot, ...]:
    """Choose directions and lights for one object.

    The first shot is kept for questions: every other one differs from it by at least
    ``min_angle``. A plan of n shots begins with the plan of n - 1.

    Args:
        object_id: the object; together with ``seed`` it decides everything.
        count: number of shots, at least 2.
        seed: seed of the whole set.
        min_angle: degrees between the first view and each other.
        elevation: least and greatest height of the camera, in degrees.

    Returns:
        ``count`` shots.
    """
    rng = np.random.default_rng([seed, zlib.crc32(object_id.encode())])
    shots: list[Shot] = []
    while len(shots) < count:
        view = View(
            azimuth=round(float(rng.uniform(0, 360)), 1),
            elevation=round(float(rng.uniform(*elevation)), 1),
        )
        if shots and angle_between(view, shots[0].view) < min_angle:
            continue
        light = View(
            azimuth=round(view.azimuth + float(rng.uniform(-80, 80)), 1),
            elevation=round(float(rng.uniform(20, 75)), 1),
        )
        shots.append(
            Shot(
                view,
                light,
                key=round(float(rng.uniform(0.55, 1.0)), 2),
                fill=round(float(rng.uniform(0.25, 0.5)), 2),
            )
        )
    return tuple(shots)


def render(model: Model, shots: Sequence[Shot], *, size: int, work: Path) -> list[Image.Image]:
    """Render a model from several directions with VTK, without a display.

    Args:
        model: the model; it is unpacked below ``work`` when it lies in an archive.
        shots: directions and lights.
        size: side of the square picture, in pixels.
        work: folder for unpacked files.

    Returns:
        One RGBA picture ``size`` x ``size`` per shot, transparent around the object.

    Raises:
        ModelUnavailable: pyvista is not installed.
        PictureError: the model's file holds nothing that can be drawn.
    """
    pyvista = import_pyvista()
    path = tidy(unpack(model, work))
    plotter = pyvista.Plotter(off_screen=True, window_size=(size, size), lighting="none")
    try:
        actors = add_model(plotter, path)
        if not actors:
            raise PictureError(str(path), "the model is empty")
        low, high = bounds_of(actors)
        turn = rotation(model)
        centre = turn @ (low + high) / 2
        radius = float(np.linalg.norm(high - low) / 2)
        if model.rotation is not None:
            matrix = np.eye(4)
            matrix[:3, :3] = turn
            for actor in actors:
                set_matrix(actor, matrix)
        plotter.enable_anti_aliasing("ssaa")
        camera = plotter.camera
        camera.view_angle = _FIELD
        camera.up = (0.0, 1.0, 0.0)
        camera.focal_point = tuple(centre)
        distance = radius / np.sin(np.radians(_FIELD / 2))
        pictures = []
        for shot in shots:
            plotter.remove_all_lights()
            plotter.add_light(pyvista.Light(light_type="headlight", intensity=shot.fill))
            plotter.add_light(
                pyvista.Light(
                    position=tuple(centre + direction(shot.light) * distance),
                    focal_point=tuple(centre),
                    light_type="scene light",
                    intensity=shot.key,
                )
            )
            camera.position = tuple(centre + direction(shot.view) * distance)
            plotter.renderer.ResetCameraClippingRange()
            plotter.render()
            pixels = plotter.screenshot(transparent_background=True, return_img=True)
            pictures.append(Image.fromarray(np.ascontiguousarray(pixels), "RGBA"))
        return pictures
    finally:
        plotter.close()


def add_model(plotter: Any, path: Path) -> list[Any]:
    """Load a tidy OBJ with its materials into a plotter; returns the actors that draw something.

    Many catalogues say "ambient 1, white", which would wash every colour out: ambient light takes
    the surface's own colour and a fixed share, and nearly invisible glass is made visible.
    """
    before = set(plotter.renderer.actors)
    plotter.import_obj(str(path), str(path.with_suffix(".mtl")))
    added = []
    for name, actor in list(plotter.renderer.actors.items()):
        if name in before:
            continue
        if not actor.GetMapper().GetInput().GetNumberOfCells():
            plotter.remove_actor(actor, render=False)
            continue
        added.append(actor)
        surface, texture = actor.GetProperty(), actor.GetTexture()
        if texture is not None:
            surface.SetDiffuseColor(1.0, 1.0, 1.0)
            texture.InterpolateOn()
            texture.MipmapOn()
        surface.SetAmbientColor(surface.GetDiffuseColor())
        surface.SetAmbient(0.3)
        surface.SetDiffuse(0.85)
        surface.SetSpecular(min(surface.GetSpecular(), 0.3))
        surface.SetOpacity(max(surface.GetOpacity(), 0.4))
    return added


def bounds_of(actors: Sequence[Any]) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest corner [3] of what the actors draw, before they are placed."""
    boxes = []
    for actor in actors:
        box = [0.0] * 6
        actor.GetMapper().GetInput().GetCellsBounds(box)
        boxes.append(box)
    limits = np.array(boxes).reshape(-1, 3, 2)
    return limits[:, :, 0].min(axis=0), limits[:, :, 1].max(axis=0)


def set_matrix(actor: Any, matrix: FloatArray) -> None:
    """Place an actor by a matrix [4, 4]."""
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    placed = vtkMatrix4x4()
    placed.DeepCopy(matrix.ravel().tolist())
    actor.SetUserMatrix(placed)


def rotation(model: Model) -> FloatArray:
    """The catalogue's rotation [3, 3] that stands the model upright."""
    if model.rotation is None:
        return np.eye(3)
    return np.array(model.rotation, dtype=float).reshape(3, 3)


def import_pyvista() -> Any:
    """Import pyvista for drawing without a display; ``ModelUnavailable`` says what to install."""
    try:
        import pyvista
    except ImportError as error:
        raise ModelUnavailable(
            "rendering 3-D models needs pyvista; install it with `pip install needlepoint[scenes]`"
        ) from error
    pyvista.OFF_SCREEN = True
    pyvista.vtk_verbosity("off")
    return pyvista


class ViewCache:
    """Renderings on disk: ``folder/<object id>/NN.png`` and ``index.json``; rendered once.

    A cache keeps the size, seed and least angle it was made with; another setting needs another
    folder.
    """

    def __init__(self, folder: str | Path, *, size: int = 320, seed: int = 0) -> None:
        """Use ``folder`` (made if missing) for renderings of ``size`` x ``size`` pixels."""
        self.folder = Path(folder)
        self.size = size
        self.seed = seed
        self.folder.mkdir(parents=True, exist_ok=True)

    def views(self, model: Model, count: int) -> list[Rendering]:
        """The first ``count`` renderings of a model; renders those that are missing.

        Returns:
            The renderings, the first of them for questions; empty when the model shows next to
            nothing from some side (thin sheets, empty files).
        """
        home = self.folder / f"{self.size}-{self.seed}" / model.object_id
        index = home / "index.json"
        known = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else None
        if known is None or (known["usable"] and known["count"] < count):
            known = self._render(model, count, home)
            index.write_text(json.dumps(known), encoding="utf-8")
        if not known["usable"]:
            return []
        shots = plan_shots(model.object_id, count, seed=self.seed)
        return [Rendering(shot, home / f"{number:02d}.png") for number, shot in enumerate(shots)]

    def _render(self, model: Model, count: int, home: Path) -> dict[str, Any]:
        home.mkdir(parents=True, exist_ok=True)
        shots = plan_shots(model.object_id, count, seed=self.seed)
        try:
            pictures = render(model, shots, size=self.size, work=self.folder / "unpacked")
        except PictureError as error:
            return {"usable": False, "count": 0, "reason": error.reason}
        cover = min(float((np.asarray(p.getchannel("A")) > 127).mean()) for p in pictures)
        if cover < _LEAST_COVER:
            return {"usable": False, "count": 0, "reason": f"covers {cover:.4f} of a view"}
        for number, picture in enumerate(pictures):
            box = picture.getchannel("A").point(lambda value: 255 * (value > 8)).getbbox()
            picture.crop(box).save(home / f"{number:02d}.png", compress_level=3)
        return {"usable": True, "count": count}
