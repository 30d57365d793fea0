// Drawing a box on a picture, with a mouse, a finger, or the keyboard.

import { h } from "./dom.js";

const LEAST = 6;
const STEP = 0.02;
const CORNERS = ["nw", "ne", "sw", "se"];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** A box in shares of the picture `[x, y, w, h]` on `plane`, which lies exactly over the picture. */
export class BoxDrawer {
  /** `changed(box|null)` is called as it is drawn, `entered()` when Enter asks to search for it. */
  constructor(plane, { changed, entered }) {
    Object.assign(this, { plane, changed, entered, box: null });
    /** Forget the box that is being drawn, as when a second finger comes down. */
    this.giveUp = () => {};
    this.element = h("div", {
      class: "drawn",
      tabIndex: 0,
      role: "group",
      "aria-roledescription": "box",
      hidden: true,
      onKeydown: (event) => this.key(event),
    });
    this.element.append(...CORNERS.map((corner) => h("span", { class: `corner ${corner}`, "data-corner": corner })));
    plane.append(this.element);
  }

  set(box) {
    this.box = box;
    this.element.hidden = !box;
    if (box) {
      const [x, y, w, hh] = box;
      this.element.style.left = `${100 * x}%`;
      this.element.style.top = `${100 * y}%`;
      this.element.style.width = `${100 * w}%`;
      this.element.style.height = `${100 * hh}%`;
      const said = box.map((value) => Math.round(100 * value));
      this.element.setAttribute("aria-label", `Box, ${said[2]} by ${said[3]} percent at ${said[0]}, ${said[1]}. Arrows move it, Shift and arrows size it, Enter searches for what is in it, Escape removes it.`);
    }
    this.changed(box);
  }

  /** A box in the middle that the keyboard can move. */
  begin() {
    if (!this.box) this.set([0.35, 0.35, 0.3, 0.3]);
    this.element.focus();
  }

  at(event) {
    const area = this.plane.getBoundingClientRect();
    return [clamp((event.clientX - area.left) / area.width, 0, 1), clamp((event.clientY - area.top) / area.height, 0, 1)];
  }

  /** Follow a pointer from its press to its release: draws, moves, or pulls a corner. */
  press(event) {
    const from = this.at(event);
    const corner = event.target.dataset?.corner;
    const inside = !corner && this.element.contains(event.target);
    const old = this.box;
    const [ox, oy, ow, oh] = old ?? [0, 0, 0, 0];
    const fixed = corner ? [corner.includes("w") ? ox + ow : ox, corner.includes("n") ? oy + oh : oy] : from;
    const move = (moved) => {
      const to = this.at(moved);
      if (inside) {
        this.set([clamp(ox + to[0] - from[0], 0, 1 - ow), clamp(oy + to[1] - from[1], 0, 1 - oh), ow, oh]);
        return;
      }
      this.set([Math.min(fixed[0], to[0]), Math.min(fixed[1], to[1]), Math.abs(to[0] - fixed[0]), Math.abs(to[1] - fixed[1])]);
    };
    const stop = () => {
      this.plane.removeEventListener("pointermove", move);
      this.plane.removeEventListener("pointerup", end);
      this.plane.removeEventListener("pointercancel", end);
      this.giveUp = () => {};
    };
    const end = () => {
      stop();
      const area = this.plane.getBoundingClientRect();
      if (!this.box) return;
      if (this.box[2] * area.width < LEAST || this.box[3] * area.height < LEAST) this.set(null);
      else this.element.focus({ preventScroll: true });
    };
    this.giveUp = () => {
      stop();
      this.set(old);
    };
    this.plane.setPointerCapture(event.pointerId);
    this.plane.addEventListener("pointermove", move);
    this.plane.addEventListener("pointerup", end);
    this.plane.addEventListener("pointercancel", end);
    event.preventDefault();
  }

  key(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way) {
      let [x, y, w, hh] = this.box;
      const step = event.ctrlKey ? STEP / 4 : STEP;
      if (event.shiftKey) {
        w = clamp(w + way[0] * step, STEP / 2, 1 - x);
        hh = clamp(hh + way[1] * step, STEP / 2, 1 - y);
      } else {
        x = clamp(x + way[0] * step, 0, 1 - w);
        y = clamp(y + way[1] * step, 0, 1 - hh);
      }
      this.set([x, y, w, hh]);
    } else if (event.key === "Enter") this.entered();
    else if (event.key === "Escape") this.set(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
