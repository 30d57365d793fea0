// How the map of the collection looks: ink for all, colour for hits, small pictures where there is room.

import { outline, palette } from "./plane.js";
import { Ink, rgb } from "./scatter.js";
import { drawSquare } from "./thumbs.js";

const THUMBS = 180; // at most so many in sight
const ROOMY = 24; // pixels between neighbours from which pictures are shown
const [SMALL, LARGE] = [44, 132];

export class Draughtsman {
  constructor(node, thumbs) {
    this.paint = palette(node);
    this.thumbs = thumbs;
    this.ink = new Ink();
    this.placed = [];
    this.old = true;
  }

  /** The dots must be drawn anew: the camera, the filter or the answer changed. */
  stale() {
    this.old = true;
  }

  /** The theme changed. */
  forget() {
    this.paint.forget();
    this.stale();
  }

  draw(context, plane, map) {
    const { width, height } = plane;
    if (this.old) this.#settle(plane, map);
    this.old = false;
    context.clearRect(0, 0, width, height);
    context.drawImage(this.sheet, 0, 0, width, height);
    this.#hits(context, plane, map);
    this.#thumbs(context, plane, map);
    this.#marks(context, plane, map);
  }

  /** The point whose small picture is at a pixel, or -1. */
  thumbAt(px, py) {
    const half = this.side / 2;
    const found = this.placed.find(({ x, y }) => Math.abs(px - x) <= half && Math.abs(py - y) <= half);
    return found ? found.i : -1;
  }

  // What depends on the camera alone: the sheet of dots, and which small pictures have room.
  #settle(plane, map) {
    const { points } = map;
    const { ratio, canvas, width, height, scale, x, y } = plane;
    const inSight = [];
    points.each(plane.view(LARGE / 2), (i) => inSight.push(i));
    const spacing = Math.sqrt((width * height) / Math.max(inSight.length, 1));
    const radius = Math.min(Math.max(spacing * 0.09, 0.7), 3.5) * ratio;
    const dimmed = map.hits.size > 0;
    this.ink.begin(canvas.width, canvas.height);
    const dots = (chosen, strength) => {
      this.ink.stamp(radius, strength);
      for (const i of inSight) {
        if (map.wanted(i) !== chosen) continue;
        this.ink.dot(((points.x[i] - x) * scale + width / 2) * ratio, ((points.y[i] - y) * scale + height / 2) * ratio);
      }
    };
    if (map.allowed) dots(false, 26);
    dots(true, dimmed ? 80 : radius < 1.2 * ratio ? 110 : 190);
    this.sheet = this.ink.finish(rgb(this.paint("--ink-3")));
    this.inSight = inSight;
    this.#room(plane, map, spacing);
  }

  // Greedy, in an order that does not depend on the camera: hits by score, then a fixed shuffle.
  #room(plane, map, spacing) {
    this.placed = [];
    this.side = Math.round(Math.min(Math.max(spacing * 0.62, SMALL), LARGE));
    if (spacing < ROOMY) return;
    const { points } = map;
    const light = (i) => map.hits.get(points.ids[i])?.light ?? -1;
    const order = this.inSight.filter((i) => map.wanted(i));
    order.sort((a, b) => light(b) - light(a) || points.turn[a] - points.turn[b]);
    const cell = this.side + 4;
    const taken = new Map();
    for (const i of order) {
      if (this.placed.length >= THUMBS) break;
      const [x, y] = plane.toPixels(points.x[i], points.y[i]);
      const [column, line] = [Math.floor(x / cell), Math.floor(y / cell)];
      let free = true;
      for (let dy = -1; dy <= 1 && free; dy++)
        for (let dx = -1; dx <= 1 && free; dx++) {
          const other = taken.get((line + dy) * 4096 + column + dx);
          free = !other || Math.abs(other.x - x) >= cell || Math.abs(other.y - y) >= cell;
        }
      if (!free) continue;
      const spot = { i, x, y };
      taken.set(line * 4096 + column, spot);
      this.placed.push(spot);
    }
  }

  #hits(context, plane, map) {
    const { points } = map;
    const lit = this.inSight.filter((i) => map.hits.has(points.ids[i]));
    const light = (i) => map.hits.get(points.ids[i]).light;
    lit.sort((a, b) => light(a) - light(b));
    context.fillStyle = this.paint("--accent");
    context.strokeStyle = this.paint("--paper");
    context.lineWidth = 1;
    for (const i of lit) {
      const [x, y] = plane.toPixels(points.x[i], points.y[i]);
      context.globalAlpha = 0.25 + 0.75 * light(i);
      context.beginPath();
      context.arc(x, y, 2.5 + 4.5 * light(i), 0, 7);
      context.fill();
      context.stroke();
    }
    context.globalAlpha = 1;
    for (const i of map.chosen?.points ?? []) {
      const [x, y] = plane.toPixels(points.x[i], points.y[i]);
      context.fillRect(x - 1.5, y - 1.5, 3, 3);
    }
  }

  #thumbs(context, plane, map) {
    const { points } = map;
    const half = this.side / 2;
    this.thumbs.begin();
    for (const { i, x, y } of this.placed) {
      const id = points.ids[i];
      const image = this.thumbs.get(id);
      const hit = map.hits.get(id);
      const left = Math.round(x - half);
      const top = Math.round(y - half);
      if (image) {
        context.save();
        context.beginPath();
        context.roundRect(left, top, this.side, this.side, 4);
        context.clip();
        if (map.hits.size && !hit) {
          context.fillStyle = this.paint("--paper-2");
          context.fillRect(left, top, this.side, this.side);
          context.globalAlpha = 0.5;
        }
        drawSquare(context, image, left, top, this.side);
        context.restore();
      }
      if (!image) continue;
      ring(context, left, top, this.side, this.paint("--paper"), 1);
      if (!hit) continue;
      context.globalAlpha = 0.15 + 0.85 * hit.light;
      ring(context, left, top, this.side, this.paint("--accent"), 1.5 + 1.5 * hit.light);
      context.globalAlpha = 1;
    }
    this.thumbs.end();
  }

  // Selected, pointed at, and what is being drawn or was drawn.
  #marks(context, plane, map) {
    const { points, app } = map;
    const accent = this.paint("--accent");
    for (const i of this.inSight) {
      if (app.selected.has(points.ids[i])) this.#mark(context, plane, points, i, this.paint("--match"), 2.5);
    }
    if (map.chosen) outline(context, map.chosen.line.map(([x, y]) => plane.toPixels(x, y)), accent);
    if (map.hovered >= 0) this.#mark(context, plane, points, map.hovered, this.paint("--ink"), 2);
    if (map.aimed >= 0) this.#mark(context, plane, points, map.aimed, this.paint("--ink"), 2);
    if (map.aiming) crosshair(context, plane.width / 2, plane.height / 2, this.paint("--ink-2"));
    const line = plane.shape ?? map.frame.line;
    if (line) outline(context, line, accent);
  }

  #mark(context, plane, points, i, colour, width) {
    const spot = this.placed.find((one) => one.i === i);
    if (spot) {
      ring(context, Math.round(spot.x - this.side / 2), Math.round(spot.y - this.side / 2), this.side, colour, width);
      return;
    }
    const [x, y] = plane.toPixels(points.x[i], points.y[i]);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, 7, 0, 7);
    context.stroke();
  }
}

function ring(context, left, top, side, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.roundRect(left - width / 2, top - width / 2, side + width, side + width, 5);
  context.stroke();
}

function crosshair(context, x, y, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + dx * 5, y + dy * 5);
    context.lineTo(x + dx * 12, y + dy * 12);
  }
  context.stroke();
}
