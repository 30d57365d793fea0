// Boxes of pictures: where they lie, and what is around them.

/** Put an element over a box of a picture, in percent of it. */
export function cover(element, [x, y, w, hh], { width, height }) {
  element.style.left = `${(100 * x) / width}%`;
  element.style.top = `${(100 * y) / height}%`;
  element.style.width = `${(100 * w) / width}%`;
  element.style.height = `${(100 * hh) / height}%`;
}

/** A box a little larger and nearly square, to see a place with what is around it. */
export function around([x, y, w, hh], { width, height }, share = 0.25) {
  const long = Math.min(Math.max(w, hh) * (1 + 2 * share), width, height);
  const left = Math.min(Math.max(0, x + w / 2 - long / 2), width - long);
  const top = Math.min(Math.max(0, y + hh / 2 - long / 2), height - long);
  return [left, top, long, long].map(Math.round);
}
