// A part of the question as something that can be weighed, turned around and taken away.

import { h, iconButton } from "./dom.js";
import { thumb } from "./api.js";
import { cover } from "./place.js";
import { shown } from "./question.js";

const STEPS = [0.25, 0.5, 1, 1.5, 2, 3, 5];

function heavier(weight, by) {
  const size = Math.abs(weight);
  const list = by > 0 ? STEPS : [...STEPS].reverse();
  const next = list.find((step) => (by > 0 ? step > size : step < size)) ?? size;
  return Math.sign(weight) * next;
}

function label(part) {
  if (part.kind === "text") return part.value;
  const piece = part.box ? "piece of " : "";
  if (part.kind === "item") return `${piece}@${part.value}`;
  return part.value.startsWith("upload:") ? `${piece}your picture` : piece + part.value.split(/[\\/]/).pop();
}

/** The chip of a part; `change(part|null)` puts another in its place, or none. */
export function chip(app, part, change) {
  const name = label(part);
  const away = part.weight < 0;
  const sign = h("button", { type: "button", class: "chip-sign", text: away ? "−" : "+", title: away ? "Pushes away; click to pull" : "Pulls; click to push away", "aria-label": `${name}: ${away ? "pushes away, turn to pull" : "pulls, turn to push away"}`, onClick: () => change({ ...part, weight: -part.weight }) });
  const weight = h("span", { class: "chip-weight", role: "group", "aria-label": `Weight of ${name}` },
    iconButton("less", `Less weight for ${name}`, () => change({ ...part, weight: heavier(part.weight, -1) })),
    h("span", { text: `${Math.abs(part.weight)}×` }),
    iconButton("more", `More weight for ${name}`, () => change({ ...part, weight: heavier(part.weight, 1) })),
  );
  const id = shown(part);
  const element = h("div", { class: `chip part${away ? " away" : ""}`, role: "group", "aria-label": `Part: ${away ? "not " : ""}${name}` }, sign);
  if (id) {
    const image = h("img", { alt: "", src: thumb(id, 160, part.percent ? null : part.box) });
    image.addEventListener("error", () => image.replaceWith(h("span", { class: "chip-lost", text: "gone" })));
    const onUpload = part.percent && part.box ? h("span", { class: "mark" }) : null;
    if (onUpload) cover(onUpload, part.box, { width: 100, height: 100 });
    const open = h("button", { type: "button", class: "chip-thumb", title: "Look at it, draw a box on it", "aria-label": `Open ${name}, draw a box on it`, onClick: () => app.open(id) }, image, onUpload);
    element.append(open);
  }
  element.append(h("span", { class: "chip-name", text: name }));
  element.append(weight, iconButton("close", `Remove ${name}`, () => change(null)));
  return element;
}
