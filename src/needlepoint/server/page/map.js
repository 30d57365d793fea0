// The map of the collection: every picture a dot, like beside like; draw around some to pick them.

import { count, h, plural, score } from "./dom.js";
import { Frame } from "./frame.js";
import { Draughtsman } from "./mapdraw.js";
import { Picked, bestOf } from "./picked.js";
import { Plane, controls, onTheme } from "./plane.js";
import { Scatter } from "./scatter.js";
import { Thumbs } from "./thumbs.js";

const HITS = 500; // of the answer, as many are shown on the map
const AGAIN_MS = 700;
const RENEW_MS = 4000;
const REACH = 16; // pixels from a dot that still mean it
const HELP =
  "Map of the collection. Arrow keys move, plus and minus zoom, 0 shows all, Enter opens the picture in the middle, B draws a box, L the lasso.";

export async function mount(root, app) {
  const view = new MapView(root, app);
  view.begin();
  return { unmount: () => view.end() };
}

class MapView {
  constructor(root, app) {
    this.app = app;
    this.ending = new AbortController();
    this.hovered = this.aimed = -1;
    this.names = new Map();
    this.canvas = h("canvas", { class: "map-canvas", tabIndex: 0, role: "application", "aria-label": HELP });
    this.state = h("div", { class: "map-state empty" });
    this.legend = h("p", { class: "map-legend" });
    this.card = h("div", { class: "map-card", hidden: true, "aria-hidden": "true" });
    this.picked = new Picked(app, "map");
    this.node = h("div", { class: "map-view" }, this.canvas, this.legend, this.card, this.state, this.picked.node);
    root.append(this.node);
  }

  async begin() {
    try {
      const made = await this.#made();
      if (!made) return;
      this.#open(made);
    } catch (error) {
      if (this.ending.signal.aborted) return;
      this.state.replaceChildren(h("h2", { text: "There is no map" }), h("p", { text: error.message }));
    }
  }

  end() {
    this.ending.abort();
    this.plane?.end();
    clearTimeout(this.noting);
    for (const stop of this.stops ?? []) stop();
  }

  // The map, once the server has made it; null when the view was left meanwhile.
  async #made() {
    const { signal } = this.ending;
    for (;;) {
      const made = await this.app.api.get("/v1/map", {}, { signal });
      if (made.ids) return made;
      const part = Number(made.progress ?? 0);
      const bar = h("progress", { max: 1, value: part, "aria-label": "Laying out the map" });
      this.state.replaceChildren(h("h2", { text: "Laying out the map" }), bar, h("p", { text: `${Math.round(part * 100)} %` }));
      await new Promise((done) => setTimeout(done, AGAIN_MS));
      if (signal.aborted) return null;
    }
  }

  #open(made) {
    const { app } = this;
    if (!made.ids.length) {
      this.state.replaceChildren(h("h2", { text: "Nothing to lay out yet" }), h("p", { text: "Index some pictures first." }));
      return;
    }
    this.state.hidden = true;
    // the axes mean nothing, so the map is as wide as there is room
    const { clientWidth: across, clientHeight: down } = this.canvas;
    const [ys, xs] = [span(made.y), span(made.x)];
    const wide = Math.min(Math.max(((across / down || 1) * (ys[1] - ys[0])) / (xs[1] - xs[0]), 0.4), 3);
    this.#lay(made, wide);
    this.hits = new Map();
    this.allowed = null;
    const thumbs = new Thumbs(
      (id) => app.thumb(id, 160),
      () => this.plane.redraw(),
      (busy) => this.node.setAttribute("aria-busy", String(busy)),
    );
    const most = Math.max(Math.sqrt(made.ids.length) * 700, 4000);
    this.plane = new Plane(this.canvas, [xs[0] * wide, ys[0], xs[1] * wide, ys[1]], most, {
      draw: (context, plane) => this.draughtsman.draw(context, plane, this),
      tap: (x, y, event) => this.#tap(x, y, event),
      twice: (x, y) => this.#at(x, y) < 0 && this.plane.zoom(2.2, x, y, true),
      hover: (x, y) => this.#hover(x === null ? -1 : this.#at(x, y), x, y),
      shape: (points) => this.#pick(points),
      moved: () => this.#moved(),
    });
    this.draughtsman = new Draughtsman(this.node, thumbs);
    this.tools = controls(this.plane, [
      ["move", "move", "Move the map", "V"],
      ["lasso", "lasso", "Draw around pictures", "L"],
      ["box", "box", "Draw a box", "B"],
    ]);
    this.node.append(this.tools.node);
    this.frame = new Frame(this.plane, app, (line) => (line ? this.#pick(line) : this.tools.pick("move")));
    this.picked.onClear = () => {
      this.chosen = null;
      this.plane.redraw();
    };
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("blur", () => this.#aim(false));
    this.stops = [
      app.onChange((now, before) => this.#changed(now, before)),
      app.onSelect(() => this.plane.redraw()),
      onTheme(() => this.draughtsman.forget() || this.plane.redraw()),
    ];
    const [name, ...at] = app.state.spot.split(/[:,]/);
    if (name === "map" && at.every((value) => Number.isFinite(Number(value)))) {
      const [x, y, scale] = at.map(Number);
      this.plane.look(x * wide, y, scale);
    }
    this.#ask();
    this.#narrow();
    app.announce(`Map of ${plural(made.ids.length, "picture")}.`);
  }

  // Take a map as it was made; when a newer one is on its way, offer it once it is there.
  async #lay(made, wide) {
    this.points = new Scatter(made.ids, made.x, made.y, wide);
    this.chosen = null;
    if (made.current) return;
    try {
      let newer = made;
      while (!newer.current) {
        await new Promise((done) => setTimeout(done, RENEW_MS));
        if (this.ending.signal.aborted) return;
        newer = await this.#made();
        if (!newer) return;
      }
      this.newer = h("button", {
        type: "button",
        class: "button",
        text: "Show the newer map",
        onClick: () => {
          this.newer = null;
          this.picked.clear();
          this.#lay(newer, wide);
          this.#ask();
        },
      });
      this.#tell();
    } catch {
      // the map at hand still serves
    }
  }

  #changed(now, before) {
    if (["q", "filter", "min"].some((key) => now[key] !== before[key])) this.#ask();
    if (now.filter !== before.filter) this.#narrow();
  }

  // The best pictures for the question, to be shown on the map.
  async #ask() {
    const { q, filter } = this.app.state;
    this.asking?.abort();
    this.asking = new AbortController();
    this.hits = new Map();
    if (q) {
      try {
        const answer = await this.app.api.get(
          "/v1/search",
          { q, where: filter, limit: HITS, fold: false },
          { signal: this.asking.signal },
        );
        this.#light(answer);
      } catch (error) {
        this.app.fail(error);
      }
    }
    this.#tell();
    this.draughtsman.stale();
    this.plane.redraw();
  }

  // Brightness by score among those above the line.
  #light(answer) {
    const shown = bestOf(answer, this.app.state.min);
    const scores = shown.map((hit) => hit.score);
    const [least, most] = [Math.min(...scores), Math.max(...scores)];
    for (const hit of shown) {
      const light = most > least ? (hit.score - least) / (most - least) : 1;
      this.hits.set(hit.id, { light, score: hit.score, name: hit.name });
    }
  }

  // The pictures that the filter leaves; null when there is no filter.
  async #narrow() {
    const { filter } = this.app.state;
    this.narrowing?.abort();
    this.narrowing = new AbortController();
    this.allowed = null;
    try {
      if (filter) {
        const ids = new Set();
        let cursor = null;
        do {
          const params = { where: filter, fields: "brief", limit: 5000, cursor };
          const page = await this.app.api.get("/v1/items", params, { signal: this.narrowing.signal });
          for (const item of page.items) ids.add(item.id);
          cursor = page.next;
        } while (cursor);
        this.allowed = ids;
      }
    } catch (error) {
      this.app.fail(error);
    }
    this.#tell();
    this.draughtsman.stale();
    this.plane.redraw();
  }

  #tell() {
    const { q, min } = this.app.state;
    const all = this.allowed ? `${count(this.allowed.size)} of ${plural(this.points.size, "picture")}` : plural(this.points.size, "picture");
    const what = min === "" ? "best" : "above the line";
    this.legend.replaceChildren(
      h("span", { text: all }),
      this.hits.size ? h("span", { class: "map-ramp", "aria-hidden": "true" }) : "",
      this.hits.size ? h("span", { text: `${count(this.hits.size)} ${what} for “${q}”, brighter is better` }) : "",
      this.newer ?? "",
    );
  }

  wanted(i) {
    return !this.allowed || this.allowed.has(this.points.ids[i]);
  }

  // The picture at a pixel: of a thumbnail, else of the dot nearest to it; -1 when there is none.
  #at(px, py) {
    const thumb = this.draughtsman.thumbAt(px, py);
    if (thumb >= 0) return thumb;
    const [x, y] = this.plane.toPlane(px, py);
    return this.points.nearest(x, y, REACH / this.plane.scale, (i) => this.wanted(i));
  }

  #tap(px, py, event) {
    const i = this.#at(px, py);
    if (i < 0) return;
    const id = this.points.ids[i];
    if (event.ctrlKey || event.metaKey) this.app.select([id], { add: true });
    else this.app.open(id);
  }

  #hover(i, px, py) {
    if (i === this.hovered) return;
    this.hovered = i;
    this.canvas.classList.toggle("pointing", i >= 0);
    this.plane.redraw();
    this.#preview(i, px, py);
  }

  // A larger picture beside the one that is pointed at, with its name.
  #preview(i, px, py) {
    this.card.hidden = i < 0;
    if (i < 0) return;
    const id = this.points.ids[i];
    const hit = this.hits.get(id);
    const name = h("span", { text: hit?.name ?? `Picture ${id}` });
    this.card.replaceChildren(
      h("img", { src: this.app.thumb(id, 320), alt: "" }),
      h("p", {}, name, hit && h("span", { class: "map-score", text: score(hit.score) })),
    );
    this.card.style.left = `${Math.min(Math.max(px + 18, 8), this.plane.width - 252)}px`;
    const below = py < this.plane.height / 2;
    this.card.style.top = below ? `${py + 18}px` : "auto";
    this.card.style.bottom = below ? "auto" : `${this.plane.height - py + 18}px`;
    return this.#name(id, name);
  }

  async #name(id, node) {
    if (!this.names.has(id)) {
      await new Promise((done) => setTimeout(done, 150)); // a pointer that only passes asks nothing
      if (this.points.ids[this.hovered] !== id && this.points.ids[this.aimed] !== id) return "";
      try {
        this.names.set(id, (await this.app.api.get(`/v1/items/${id}`)).name);
      } catch {
        this.names.set(id, `Picture ${id}`);
      }
    }
    node.textContent = this.names.get(id);
    return this.names.get(id);
  }

  #pick(points) {
    const line = points.map(([px, py]) => this.plane.toPlane(px, py));
    const found = this.points.inside(line).filter((i) => this.wanted(i));
    const mass = (i) => this.hits.get(this.points.ids[i])?.light ?? -1;
    found.sort((a, b) => mass(b) - mass(a) || this.points.turn[a] - this.points.turn[b]);
    this.chosen = { line, points: new Set(found) };
    this.picked.offer(found.map((i) => this.points.ids[i]));
    if (!found.length) this.chosen = null;
    this.tools.pick("move");
    this.plane.redraw();
  }

  #moved() {
    this.draughtsman.stale();
    if (this.aiming) this.#aim(true);
    clearTimeout(this.noting);
    this.noting = setTimeout(() => {
      const { x, y, scale } = this.plane;
      const spot = `map:${(x / this.points.wide).toFixed(5)},${y.toFixed(5)},${scale.toFixed(1)}`;
      this.app.go({ spot: scale <= this.plane.least * 1.001 ? "" : spot }, { replace: true });
    }, 400);
  }

  // With keys, the picture nearest to the middle is meant.
  #aim(on) {
    this.aiming = on;
    if (!this.plane) return;
    const { x, y, scale } = this.plane;
    const before = this.aimed;
    this.aimed = on ? this.points.nearest(x, y, 120 / scale, (i) => this.wanted(i)) : -1;
    if (this.aimed !== before) {
      const place = this.aimed < 0 ? [] : this.plane.toPixels(this.points.x[this.aimed], this.points.y[this.aimed]);
      this.#preview(this.aimed, ...place)?.then((name) => name && this.app.announce(name));
    }
    this.plane.redraw();
  }

  #key(event) {
    if (this.frame.key(event)) return;
    if (this.plane.key(event)) {
      this.#aim(true);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const run = {
      Enter: () => this.aimed >= 0 && this.app.open(this.points.ids[this.aimed]),
      b: () => this.tools.pick("box") ?? this.frame.begin(),
      l: () => this.tools.pick("lasso"),
      v: () => this.tools.pick("move"),
      Escape: () => this.picked.clear(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run) return;
    run();
    event.preventDefault();
    event.stopPropagation();
  }
}

/** The least and the greatest of some numbers, a little apart even if they are one. */
function span(values) {
  const [least, most] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  return most - least > 1e-3 ? [least, most] : [least - 5e-4, most + 5e-4];
}
