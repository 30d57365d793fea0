// A box that keys move and size: what drawing around pictures is with the mouse.

import { corners } from "./plane.js";

const NUDGE = 20;
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Frame {
  /** `pick(points)` is called with the box in pixels, or with null when it was left. */
  constructor(plane, app, pick) {
    Object.assign(this, { plane, app, pick });
    this.box = null;
  }

  begin() {
    const { width, height } = this.plane;
    this.box = { x: width / 2, y: height / 2, w: width / 3, h: height / 3 };
    this.app.announce("Box: arrows move it, Shift and arrows size it, Enter picks, Escape leaves.");
    this.plane.redraw();
  }

  /** The corners while there is a box, else null. */
  get line() {
    if (!this.box) return null;
    const { x, y, w, h } = this.box;
    return corners([x - w / 2, y - h / 2], [x + w / 2, y + h / 2]);
  }

  /** Whether the key was for the box. */
  key(event) {
    const { box, line } = this;
    if (!box) return false;
    const way = WAYS[event.key];
    if (way) {
      const [across, down] = event.shiftKey ? ["w", "h"] : ["x", "y"];
      box[across] = Math.max(box[across] + way[0] * NUDGE, 8);
      box[down] = Math.max(box[down] + way[1] * NUDGE, 8);
    } else if (event.key === "Enter" || event.key === "Escape") {
      this.box = null;
      this.pick(event.key === "Enter" ? line : null);
    } else return false;
    event.preventDefault();
    event.stopPropagation();
    this.plane.redraw();
    return true;
  }
}
