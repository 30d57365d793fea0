// Where in a picture the answer lies, as a veil that is thin where it is.

import { h } from "./dom.js";
import { get } from "./api.js";

const VEIL = 0.74;

/** A canvas of a heat map's own cells; the page stretches it over the picture. */
export function paint({ rows, columns, values }) {
  const canvas = h("canvas", { class: "heat", width: columns, height: rows, role: "img", "aria-label": "Heat map: bright where the question matches" });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const value = Math.min(Math.max(values[y][x], 0), 1);
      pixels.data.set([10, 10, 14, Math.round(255 * VEIL * (1 - value))], 4 * (y * columns + x));
    }
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** The heat map of an item for a question, painted; raises Problem when it has none. */
export async function heat(id, q, signal) {
  return paint(await get(`/v1/items/${id}/heat`, { q }, { signal }));
}
