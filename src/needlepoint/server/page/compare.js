// Two to four pictures beside or over each other, moved and enlarged together, and what differs.

import { h, iconButton, score } from "./dom.js";
import { factsTable } from "./comparefacts.js";
import { Pane } from "./pane.js";
import { calm, onTheme, palette } from "./plane.js";

const MOST = 4;
const FLICKER_MS = 600; // under two changes a second
const MODES = [
  ["side", "Side by side"],
  ["swipe", "Swipe"],
  ["flicker", "Flicker"],
  ["difference", "Difference"],
];
const HELP = "Arrow keys move, plus and minus zoom, 0 shows the whole picture.";

export async function mount(root, app) {
  const view = new CompareView(root, app);
  await view.load();
  return { unmount: () => view.end() };
}

class CompareView {
  constructor(root, app) {
    this.app = app;
    this.panes = [];
    this.mode = "side";
    this.boxes = true;
    this.part = 0.5;
    this.node = h("div", { class: "compare" });
    this.paint = palette(root);
    root.append(this.node);
    this.stops = [
      app.onChange((now, before) => {
        if (String(now.ids) !== String(before.ids) || now.q !== before.q) this.load();
      }),
      onTheme(() => this.paint.forget() || this.#redraw()),
    ];
  }

  end() {
    this.loading?.abort();
    this.#clear();
    for (const stop of this.stops) stop();
  }

  async load() {
    const { app } = this;
    const ids = app.state.ids.slice(0, MOST);
    this.loading?.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    if (ids.length < 2) {
      this.#clear();
      this.node.replaceChildren(
        h(
          "div",
          { class: "empty" },
          h("h2", { text: "Nothing to compare" }),
          h("p", { text: "Select two to four pictures, then choose Compare." }),
          h("button", { class: "button", text: "Back to the pictures", onClick: () => app.go({ view: "grid" }) }),
        ),
      );
      return;
    }
    try {
      const { q } = app.state;
      const asked = { q, where: `id in (${ids.join(", ")})`, limit: MOST, fold: false };
      const [items, answer] = await Promise.all([
        Promise.all(ids.map((id) => app.api.get(`/v1/items/${id}`, {}, { signal }))),
        q ? app.api.get("/v1/search", asked, { signal }) : null,
      ]);
      const hits = new Map(answer?.hits.map((hit) => [hit.id, hit]));
      this.items = items.map((item) => ({ ...item, hit: hits.get(item.id) ?? null }));
      if (this.items.length > 2) this.mode = "side";
      this.#build();
      app.announce(`Comparing ${items.map((item) => item.name).join(", ")}.`);
    } catch (error) {
      app.fail(error);
    }
  }

  #clear() {
    clearInterval(this.beat);
    for (const pane of this.panes) pane.end();
    this.panes = [];
  }

  #build() {
    this.#clear();
    const stage = h("div", { class: `compare-stage n${this.mode === "side" ? this.items.length : 1}` });
    const controls = this.#controls();
    this.node.replaceChildren(controls, stage, factsTable(this.items, this.app.state.q));
    if (this.mode === "side") for (const item of this.items) stage.append(this.#figure([item]));
    else stage.append(this.#figure(this.items.slice(0, 2)), this.#over());
    for (const pane of this.panes) pane.begin();
  }

  // One canvas with one picture, or with two over each other.
  #figure(items) {
    const label = `${items.map((item) => item.name).join(" over ")}. ${HELP}`;
    const canvas = h("canvas", { class: "map-canvas", tabIndex: 0, role: "application", "aria-label": label });
    const pane = new Pane(canvas, items, this);
    this.panes.push(pane);
    const caption = items.map((item, i) =>
      h(
        "div",
        { class: "compare-name" },
        items.length > 1 && h("span", { class: "compare-letter", text: "AB"[i] }),
        h("button", { type: "button", class: "link", text: item.name, onClick: () => this.app.open(item.id) }),
        item.hit && h("span", { class: "compare-score", title: "Score", text: score(item.hit.score) }),
        iconButton("close", `Take ${item.name} out`, () => this.#drop(item.id)),
      ),
    );
    return h("figure", { class: "compare-pane" }, h("div", { class: "compare-frame" }, canvas), h("figcaption", {}, caption));
  }

  #drop(id) {
    const { ids } = this.app.state;
    this.app.go({ ids: ids.filter((one) => one !== id) });
  }

  #controls() {
    const two = this.items.length === 2;
    const modes = MODES.map(([mode, label]) =>
      h("button", {
        type: "button",
        class: "button",
        text: label,
        disabled: mode !== "side" && !two,
        title: mode !== "side" && !two ? "With two pictures" : "",
        "aria-pressed": String(mode === this.mode),
        onClick: () => {
          this.mode = mode;
          this.#build();
          this.node.querySelector(".compare-modes [aria-pressed=true]").focus();
        },
      }),
    );
    const boxes = h("input", {
      type: "checkbox",
      checked: this.boxes,
      onChange: () => {
        this.boxes = boxes.checked;
        this.#redraw();
      },
    });
    const zoom = (factor) => () => this.panes[0].plane.zoom(factor, undefined, undefined, true);
    return h(
      "div",
      { class: "compare-bar", role: "toolbar", "aria-label": "Compare" },
      h("div", { class: "compare-modes", role: "group", "aria-label": "How" }, modes),
      this.items.some((item) => item.hit?.box) && h("label", { class: "compare-check" }, boxes, "Where it matched"),
      h("span", { class: "compare-space" }),
      iconButton("more", "Zoom in", zoom(1.6), { keys: "+" }),
      iconButton("less", "Zoom out", zoom(1 / 1.6), { keys: "-" }),
      iconButton("fit", "Whole picture", () => this.panes[0].plane.fit(true), { keys: "0" }),
      h("button", { type: "button", class: "button", text: "1:1", title: "One pixel a pixel", onClick: () => this.panes[0].pixels() }),
    );
  }

  // What a mode of two pictures needs below them.
  #over() {
    if (this.mode === "swipe") {
      const range = h("input", { type: "range", min: 0, max: 1, step: 0.005, value: this.part, "aria-label": "How much of A is seen" });
      range.addEventListener("input", () => {
        this.part = Number(range.value);
        this.#redraw();
      });
      return h("div", { class: "compare-over" }, h("span", { text: "B" }), range, h("span", { text: "A" }));
    }
    if (this.mode === "flicker") {
      this.front = 0;
      const told = h("span", { class: "compare-front", text: "A" });
      const flip = () => {
        this.front = 1 - this.front;
        told.textContent = "AB"[this.front];
        this.#redraw();
      };
      const beat = () => {
        clearInterval(this.beat);
        this.beat = setInterval(flip, FLICKER_MS);
        run.textContent = "Pause";
      };
      const run = h("button", {
        type: "button",
        class: "button",
        text: "Play",
        onClick: () => {
          if (run.textContent === "Play") beat();
          else {
            clearInterval(this.beat);
            run.textContent = "Play";
          }
        },
      });
      if (!calm()) beat();
      return h("div", { class: "compare-over" }, told, run, h("button", { type: "button", class: "button", text: "Change over", onClick: flip }));
    }
    return h("p", { class: "compare-over", text: "What is the same in both is black." });
  }

  #redraw() {
    for (const pane of this.panes) pane.plane.redraw();
  }

  /** A pane moved: the others show the same part, measured by their own size. */
  follow(leader) {
    const { plane, wide, tall } = leader;
    for (const pane of this.panes) {
      if (pane === leader || !pane.plane.width) continue;
      const scale = (plane.scale / plane.least) * pane.plane.least;
      pane.plane.follow((plane.x / wide) * pane.wide, (plane.y / tall) * pane.tall, scale);
    }
  }
}
