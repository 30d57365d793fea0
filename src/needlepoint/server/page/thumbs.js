// Small pictures for canvases: asked for as they come into sight, a bounded number kept.

const KEPT = 600;
const AT_ONCE = 8;

export class Thumbs {
  /** `address(id)` gives the URL of one; `changed()` tells that one has come, `busy(on)` whether some will. */
  constructor(address, changed, busy) {
    Object.assign(this, { address, changed, busy });
    this.kept = new Map(); // id -> image, the one used last at the end
    this.wanted = [];
    this.loading = new Set();
  }

  /** The picture, or null while it is not here; what is asked for first is loaded first. */
  get(id) {
    const image = this.kept.get(id);
    if (image === undefined) {
      this.wanted.push(id);
      return null;
    }
    this.kept.delete(id);
    this.kept.set(id, image);
    return image;
  }

  /** Begin a frame: what the frame before wanted and is out of sight now is not asked for. */
  begin() {
    this.wanted = [];
  }

  /** End a frame: ask for what it missed. */
  end() {
    for (const id of this.wanted) {
      if (this.loading.size >= AT_ONCE) break;
      if (!this.loading.has(id)) this.#load(id);
    }
    this.busy(this.loading.size > 0);
  }

  #load(id) {
    const image = new Image();
    this.loading.add(id);
    const done = (kept) => {
      this.loading.delete(id);
      this.kept.set(id, kept);
      if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
      this.changed();
    };
    image.onload = () => done(image);
    image.onerror = () => done(false);
    image.src = this.address(id);
  }
}

/** Fill a square with the middle of a picture. */
export function drawSquare(context, image, x, y, side) {
  const cut = Math.min(image.naturalWidth, image.naturalHeight);
  const sx = (image.naturalWidth - cut) / 2;
  const sy = (image.naturalHeight - cut) / 2;
  context.drawImage(image, sx, sy, cut, cut, x, y, side, side);
}
