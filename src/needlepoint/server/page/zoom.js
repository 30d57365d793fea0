// Fitting a picture into its stage, zooming where the pointer is, and moving it about.

const MOST = 16;
const WHEEL = 0.0016;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Keeps `plane` (the picture and what lies on it) in place within `stage`. */
export class Zoom {
  constructor(stage, plane, changed) {
    Object.assign(this, { stage, plane, changed, width: 1, height: 1 });
    this.fit();
    new ResizeObserver(() => this.apply()).observe(stage);
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** The size in pixels of the picture to show; it is fitted anew. */
  picture(width, height) {
    Object.assign(this, { width, height });
    this.fit();
  }

  fit() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.apply();
  }

  base() {
    const room = this.stage;
    return Math.min((room.clientWidth - 24) / this.width, (room.clientHeight - 24) / this.height, 4) || 1;
  }

  apply() {
    const size = this.base() * this.scale;
    const w = this.width * size;
    const hh = this.height * size;
    const roomX = Math.max(0, (w - this.stage.clientWidth) / 2 + 12);
    const roomY = Math.max(0, (hh - this.stage.clientHeight) / 2 + 12);
    this.x = clamp(this.x, -roomX, roomX);
    this.y = clamp(this.y, -roomY, roomY);
    this.plane.style.width = `${w}px`;
    this.plane.style.height = `${hh}px`;
    const left = (this.stage.clientWidth - w) / 2 + this.x;
    const top = (this.stage.clientHeight - hh) / 2 + this.y;
    this.plane.style.transform = `translate(${left}px, ${top}px)`;
    this.changed?.(this.scale, Math.max(w, hh));
  }

  /** Multiply the scale and keep the point (of the stage) where it is. */
  by(factor, atX = this.stage.clientWidth / 2, atY = this.stage.clientHeight / 2) {
    const before = this.scale;
    this.scale = clamp(before * factor, 1, MOST);
    const ratio = this.scale / before;
    const dx = atX - this.stage.clientWidth / 2;
    const dy = atY - this.stage.clientHeight / 2;
    this.x = dx - (dx - this.x) * ratio;
    this.y = dy - (dy - this.y) * ratio;
    this.apply();
  }

  wheel(event) {
    event.preventDefault();
    const area = this.stage.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 24 : 1;
    this.by(Math.exp(-event.deltaY * lines * WHEEL), event.clientX - area.left, event.clientY - area.top);
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.apply();
  }

  /** A second finger came down: zoom and move with both until one is lifted. */
  pinch(event) {
    const fingers = new Map([[event.pointerId, [event.clientX, event.clientY]]]);
    let last = null;
    const move = (moved) => {
      fingers.set(moved.pointerId, [moved.clientX, moved.clientY]);
      if (fingers.size < 2) return;
      const [[ax, ay], [bx, by]] = fingers.values();
      const now = { apart: Math.hypot(ax - bx, ay - by), x: (ax + bx) / 2, y: (ay + by) / 2 };
      if (last) {
        const area = this.stage.getBoundingClientRect();
        this.pan(now.x - last.x, now.y - last.y);
        this.by(now.apart / last.apart, now.x - area.left, now.y - area.top);
      }
      last = now;
    };
    const end = () => {
      for (const name of ["pointerup", "pointercancel"]) window.removeEventListener(name, end, true);
      window.removeEventListener("pointermove", move, true);
    };
    window.addEventListener("pointermove", move, true);
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, end, true);
  }

  /** Follow a pointer and move the picture with it. */
  drag(event) {
    let last = [event.clientX, event.clientY];
    const move = (moved) => {
      this.pan(moved.clientX - last[0], moved.clientY - last[1]);
      last = [moved.clientX, moved.clientY];
    };
    const end = () => {
      this.stage.removeEventListener("pointermove", move);
      this.stage.removeEventListener("pointerup", end);
      this.stage.removeEventListener("pointercancel", end);
    };
    this.stage.setPointerCapture(event.pointerId);
    this.stage.addEventListener("pointermove", move);
    this.stage.addEventListener("pointerup", end);
    this.stage.addEventListener("pointercancel", end);
  }
}
