// A dialog with one picture, on which the part that is meant is drawn.

import { h } from "./dom.js";

const SIDE = 1024;
const NUDGE = 0.02;
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const within = (value, least, most) => Math.min(Math.max(value, least), most);

/** The box [x, y, w, h] in pixels of the picture, null for the whole of it, undefined when left. */
export async function partDialog(app, id, before) {
  const { width, height } = await app.api.get(`/v1/items/${id}`);
  const size = [width, height, width, height];
  let part = before ? before.map((value, i) => value / size[i]) : null; // in parts of the picture
  let from = null;

  const box = h("div", { class: "part-box", hidden: true });
  const field = h(
    "div",
    { class: "part-field", tabIndex: 0, role: "application", "aria-label": "Picture. Drag, or press an arrow key, to draw the part; Shift and arrows size it." },
    h("img", { src: app.thumb(id, SIDE), alt: "", draggable: false }),
    box,
  );
  const take = h("button", { class: "button primary", value: "take", text: "Take this part" });
  const whole = h("button", { class: "button", value: "whole", text: "The whole picture" });
  const dialog = h(
    "dialog",
    { class: "sheet part-dialog", "aria-label": "Draw the part that is meant" },
    h("form", { method: "dialog" }, h("h2", { text: "Draw the part that is meant" }), field, h("div", { class: "part-acts" }, take, whole, h("button", { class: "button quiet", value: "", text: "Cancel" }))),
  );

  const show = () => {
    box.hidden = take.disabled = !part;
    if (!part) return;
    ["left", "top", "width", "height"].forEach((name, i) => (box.style[name] = `${part[i] * 100}%`));
  };
  const at = (event) => {
    const frame = field.getBoundingClientRect();
    return [within((event.clientX - frame.left) / frame.width, 0, 1), within((event.clientY - frame.top) / frame.height, 0, 1)];
  };
  field.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    field.setPointerCapture(event.pointerId);
    from = at(event);
  });
  field.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = at(event);
    part = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])];
    show();
  });
  field.addEventListener("pointerup", () => {
    if (part && (part[2] < 0.01 || part[3] < 0.01)) part = null;
    from = null;
    show();
  });
  field.addEventListener("keydown", (event) => {
    const way = WAYS[event.key];
    if (!way) return;
    event.preventDefault();
    part ??= [0.35, 0.35, 0.3, 0.3];
    const axis = way[0] ? 0 : 1;
    const step = (way[0] + way[1]) * NUDGE;
    if (event.shiftKey) part[axis + 2] = within(part[axis + 2] + step, NUDGE, 1 - part[axis]);
    else part[axis] = within(part[axis] + step, 0, 1 - part[axis + 2]);
    show();
  });

  document.body.append(dialog);
  show();
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue === "whole") resolve(null);
      else resolve(dialog.returnValue === "take" ? part.map((value, i) => Math.round(value * size[i])) : undefined);
    });
  });
}
