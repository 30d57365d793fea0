"""A small stage for the sample pictures: models on a surface, soft shadows, masks, a photograph.

Lengths are centimetres, y is up. Everything is drawn by VTK without a display.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from needlepoint.bench.needle.assets import Model, unpack
from needlepoint.bench.needle.tidy import tidy
from needlepoint.bench.needle.truth import View
from needlepoint.bench.needle.views import (
    add_model,
    bounds_of,
    direction,
    import_pyvista,
    rotation,
    set_matrix,
)

SIZE = (960, 720)
FINE = 2
FIELD = 32.0
_ABOVE = 2000.0


@dataclass
class Piece:
    """A model on the stage: its actors, its size [3] in cm, and where it stands."""

    model: Model
    actors: list[Any]
    low: np.ndarray
    high: np.ndarray
    scale: float
    matrix: np.ndarray = field(default_factory=lambda: np.eye(4))
    yaw: float = 0.0
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def foot(self) -> np.ndarray:
        """The middle of the model's foot [3], in the model's own coordinates, stood upright."""
        return np.array(
            [(self.low[0] + self.high[0]) / 2, self.low[1], (self.low[2] + self.high[2]) / 2]
        )

    @property
    def size(self) -> np.ndarray:
        return (self.high - self.low) * self.scale

    def stand(self, x: float, y: float, z: float, yaw: float) -> None:
        """Put the middle of the model's foot at a point, turned by ``yaw`` degrees."""
        sine, cosine = np.sin(np.radians(yaw)), np.cos(np.radians(yaw))
        turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
        matrix = np.eye(4)
        matrix[:3, :3] = self.scale * turn @ rotation(self.model)
        matrix[:3, 3] = np.array([x, y, z]) - self.scale * turn @ self.foot
        self.matrix, self.yaw, self.place = matrix, yaw, (x, y, z)
        self.draw_at(matrix)

    def draw_at(self, matrix: np.ndarray) -> None:
        for actor in self.actors:
            set_matrix(actor, matrix)

    def show(self, visible: bool) -> None:
        for actor in self.actors:
            actor.SetVisibility(visible)


class Stage:
    """Models, lights and a camera; ``work`` keeps unpacked models."""

    def __init__(self, work: Path) -> None:
        self.pyvista = import_pyvista()
        self.work = work
        self.plotter = self.pyvista.Plotter(
            off_screen=True, window_size=(SIZE[0] * FINE, SIZE[1] * FINE), lighting="none"
        )
        self.plotter.disable_anti_aliasing()
        self.pieces: list[Piece] = []
        self.extras: list[Any] = []
        self.lamp = View(-65.0, 52.0)

    def close(self) -> None:
        self.plotter.close()

    def add(self, model: Model, scale: float = 1.0) -> Piece:
        """Load a model in its real size times ``scale``."""
        path = tidy(unpack(model, self.work))
        actors = add_model(self.plotter, path)
        for actor in actors:
            actor.GetProperty().SetOpacity(1.0)
        low, high = bounds_of(actors)
        corners = np.array(
            [
                [x, y, z]
                for x in (low[0], high[0])
                for y in (low[1], high[1])
                for z in (low[2], high[2])
            ]
        )
        corners = corners @ rotation(model).T
        low, high = corners.min(axis=0), corners.max(axis=0)
        piece = Piece(model, actors, low, high, scale * max(model.size_cm) / float(max(high - low)))
        self.pieces.append(piece)
        return piece

    def remove(self, piece: Piece) -> None:
        for actor in piece.actors:
            self.plotter.remove_actor(actor, render=False)
        self.pieces.remove(piece)

    def look(self, target: Sequence[float], view: View, distance: float) -> np.ndarray:
        """Aim the camera; returns its place [3]."""
        eye = np.asarray(target, dtype=float) + direction(view) * distance
        camera = self.plotter.camera
        camera.parallel_projection = False
        camera.view_angle = FIELD
        camera.position, camera.focal_point, camera.up = tuple(eye), tuple(target), (0, 1, 0)
        return eye

    def light(self, lamp: View, fill: float, key: float, warmth: float) -> None:
        """One light from the camera and a lamp from a direction, warmer or colder."""
        self.lamp = lamp
        self.plotter.remove_all_lights()
        self.plotter.add_light(self.pyvista.Light(light_type="headlight", intensity=fill))
        shine = self.pyvista.Light(
            position=tuple(direction(self.lamp) * 1000),
            focal_point=(0, 0, 0),
            light_type="scene light",
            intensity=key,
        )
        shine.diffuse_color = (1.0, 1.0 - 0.06 * warmth, 1.0 - 0.16 * warmth)
        self.plotter.add_light(shine)

    def picture(self) -> Image.Image:
        """The stage as RGBA, transparent where nothing stands."""
        return self._shot(True).reduce(FINE)

    def masks(self, pieces: Sequence[Piece]) -> tuple[list[np.ndarray], np.ndarray]:
        """Each piece's whole mask [H, W] bool, and the owner of each pixel [H, W] (-1 none)."""
        with _Flat(self):
            whole = []
            for piece in pieces:
                self._only([piece])
                whole.append(self._coverage())
            for other in self.pieces:
                other.show(True)
                _paint(other, (0.0, 0.0, 0.0))
            for number, piece in enumerate(pieces):
                _paint(piece, ((number + 1) * 8 / 255, 0.0, 0.0))
            pixels = np.asarray(self._shot(False).convert("RGB"))[::FINE, ::FINE, 0].astype(int)
            owner = np.where(pixels % 8 == 0, pixels // 8 - 1, -1)
            for piece in self.pieces:
                _paint(piece, (1.0, 1.0, 1.0))
        return whole, owner

    def plate(self, support: Piece, centre: Sequence[float], half: float) -> np.ndarray:
        """The top of a piece from above: bool [H, W] over ``half`` cm to the back and front.

        Only the uppermost 2.5 cm count, so that a cloth hanging down is no place to stand on.
        """
        with _Flat(self):
            self._only([support])
            self._from_above(centre, half)
            return self._coverage(reach=2.5)

    def shade(
        self,
        pieces: Sequence[Piece],
        surface: float,
        centre: Sequence[float],
        half: float,
        within: np.ndarray | None,
        soft: float = 1.0,
    ) -> None:
        """Lay soft shadows on a surface: cast by the lamp, and contact shadows right below."""
        towards = direction(self.lamp)
        covers = []
        for slant in (towards, np.array([0.0, 1.0, 0.0])):
            flatten = np.eye(4)
            flatten[0, 1], flatten[2, 1] = -slant[0] / slant[1], -slant[2] / slant[1]
            flatten[:3, 3] = -flatten[:3, 1] * surface
            flatten[1, 1], flatten[1, 3] = 0.002, surface
            with _Flat(self):
                self._only(pieces)
                for piece in pieces:
                    piece.draw_at(flatten @ piece.matrix)
                self._from_above(centre, half)
                covers.append(self._coverage())
                for piece in pieces:
                    piece.draw_at(piece.matrix)
        per_cm = SIZE[1] / (2 * half)
        cast = _soften(covers[0], 0.8 * soft * per_cm)
        contact = np.minimum(1.0, 1.5 * _soften(covers[1], 2.0 * soft * per_cm))
        dark = 1 - (1 - 0.5 * cast) * (1 - 0.5 * contact)
        if within is not None:
            dark = dark * _soften(within, 0.5)
        pixels = np.zeros((*dark.shape, 4), dtype=np.uint8)
        pixels[..., 3] = np.rint(255 * dark)
        self.sheet(pixels, surface + 0.12, centre, half)

    def sheet(
        self, pixels: np.ndarray, height: float, centre: Sequence[float], half: float
    ) -> None:
        """A flat unlit picture [H, W, 3 or 4] lying at a height, its upper edge to the back."""
        wide = half * SIZE[0] / SIZE[1]
        x, z = centre[0], centre[2]
        corners = np.array(
            [
                [x - wide, height, z + half],
                [x + wide, height, z + half],
                [x + wide, height, z - half],
                [x - wide, height, z - half],
            ]
        )
        mesh = self.pyvista.PolyData(corners, faces=[4, 0, 1, 2, 3])
        mesh.active_texture_coordinates = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
        texture = self.pyvista.Texture(np.ascontiguousarray(pixels))
        texture.interpolate = True
        self.extras.append(
            self.plotter.add_mesh(mesh, texture=texture, lighting=False, reset_camera=False)
        )

    def _from_above(self, centre: Sequence[float], half: float) -> None:
        camera = self.plotter.camera
        camera.position = (centre[0], centre[1] + _ABOVE, centre[2])
        camera.focal_point, camera.up = tuple(centre), (0, 0, -1)
        camera.parallel_projection = True
        camera.parallel_scale = half

    def _only(self, pieces: Sequence[Piece]) -> None:
        for piece in self.pieces:
            piece.show(any(piece is other for other in pieces))

    def _coverage(self, reach: float | None = None) -> np.ndarray:
        return np.asarray(self._shot(False, reach).convert("L"))[::FINE, ::FINE] > 127

    def _shot(self, transparent: bool, reach: float | None = None) -> Image.Image:
        self.plotter.background_color = "black"
        if reach is None:
            self.plotter.renderer.ResetCameraClippingRange()
        else:
            self.plotter.camera.clipping_range = (_ABOVE - 5.0, _ABOVE + reach)
        self.plotter.render()
        pixels = self.plotter.screenshot(transparent_background=transparent, return_img=True)
        return Image.fromarray(np.ascontiguousarray(pixels))


class _Flat:
    """While active: no sheets, no lights, no textures, everything white; then all as before."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __enter__(self) -> None:
        camera = self.stage.plotter.camera
        self.camera = (camera.position, camera.focal_point, camera.up)
        self.kept: list[Callable[[], None]] = []
        for extra in self.stage.extras:
            extra.SetVisibility(False)
        for piece in self.stage.pieces:
            for actor in piece.actors:
                self.kept.append(_restore(actor))
                actor.SetTexture(None)
                actor.GetProperty().SetLighting(False)
            _paint(piece, (1.0, 1.0, 1.0))

    def __exit__(self, *error: object) -> None:
        for restore in self.kept:
            restore()
        for piece in self.stage.pieces:
            piece.show(True)
        for extra in self.stage.extras:
            extra.SetVisibility(True)
        camera = self.stage.plotter.camera
        camera.parallel_projection = False
        camera.position, camera.focal_point, camera.up = self.camera


def _restore(actor: Any) -> Callable[[], None]:
    texture, surface = actor.GetTexture(), actor.GetProperty()
    ambient, diffuse = surface.GetAmbientColor(), surface.GetDiffuseColor()

    def put_back() -> None:
        actor.SetTexture(texture)
        surface.SetAmbientColor(ambient)
        surface.SetDiffuseColor(diffuse)
        surface.SetAmbient(0.3)
        surface.SetDiffuse(0.85)
        surface.SetLighting(True)

    return put_back


def _paint(piece: Piece, colour: tuple[float, float, float]) -> None:
    for actor in piece.actors:
        surface = actor.GetProperty()
        surface.SetAmbientColor(colour)
        surface.SetDiffuseColor(colour)
        surface.SetAmbient(0.0)
        surface.SetDiffuse(1.0)


def _soften(cover: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray((255 * cover).astype(np.uint8), "L")
    return np.asarray(image.filter(ImageFilter.GaussianBlur(float(radius))), dtype=np.float64) / 255
