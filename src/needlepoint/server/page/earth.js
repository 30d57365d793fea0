// The world as it is drawn behind places: Mercator's projection on a square of side 1, and its outline.

import { outline, palette } from "./plane.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const EARTH_KM = 6371.0088;
const ROUND_KM = 2 * Math.PI * EARTH_KM;
const EDGE = 85.05; // degrees at which the square ends
const STEPS = [45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01];

export const toX = (lon) => (Number(lon) + 180) / 360;
export const lonOf = (x) => x * 360 - 180;

export function toY(lat) {
  const phi = (Math.min(Math.max(Number(lat), -EDGE), EDGE) * Math.PI) / 180;
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + phi / 2)) / (2 * Math.PI);
}

export function latOf(y) {
  return (Math.atan(Math.sinh((0.5 - y) * 2 * Math.PI)) * 180) / Math.PI;
}

/** Kilometres between two places, as the server's `near` measures. */
export function kilometres(lat1, lon1, lat2, lon2) {
  const rad = Math.PI / 180;
  const a =
    Math.sin(((lat2 - lat1) * rad) / 2) ** 2 +
    Math.cos(lat1 * rad) * Math.cos(lat2 * rad) * Math.sin(((lon2 - lon1) * rad) / 2) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(a)));
}

/** The points [lon, lat] of a line as tools/world_outline.py packs it. */
export function unpack(text, unit) {
  const values = [];
  let value = 0;
  let weight = 1;
  for (const character of text) {
    const bits = ALPHABET.indexOf(character);
    value += (bits & 31) * weight;
    weight *= 32;
    if (bits < 32) {
      values.push(value % 2 ? -(value + 1) / 2 : value / 2);
      value = 0;
      weight = 1;
    }
  }
  const points = [];
  let [lon, lat] = [0, 0];
  for (let i = 0; i + 1 < values.length; i += 2) {
    lon += values[i];
    lat += values[i + 1];
    points.push([lon * unit, lat * unit]);
  }
  return points;
}

function pathOf(lines, unit, closed) {
  const path = new Path2D();
  for (const line of lines) {
    unpack(line, unit).forEach(([lon, lat], i) => {
      if (i) path.lineTo(toX(lon), toY(lat));
      else path.moveTo(toX(lon), toY(lat));
    });
    if (closed) path.closePath();
  }
  return path;
}

export class Earth {
  static async load(node) {
    const answer = await fetch(new URL("./world.json", import.meta.url));
    if (!answer.ok) throw new Error("The outline of the world could not be read.");
    return new Earth(await answer.json(), node);
  }

  constructor(world, node) {
    this.paint = palette(node);
    this.land = pathOf(world.land, world.unit, true);
    this.borders = pathOf(world.borders, world.unit, false);
  }

  /** The sea, the land, and a ruler whose foot is at `rulerAt` pixels. */
  draw(context, plane, rulerAt) {
    const { width, height, ratio, scale, x, y } = plane;
    context.fillStyle = this.paint("--paper-3");
    context.fillRect(0, 0, width, height);
    this.#grid(context, plane);
    context.save();
    const zoom = scale * ratio;
    context.setTransform(zoom, 0, 0, zoom, (width / 2 - x * scale) * ratio, (height / 2 - y * scale) * ratio);
    context.fillStyle = this.paint("--paper");
    context.fill(this.land, "evenodd");
    context.lineJoin = "round";
    context.lineWidth = 1 / scale;
    context.strokeStyle = this.paint("--line");
    context.stroke(this.borders);
    context.strokeStyle = this.paint("--line-2");
    context.lineWidth = 0.8 / scale;
    context.stroke(this.land);
    context.restore();
    this.#ruler(context, plane, rulerAt);
  }

  // Lines of longitude and latitude, as far apart as suits the scale.
  #grid(context, plane) {
    const [left, top, right, bottom] = plane.view();
    const step = STEPS.findLast((one) => (one / 360) * plane.scale >= 110) ?? STEPS[0];
    context.strokeStyle = this.paint("--line");
    context.globalAlpha = 0.5;
    context.lineWidth = 1;
    context.beginPath();
    for (let lon = Math.ceil(lonOf(Math.max(left, 0)) / step) * step; lon <= lonOf(Math.min(right, 1)); lon += step) {
      const px = Math.round(plane.toPixels(toX(lon), 0)[0]) + 0.5;
      context.moveTo(px, 0);
      context.lineTo(px, plane.height);
    }
    for (let lat = Math.ceil(latOf(Math.min(bottom, 1)) / step) * step; lat <= latOf(Math.max(top, 0)); lat += step) {
      const py = Math.round(plane.toPixels(0, toY(lat))[1]) + 0.5;
      context.moveTo(0, py);
      context.lineTo(plane.width, py);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  // How long a distance is at the middle of the map, in round numbers.
  #ruler(context, plane, py) {
    const kmPerPixel = (ROUND_KM * Math.cos((latOf(plane.y) * Math.PI) / 180)) / plane.scale;
    const most = kmPerPixel * 110;
    const ten = 10 ** Math.floor(Math.log10(most));
    const km = [5, 2, 1].map((one) => one * ten).find((one) => one <= most);
    const length = km / kmPerPixel;
    const px = 14;
    context.strokeStyle = context.fillStyle = this.paint("--ink-2");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(px, py - 5);
    context.lineTo(px, py);
    context.lineTo(px + length, py);
    context.lineTo(px + length, py - 5);
    context.stroke();
    context.font = "12px system-ui, sans-serif";
    context.fillText(km >= 1 ? `${km.toLocaleString()} km` : `${Math.round(km * 1000)} m`, px + length + 8, py);
  }

  /** A circle of kilometres around a place. */
  circle(context, plane, { lat, lon, km }) {
    const [px, py] = plane.toPixels(toX(lon), toY(lat));
    const radius = (km / (ROUND_KM * Math.cos((lat * Math.PI) / 180))) * plane.scale;
    const points = Array.from({ length: 64 }, (_, i) => {
      const angle = (i / 64) * 2 * Math.PI;
      return [px + radius * Math.cos(angle), py + radius * Math.sin(angle)];
    });
    this.outline(context, points);
  }

  outline(context, points) {
    outline(context, points, this.paint("--accent"));
  }
}
