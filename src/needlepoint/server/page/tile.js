// One picture of the grid: its place in the picture, its score, and what can be done with it.

import { h, icon, iconButton, score } from "./dom.js";
import { thumb } from "./api.js";
import { around, cover } from "./place.js";

const SIDES = [160, 240, 320, 480, 640, 800, 1024];
const LOUPE = 0.46;

/** The smallest thumbnail that is sharp at a width. */
export function side(pixels) {
  const need = pixels * Math.min(window.devicePixelRatio || 1, 2);
  return SIDES.find((one) => one >= need) ?? SIDES.at(-1);
}

function said(item, index, below) {
  if (!item.name) return `Picture ${item.id}`;
  // What is seen comes first and in the order in which it is seen.
  const seen = [item.folded?.length ? `+${item.folded.length}` : "", score(item.score), item.name];
  const parts = [seen.filter(Boolean).join(" "), `rank ${index + 1}`];
  if (below) parts.push("probably not");
  else if (item.match) parts.push("matches");
  if (item.box) parts.push(`matched at ${item.box.slice(0, 2).join(", ")}`);
  if (item.folded?.length) parts.push(`${item.folded.length} near-duplicates folded`);
  return parts.join(", ");
}

function moved(rise) {
  if (rise === null) return h("span", { class: "moved", text: "new" });
  if (!rise) return null;
  const up = rise > 0;
  return h("span", { class: `moved ${up ? "up" : "down"}`, "aria-label": `${up ? "up" : "down"} ${Math.abs(rise)}`, text: `${up ? "↑" : "↓"}${Math.abs(rise)}` });
}

/** A gridcell. `does` has pick, more, less, change, why, unfold; each is called with the item. */
export function tile(app, item, index, size, below, does) {
  if (!item) {
    const frame = h("div", { class: "frame" });
    frame.style.width = `${size.cell}px`;
    frame.style.height = `${size.frame}px`;
    return h("div", { role: "gridcell", class: "tile waiting", "aria-label": "Not loaded yet" }, h("div", { class: "cell" }, frame));
  }
  const scale = Math.min(size.cell / item.width, size.frame / item.height);
  const frame = h("div", { class: "frame" });
  frame.style.width = `${Math.max(24, Math.round(item.width * scale))}px`;
  frame.style.height = `${Math.max(24, Math.round(item.height * scale))}px`;
  const image = h("img", { alt: "", decoding: "async", draggable: false });
  image.dataset.src = thumb(item.id, side(Math.max(item.width, item.height) * scale));
  image.addEventListener("error", () => lost(frame));
  frame.append(image);
  if (item.box) frame.append(place(item));
  const picked = app.selected.has(item.id);
  frame.append(
    h("button", { type: "button", class: "tick", tabIndex: -1, "aria-label": "Select", onClick: (event) => does.pick(index, event) }, icon("check")),
  );
  const acts = h("div", { class: "acts" });
  acts.append(
    iconButton("more", "More like this", () => does.more(item), { keys: "m", tabIndex: -1 }),
    iconButton("less", "Less like this", () => does.less(item), { keys: "l", tabIndex: -1 }),
    iconButton("arrow", "Like this, but changed in words", () => does.change(item), { keys: "x", tabIndex: -1 }),
  );
  if (item.score !== undefined) {
    acts.append(iconButton("why", "Why this picture", (event) => does.why(item, event.currentTarget), { keys: "w", tabIndex: -1 }));
  }
  frame.append(acts);
  if (item.folded?.length) {
    frame.append(
      h("button", { type: "button", class: "folded", tabIndex: -1, text: `+${item.folded.length}`, "aria-label": `+${item.folded.length} near-duplicates, show them`, onClick: () => does.unfold(item) }),
    );
  }
  const cell = h("div", { class: "cell" }, frame);
  cell.style.height = `${size.frame}px`;
  const element = h(
    "div",
    { role: "gridcell", class: `tile${below ? " below" : ""}`, "aria-label": said(item, index, below), "aria-selected": String(picked), "data-id": item.id },
    cell,
  );
  if (size.caption) element.append(caption(app, item, below));
  return element;
}

function caption(app, item, below) {
  const line = h("div", { class: "caption" });
  if (item.score !== undefined) line.append(h("span", { class: `score${item.match && !below ? " match" : ""}`, text: score(item.score) }), " ");
  line.append(h("span", { class: "name", text: item.name ?? `@${item.id}`, title: item.path ?? "" }));
  if (app.moved && item.id in app.moved) line.append(moved(app.moved[item.id]) ?? "");
  return line;
}

function place(item) {
  const mark = h("div", { class: "mark" });
  cover(mark, item.box, item);
  return mark;
}

function lost(frame) {
  frame.classList.add("lost");
  frame.title = "This picture cannot be shown: its file is missing or cannot be read";
}

/** Show a close-up of the matched place in a tile, in the corner that hides it least. */
export function closeUp(element, item) {
  const frame = element.querySelector(".frame");
  if (!item?.box || frame.querySelector(".loupe")) return;
  const shown = frame.clientWidth * LOUPE;
  const image = h("img", { alt: "", src: thumb(item.id, side(shown), around(item.box, item)) });
  const right = item.box[0] + item.box[2] / 2 < item.width / 2;
  const low = item.box[1] + item.box[3] / 2 < item.height / 2;
  const loupe = h("div", { class: `loupe ${right ? "right" : "left"} ${low ? "low" : "high"}` }, image);
  loupe.style.width = `${Math.round(Math.min(shown, frame.clientHeight * 0.6))}px`;
  frame.append(loupe);
}

/** Take the close-up away again. */
export function noCloseUp(element) {
  element.querySelector(".loupe")?.remove();
}
