// Pictures where they were taken: a map of the world with small pictures on it, near ones together.

import { count, h, plural } from "./dom.js";
import { Frame } from "./frame.js";
import { Earth, kilometres, latOf, lonOf, toX, toY } from "./earth.js";
import { Picked, bestOf } from "./picked.js";
import { Plane, controls, onTheme } from "./plane.js";
import { Scatter } from "./scatter.js";

const PINS = 140; // at most so many small pictures; the rest are dots
const CELL = 68; // pixels a pin has for itself, at least
const HITS = 500; // of the answer, so many are looked at
const MOST = 6e6; // pixels the world is wide at the closest: about 7 m a pixel
const HELP =
  "Map of places. Arrow keys move, plus and minus zoom, 0 shows all, B draws a box; Tab goes through the places.";

export async function mount(root, app) {
  const view = new GeoView(root, app);
  await view.begin();
  return { unmount: () => view.end() };
}

class GeoView {
  constructor(root, app) {
    this.app = app;
    this.pins = new Map();
    this.canvas = h("canvas", { class: "map-canvas", tabIndex: 0, role: "application", "aria-label": HELP });
    this.layer = h("div", { class: "geo-pins", role: "group", "aria-label": "Places" });
    this.legend = h("p", { class: "map-legend" });
    this.picked = new Picked(app, "place");
    this.empty = h("div", { class: "map-state empty", hidden: true });
    this.node = h("div", { class: "map-view geo-view" }, this.canvas, this.layer, this.legend, this.empty, this.picked.node);
    root.append(this.node);
    this.picked.onClear = () => {
      this.round = this.box = null;
      this.plane?.redraw();
    };
  }

  async begin() {
    const { app } = this;
    this.earth = await Earth.load(this.node);
    this.points = new Scatter([], [], []);
    this.plane = new Plane(this.canvas, [0, toY(84), 1, toY(-66)], MOST, {
      draw: (context) => this.#draw(context),
      shape: (line) => this.#pickBox(line),
      twice: (x, y) => this.plane.zoom(2.5, x, y, true),
      moved: () => this.#moved(),
    });
    this.plane.shifted = "box";
    this.tools = controls(this.plane, [
      ["move", "move", "Move the map", "V"],
      ["box", "box", "Draw a box", "B"],
    ]);
    this.node.append(this.tools.node);
    this.frame = new Frame(this.plane, app, (line) => (line ? this.#pickBox(line) : this.tools.pick("move")));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    // the wheel zooms over a small picture as it does beside it
    this.layer.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.canvas.dispatchEvent(new WheelEvent("wheel", event));
    });
    this.stops = [
      app.onChange((now, before) => {
        if (["q", "filter", "min"].some((key) => now[key] !== before[key])) this.#load();
      }),
      onTheme(() => this.earth.paint.forget() || this.plane.redraw()),
    ];
    await this.#load(true);
  }

  end() {
    this.loading?.abort();
    this.plane.end();
    clearTimeout(this.noting);
    for (const stop of this.stops) stop();
  }

  async #load(first = false) {
    const { app } = this;
    const { q, filter, min, spot } = app.state;
    this.loading?.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    try {
      const asked = { q, where: filter, limit: HITS, fold: false };
      const [places, answer] = await Promise.all([
        app.api.get("/v1/places", { where: filter }, { signal }),
        q ? app.api.get("/v1/search", asked, { signal }) : { hits: [] },
      ]);
      this.lat = places.lat;
      this.lon = places.lon;
      this.points = new Scatter(places.ids, places.lon.map(toX), places.lat.map(toY));
      this.best = new Map(bestOf(answer, min).map((hit) => [hit.id, hit.rank]));
      this.levels = new Map();
      this.layer.replaceChildren();
      this.pins.clear();
      this.#tell(q);
      const [name, ...at] = spot.split(/[:,]/);
      if (first && name === "geo" && at.length === 3) this.plane.look(...at.map(Number));
      else if (first && places.ids.length) this.#frameAll(false);
      this.plane.redraw();
    } catch (error) {
      app.fail(error);
    }
  }

  #tell(q) {
    const { size } = this.points;
    const found = this.points.ids.filter((id) => this.best.has(id)).length;
    const most = this.best.size;
    const part = found === most ? `the ${count(most)}` : `${count(found)} of the ${count(most)}`;
    const what = q && size ? ` · ${part} best for “${q}” framed` : "";
    this.legend.textContent = `${plural(size, "picture")} with a place${what}`;
    this.empty.hidden = size > 0;
    this.empty.replaceChildren(
      h("h2", { text: "No picture here knows its place" }),
      h("p", { text: "Places come from the GPS data that cameras and phones write into a picture." }),
    );
    this.app.announce(this.legend.textContent);
  }

  #frameAll(smooth = true) {
    const { x, y } = this.points;
    const span = (values) => values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [1, 0]);
    const [[left, right], [top, bottom]] = [span(x), span(y)];
    const room = 0.002; // one place alone is shown with its surroundings
    this.plane.frameBox(left - room, top - room, right + room, bottom + room, smooth);
  }

  // Pictures that are near each other at this scale; the same whatever part is in sight.
  #clusters() {
    const level = Math.floor(Math.log2(this.plane.scale) * 2) / 2;
    if (this.levels.has(level)) return this.levels.get(level);
    const cell = CELL / 2 ** level;
    const cells = new Map();
    for (let i = 0; i < this.points.size; i++) {
      const key = `${Math.floor(this.points.x[i] / cell)}:${Math.floor(this.points.y[i] / cell)}`;
      if (!cells.has(key)) cells.set(key, []);
      cells.get(key).push(i);
    }
    const groups = [...cells].map(([key, members]) => this.#group(`${level}:${key}`, members));
    groups.sort((a, b) => b.members.length - a.members.length);
    const kept = [];
    for (const group of groups) {
      const near = kept.find((one) => Math.hypot(one.x - group.x, one.y - group.y) < cell * 0.9);
      if (near) Object.assign(near, this.#group(near.key, [...near.members, ...group.members]));
      else kept.push(group);
    }
    if (this.levels.size > 8) this.levels.clear();
    this.levels.set(level, kept);
    return kept;
  }

  #group(key, members) {
    const { x, y, ids, turn } = this.points;
    const mean = (values) => members.reduce((sum, i) => sum + values[i], 0) / members.length;
    const order = (i) => this.best.get(ids[i]) ?? 1e6 + turn[i];
    const face = members.reduce((best, i) => (order(i) < order(best) ? i : best), members[0]);
    const hits = members.filter((i) => this.best.has(ids[i])).length;
    return { key, members, x: mean(x), y: mean(y), face, hits };
  }

  #draw(context) {
    const { plane, earth } = this;
    // below the legend: what is picked covers the lower edge
    earth.draw(context, plane, this.legend.offsetTop + this.legend.offsetHeight + 24);
    const [left, top, right, bottom] = plane.view(40);
    const seen = this.levels
      ? this.#clusters().filter(({ x, y }) => x >= left && x <= right && y >= top && y <= bottom)
      : [];
    const shown = new Set();
    for (const cluster of seen.slice(0, PINS)) {
      shown.add(cluster.key);
      this.#place(cluster);
    }
    context.fillStyle = earth.paint("--accent");
    for (const { x, y } of seen.slice(PINS)) {
      const [px, py] = plane.toPixels(x, y);
      context.fillRect(px - 2, py - 2, 4, 4);
    }
    for (const [key, pin] of this.pins) {
      if (shown.has(key)) continue;
      pin.remove();
      this.pins.delete(key);
    }
    if (this.round) earth.circle(context, plane, this.round);
    const line = plane.shape ?? this.frame?.line ?? this.box?.map(([x, y]) => plane.toPixels(x, y));
    if (line) earth.outline(context, line);
  }

  #place(cluster) {
    let pin = this.pins.get(cluster.key);
    if (!pin) {
      pin = this.#pin(cluster);
      this.pins.set(cluster.key, pin);
      this.layer.append(pin);
    }
    const [px, py] = this.plane.toPixels(cluster.x, cluster.y);
    pin.style.transform = `translate(${Math.round(px)}px, ${Math.round(py)}px) translate(-50%, -50%)`;
  }

  #pin(cluster) {
    const { members, face, hits } = cluster;
    const id = this.points.ids[face];
    const one = members.length === 1;
    const place = spoken(this.lat[face], this.lon[face]);
    const name = one ? `Picture ${id}, ${place}` : `${plural(members.length, "picture")} near ${place}`;
    return h(
      "button",
      {
        type: "button",
        class: `geo-pin${one ? " one" : ""}${hits ? " hit" : ""}`,
        "aria-label": hits && !one ? `${name}, ${count(hits)} in the answer` : name,
        title: one ? "" : name,
        onClick: () => (one ? this.app.open(id) : this.#pickCluster(cluster)),
      },
      h("img", { src: this.app.thumb(id, 160), alt: "", draggable: false }),
      !one && h("span", { class: "geo-count", text: count(members.length) }),
    );
  }

  #pickCluster({ members, x, y }) {
    const lat = Number(latOf(y).toFixed(4));
    const lon = Number(lonOf(x).toFixed(4));
    const far = Math.max(...members.map((i) => kilometres(lat, lon, this.lat[i], this.lon[i])));
    const km = Number((far * 1.02 + 0.05).toPrecision(3));
    const inside = [...this.points.ids.keys()].filter((i) => kilometres(lat, lon, this.lat[i], this.lon[i]) <= km);
    this.round = { lat, lon, km };
    this.box = null;
    const closer = h("button", { type: "button", class: "button quiet", text: "Zoom in" });
    closer.addEventListener("click", () => this.#closer(inside));
    this.picked.offer(this.#best(inside), {
      filter: `near(${lat}, ${lon}, ${km})`,
      label: `within ${km < 10 ? km : count(Math.round(km))} km of ${spoken(lat, lon)}`,
      extra: [closer],
    });
    this.plane.redraw();
  }

  #closer(members) {
    const xs = members.map((i) => this.points.x[i]);
    const ys = members.map((i) => this.points.y[i]);
    this.plane.frameBox(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
  }

  #pickBox(line) {
    const corner = (pick) => [pick(...line.map(([px]) => px)), pick(...line.map(([, py]) => py))];
    const [left, top] = this.plane.toPlane(...corner(Math.min));
    const [right, bottom] = this.plane.toPlane(...corner(Math.max));
    const round = (value, most) => Math.min(Math.max(value, -most), most).toFixed(4);
    const [south, north] = [round(latOf(bottom), 90), round(latOf(top), 90)];
    const [west, east] = [round(lonOf(left), 180), round(lonOf(right), 180)];
    const between = (value, low, high) => value >= Number(low) && value <= Number(high);
    const inside = [...this.points.ids.keys()].filter(
      (i) => between(this.lat[i], south, north) && between(this.lon[i], west, east),
    );
    this.round = null;
    this.box = [[left, top], [right, top], [right, bottom], [left, bottom]];
    this.picked.offer(this.#best(inside), {
      filter: `lat between ${south} and ${north} and lon between ${west} and ${east}`,
      label: `${spoken(south, west)} to ${spoken(north, east)}`,
    });
    this.tools.pick("move");
    this.plane.redraw();
  }

  // Ids of points, the best of the answer first.
  #best(members) {
    const { ids, turn } = this.points;
    const order = (i) => this.best.get(ids[i]) ?? 1e6 + turn[i];
    return members.sort((a, b) => order(a) - order(b)).map((i) => ids[i]);
  }

  #moved() {
    clearTimeout(this.noting);
    this.noting = setTimeout(() => {
      const { x, y, scale } = this.plane;
      this.app.go({ spot: `geo:${x.toFixed(6)},${y.toFixed(6)},${scale.toFixed(0)}` }, { replace: true });
    }, 400);
  }

  #key(event) {
    if (this.frame.key(event) || this.plane.key(event)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const run = {
      b: () => this.tools.pick("box") ?? this.frame.begin(),
      v: () => this.tools.pick("move"),
      Escape: () => this.picked.clear(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run) return;
    run();
    event.preventDefault();
    event.stopPropagation();
  }
}

/** A place in words: `48.1° N, 11.6° E`. */
function spoken(lat, lon) {
  const side = (value, plus, minus) => `${Math.abs(Number(value)).toFixed(1)}° ${value < 0 ? minus : plus}`;
  return `${side(lat, "N", "S")}, ${side(lon, "E", "W")}`;
}
