// Many points on a plane, found quickly: which are in sight, nearest, or inside a drawn line.

const CELLS = 128; // a side of the grid that points are sorted into

export class Scatter {
  // ids, x, y: arrays of one length; places from 0 to 1, of which x is stretched to `wide`.
  constructor(ids, x, y, wide = 1) {
    this.ids = ids;
    this.wide = wide;
    this.x = Float32Array.from(x, (value) => value * wide);
    this.y = Float32Array.from(y);
    this.size = ids.length;
    this.at = new Map(ids.map((id, i) => [id, i]));
    const cell = new Uint16Array(this.size);
    this.starts = new Uint32Array(CELLS * CELLS + 1);
    for (let i = 0; i < this.size; i++) {
      cell[i] = row(this.y[i]) * CELLS + this.#column(this.x[i]);
      this.starts[cell[i] + 1]++;
    }
    for (let c = 0; c < CELLS * CELLS; c++) this.starts[c + 1] += this.starts[c];
    const next = this.starts.slice();
    this.order = new Uint32Array(this.size);
    for (let i = 0; i < this.size; i++) this.order[next[cell[i]]++] = i;
    // a fixed shuffle: who is drawn first where not all have room, whatever is in sight
    this.turn = Uint32Array.from(ids, (id) => Math.imul(id + 1, 2654435761) >>> 0);
  }

  #column(x) {
    return row(x / this.wide);
  }

  // Call with each point of a box; points of border cells may lie outside it.
  each([left, top, right, bottom], run) {
    for (let r = row(top); r <= row(bottom); r++) {
      const from = this.starts[r * CELLS + this.#column(left)];
      const to = this.starts[r * CELLS + this.#column(right) + 1];
      for (let k = from; k < to; k++) run(this.order[k]);
    }
  }

  within(box) {
    const [left, top, right, bottom] = box;
    const found = [];
    this.each(box, (i) => {
      const x = this.x[i];
      const y = this.y[i];
      if (x >= left && x <= right && y >= top && y <= bottom) found.push(i);
    });
    return found;
  }

  // The point nearest to a place, at most `reach` away, among those `wanted`; -1 when none is.
  nearest(x, y, reach, wanted = () => true) {
    let best = -1;
    let least = reach * reach;
    this.each([x - reach, y - reach, x + reach, y + reach], (i) => {
      const far = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (far <= least && wanted(i) && (far < least || best < 0)) {
        best = i;
        least = far;
      }
    });
    return best;
  }

  // Points inside a closed line, a list of [x, y].
  inside(line) {
    const xs = line.map(([x]) => x);
    const ys = line.map(([, y]) => y);
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    return this.within(box).filter((i) => isInside(this.x[i], this.y[i], line));
  }
}

function row(value) {
  return Math.min(Math.max(Math.floor(value * CELLS), 0), CELLS - 1);
}

export function isInside(x, y, line) {
  let inside = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [ax, ay] = line[i];
    const [bx, by] = line[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

// Dots of ink: discs stamped into one grey picture, which is quick for a hundred thousand.
export class Ink {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
  }

  // A fresh sheet of this size; what follows is stamp, any number of dot, finish.
  begin(width, height) {
    if (this.canvas.width !== width || this.canvas.height !== height || !this.grey) {
      Object.assign(this.canvas, { width, height });
      this.grey = new Uint8ClampedArray(width * height);
      this.image = this.context.createImageData(width, height);
      this.words = new Uint32Array(this.image.data.buffer);
    } else this.grey.fill(0);
    Object.assign(this, { width, height });
  }

  // The stamp: a disc of this radius with a soft rim; `strength` 0 to 255.
  stamp(radius, strength) {
    const reach = Math.ceil(radius + 0.5);
    const steps = [];
    const inks = [];
    for (let dy = -reach; dy <= reach; dy++)
      for (let dx = -reach; dx <= reach; dx++) {
        const cover = Math.min(Math.max(radius + 0.5 - Math.hypot(dx, dy), 0), 1);
        if (cover > 0) {
          steps.push(dy * this.width + dx);
          inks.push(Math.round(cover * strength));
        }
      }
    this.steps = Int32Array.from(steps);
    this.inks = Uint8Array.from(inks);
    this.reach = reach;
  }

  dot(px, py) {
    const x = Math.round(px);
    const y = Math.round(py);
    const { reach, width, height, grey, steps, inks } = this;
    if (x < reach || y < reach || x >= width - reach || y >= height - reach) return;
    const middle = y * width + x;
    for (let i = 0; i < steps.length; i++) {
      const at = middle + steps[i];
      grey[at] += ((255 - grey[at]) * inks[i]) >> 8;
    }
  }

  // Colour what was stamped: [r, g, b].
  finish([r, g, b]) {
    const colour = (b << 16) | (g << 8) | r;
    const { grey, words } = this;
    for (let i = 0; i < grey.length; i++) words[i] = grey[i] ? (grey[i] << 24) | colour : 0;
    this.context.putImageData(this.image, 0, 0);
    return this.canvas;
  }
}

// A CSS colour as [r, g, b].
export function rgb(colour) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
