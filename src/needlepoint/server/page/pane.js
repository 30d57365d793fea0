// One picture of a comparison on a canvas, or two over each other, in one camera.

import { Plane } from "./plane.js";

const FIRST = 1600; // pixels the long side is asked for at first
const FINE = 4096; // and once it is enlarged beyond those

export class Pane {
  constructor(canvas, items, view) {
    Object.assign(this, { canvas, items, view });
    const [{ width, height }] = items;
    this.long = Math.max(width, height);
    this.wide = width / this.long;
    this.tall = height / this.long;
    this.images = items.map(() => null);
    this.fine = false;
  }

  begin() {
    this.plane = new Plane(this.canvas, [0, 0, this.wide, this.tall], this.long * 8, {
      draw: (context) => this.#draw(context),
      twice: (x, y) => this.plane.zoom(2.2, x, y, true),
      moved: () => this.view.follow(this),
    });
    this.plane.room = 0.98;
    this.plane.fit();
    this.canvas.addEventListener("keydown", (event) => this.plane.key(event));
    this.#load(FIRST);
  }

  end() {
    this.plane?.end();
  }

  /** One pixel of the picture for one of the screen. */
  pixels() {
    this.plane.look(this.plane.x, this.plane.y, this.long / this.plane.ratio, true);
  }

  #load(side) {
    this.canvas.setAttribute("aria-busy", "true");
    this.items.forEach((item, i) => {
      const image = new Image();
      image.onload = () => {
        this.images[i] = image;
        if (this.images.every(Boolean)) this.canvas.removeAttribute("aria-busy");
        this.plane.redraw();
      };
      image.onerror = () => this.view.app.tell(`${item.name} cannot be shown.`);
      image.src = this.view.app.api.url(`/v1/items/${item.id}/crop`, { side });
    });
  }

  // Enlarged beyond the pixels at hand, a picture is asked for again, finer.
  #sharpen() {
    if (!this.fine && this.long > FIRST && this.plane.scale * this.plane.ratio > FIRST * 1.2) {
      this.fine = true;
      this.#load(FINE);
    }
  }

  #draw(context) {
    this.#sharpen();
    const { plane, view } = this;
    const [left, top] = plane.toPixels(0, 0);
    const [right, bottom] = plane.toPixels(this.wide, this.tall);
    const place = [left, top, right - left, bottom - top];
    context.clearRect(0, 0, plane.width, plane.height);
    context.imageSmoothingEnabled = plane.scale * plane.ratio < this.long * 2;
    context.imageSmoothingQuality = "high";
    if (this.items.length === 1) this.#one(context, 0, place);
    else if (view.mode === "flicker") this.#one(context, view.front, place);
    else if (view.mode === "swipe") this.#swipe(context, place);
    else {
      this.#image(context, 0, place);
      context.globalCompositeOperation = "difference";
      this.#image(context, 1, place);
      context.globalCompositeOperation = "source-over";
    }
  }

  // Both pictures, each on its side of an edge.
  #swipe(context, place) {
    const [left, top, width, height] = place;
    const edge = left + width * this.view.part;
    const sides = [
      [left, edge],
      [edge, left + width],
    ];
    sides.forEach(([from, to], i) => {
      context.save();
      context.beginPath();
      context.rect(from, top, to - from, height);
      context.clip();
      this.#one(context, i, place);
      context.restore();
    });
    context.fillStyle = this.view.paint("--accent");
    context.fillRect(Math.round(edge) - 1, top, 2, height);
  }

  #image(context, i, place) {
    if (this.images[i]) context.drawImage(this.images[i], ...place);
  }

  // A picture, and the box where it matched.
  #one(context, i, place) {
    this.#image(context, i, place);
    const { hit, width } = this.items[i];
    if (!hit?.box || !this.view.boxes) return;
    const [x, y, w, h] = hit.box.map((value) => (value / width) * place[2]);
    for (const [line, colour] of [[4, "--paper"], [2, "--accent"]]) {
      context.lineWidth = line;
      context.strokeStyle = this.view.paint(colour);
      context.strokeRect(place[0] + x, place[1] + y, w, h);
    }
  }
}
