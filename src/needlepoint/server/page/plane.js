// A plane seen through a camera: what the map of the collection and the map of places stand on.
// Drag, wheel, pinch and keys move the camera; a lasso or a box can be drawn; all by one canvas.

import { h, iconButton } from "./dom.js";

const STEP = 60; // pixels an arrow key moves
const KEYS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Whether the reader asked for less motion. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Plane {
  // bounds: [left, top, right, bottom] in units of the plane. hooks: draw(context, plane),
  // tap(x, y, event), twice(x, y), hover(x, y) or hover(null), shape(points), moved(), all in
  // pixels of the canvas.
  constructor(canvas, bounds, most, hooks) {
    Object.assign(this, { canvas, bounds, most, hooks });
    this.context = canvas.getContext("2d");
    this.tool = "move";
    this.shifted = "lasso"; // what dragging with Shift draws
    this.room = 0.84; // part of the canvas that all of the plane fills
    this.shape = null; // points of what is being drawn, in pixels
    this.width = this.height = 0;
    this.pointers = new Map();
    this.ending = new AbortController();
    const on = (name, run, more) =>
      canvas.addEventListener(name, run, { signal: this.ending.signal, ...more });
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => this.#drop(event));
    on("pointerleave", () => this.hooks.hover?.(null));
    on("dblclick", (event) => this.hooks.twice?.(event.offsetX, event.offsetY));
    on("wheel", (event) => this.#wheel(event), { passive: false });
    this.sizes = new ResizeObserver(() => this.#resize());
    this.sizes.observe(canvas);
    this.#resize();
  }

  end() {
    this.ending.abort();
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.flight);
  }

  get least() {
    const [left, top, right, bottom] = this.bounds;
    return Math.min(this.width / (right - left), this.height / (bottom - top)) * this.room || 1;
  }

  fit(smooth = false) {
    const [left, top, right, bottom] = this.bounds;
    this.look((left + right) / 2, (top + bottom) / 2, this.least, smooth);
  }

  // Show a box of the plane, with some room around it.
  frameBox(left, top, right, bottom, smooth = true) {
    const tall = Math.max(bottom - top, 1e-9);
    const wide = Math.max(right - left, 1e-9);
    const scale = Math.min((this.width * 0.8) / wide, (this.height * 0.72) / tall);
    this.look((left + right) / 2, (top + bottom) / 2, scale, smooth);
  }

  look(x, y, scale, smooth = false) {
    const [left, top, right, bottom] = this.bounds;
    const goal = {
      x: Math.min(Math.max(x, left), right),
      y: Math.min(Math.max(y, top), bottom),
      scale: Math.min(Math.max(scale, this.least), this.most),
    };
    cancelAnimationFrame(this.flight);
    if (!smooth || calm() || !this.scale) {
      Object.assign(this, goal);
      this.redraw(true);
      return;
    }
    const from = { x: this.x, y: this.y, scale: this.scale };
    const began = performance.now();
    const fly = (now) => {
      const part = Math.min((now - began) / 260, 1);
      const ease = 1 - (1 - part) ** 3;
      this.scale = from.scale * (goal.scale / from.scale) ** ease;
      // the point that stays still while the scale changes lies on the way to the goal
      const gone =
        goal.scale === from.scale
          ? ease
          : (1 / from.scale - 1 / this.scale) / (1 / from.scale - 1 / goal.scale);
      this.x = from.x + (goal.x - from.x) * gone;
      this.y = from.y + (goal.y - from.y) * gone;
      this.redraw(true);
      if (part < 1) this.flight = requestAnimationFrame(fly);
    };
    this.flight = requestAnimationFrame(fly);
  }

  // Look where another plane looks; this does not count as having moved.
  follow(x, y, scale) {
    cancelAnimationFrame(this.flight);
    Object.assign(this, { x, y, scale: Math.min(Math.max(scale, this.least), this.most) });
    this.redraw();
  }

  zoom(factor, px = this.width / 2, py = this.height / 2, smooth = false) {
    const [x, y] = this.toPlane(px, py);
    const scale = Math.min(Math.max(this.scale * factor, this.least), this.most);
    this.look(
      x - (px - this.width / 2) / scale,
      y - (py - this.height / 2) / scale,
      scale,
      smooth,
    );
  }

  pan(dx, dy, smooth = false) {
    this.look(this.x + dx / this.scale, this.y + dy / this.scale, this.scale, smooth);
  }

  toPixels(x, y) {
    return [
      (x - this.x) * this.scale + this.width / 2,
      (y - this.y) * this.scale + this.height / 2,
    ];
  }

  toPlane(px, py) {
    return [
      (px - this.width / 2) / this.scale + this.x,
      (py - this.height / 2) / this.scale + this.y,
    ];
  }

  // The part of the plane that is seen, `margin` pixels more on each side.
  view(margin = 0) {
    const [left, top] = this.toPlane(-margin, -margin);
    const [right, bottom] = this.toPlane(this.width + margin, this.height + margin);
    return [left, top, right, bottom];
  }

  redraw(moved = false) {
    this.stirred ||= moved;
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.width) return;
      if (this.stirred) this.hooks.moved?.();
      this.stirred = false;
      this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      this.hooks.draw(this.context, this);
    });
  }

  // Arrow keys, plus, minus and 0; true when the key was one of these.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const way = KEYS[event.key];
    if (way) this.pan(way[0] * STEP, way[1] * STEP, true);
    else if (event.key === "+" || event.key === "=") this.zoom(1.6, undefined, undefined, true);
    else if (event.key === "-" || event.key === "_") this.zoom(1 / 1.6, undefined, undefined, true);
    else if (event.key === "0") this.fit(true);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const first = !this.width;
    const atLeast = !first && this.scale <= this.least * 1.001;
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    Object.assign(this, { width, height });
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    if (first || atLeast) this.fit();
    this.redraw(true);
  }

  #down(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.travel = 0;
    if (this.pointers.size > 1) this.shape = null;
    else if (this.tool !== "move" || event.shiftKey) {
      this.shape = [[event.offsetX, event.offsetY]];
      this.drawing = this.tool === "move" ? this.shifted : this.tool;
    }
    this.hooks.hover?.(null);
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    const now = [event.offsetX, event.offsetY];
    if (!before) {
      if (event.pointerType === "mouse") this.hooks.hover?.(...now);
      return;
    }
    if (this.pointers.size === 2) this.#pinch(event.pointerId, before, now);
    this.pointers.set(event.pointerId, now);
    if (this.pointers.size !== 1) return;
    this.travel += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (this.shape) {
      const [first] = this.shape;
      this.shape = this.drawing === "box" ? corners(first, now) : [...this.shape, now];
      this.redraw();
    } else if (this.travel > 3) this.pan(before[0] - now[0], before[1] - now[1]);
  }

  #pinch(id, before, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, at]) => at);
    const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
    const is = Math.hypot(now[0] - other[0], now[1] - other[1]);
    this.travel = 99; // what ends a pinch is no tap
    this.pan((before[0] - now[0]) / 2, (before[1] - now[1]) / 2);
    if (was > 0) this.zoom(is / was, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const shape = this.shape;
    this.shape = null;
    if (this.travel <= 4) this.hooks.tap?.(event.offsetX, event.offsetY, event);
    else if (shape && shape.length > 2) this.hooks.shape?.(shape);
    this.redraw();
  }

  #drop(event) {
    this.pointers.delete(event.pointerId);
    this.shape = null;
    this.redraw();
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 300 : 1;
    const pull = Math.min(Math.max(event.deltaY * lines, -240), 240);
    this.zoom(Math.exp(-pull * (event.ctrlKey ? 0.01 : 0.002)), event.offsetX, event.offsetY);
  }
}

/** The four corners of a box between two points. */
export function corners([ax, ay], [bx, by]) {
  return [
    [ax, ay],
    [bx, ay],
    [bx, by],
    [ax, by],
  ];
}

/** Draw a closed line over the plane: what is being picked. */
export function outline(context, points, colour) {
  if (points.length < 2) return;
  context.save();
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.globalAlpha = 0.12;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.stroke();
  context.restore();
}

/** The theme's colours as canvases take them: `paint("--ink")`; forget() after the theme changed. */
export function palette(root) {
  const probe = document.createElement("span");
  probe.hidden = true;
  root.append(probe);
  const known = new Map();
  const paint = (name) => {
    if (!known.has(name)) {
      probe.style.color = `var(${name})`;
      known.set(name, getComputedStyle(probe).color);
    }
    return known.get(name);
  };
  paint.forget = () => known.clear();
  return paint;
}

/** Call back when the theme changes, by the page or by the system; gives a function that ends this. */
export function onTheme(changed) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const page = new MutationObserver(changed);
  system.addEventListener("change", changed);
  page.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => {
    system.removeEventListener("change", changed);
    page.disconnect();
  };
}

/** The buttons that every map has: tools (`[name, icon, label, keys]`), zoom and fit. */
export function controls(plane, tools) {
  const pick = (name) => {
    plane.tool = name;
    plane.canvas.dataset.tool = name;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  };
  const buttons = tools.map(([name, icon, label, keys]) =>
    iconButton(icon, label, () => pick(name) ?? plane.canvas.focus(), { keys, "data-tool": name, "aria-pressed": "false" }),
  );
  const zoom = (factor) => () => plane.zoom(factor, undefined, undefined, true);
  const node = h(
    "div",
    { class: "map-tools", role: "toolbar", "aria-label": "Map" },
    buttons,
    h("span", { class: "gap" }),
    iconButton("more", "Zoom in", zoom(1.6), { keys: "+" }),
    iconButton("less", "Zoom out", zoom(1 / 1.6), { keys: "-" }),
    iconButton("fit", "Show all", () => plane.fit(true), { keys: "0" }),
  );
  pick(tools[0][0]);
  return { node, pick };
}
