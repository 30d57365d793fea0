// What is known of a picture, as rows of name and value.

import { count, h, iconButton } from "./dom.js";
import { url } from "./api.js";

function bytes(size) {
  if (size === undefined || size === null) return null;
  const units = ["bytes", "kB", "MB", "GB"];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
}

const day = (taken) => {
  const when = new Date(taken.length > 10 ? `${taken.slice(0, 19)}Z` : `${taken}T00:00Z`);
  if (Number.isNaN(when.getTime())) return taken;
  return when.toLocaleString(undefined, { dateStyle: "long", timeStyle: taken.length > 10 ? "short" : undefined, timeZone: "UTC" });
};

/** Headings and rows for the side of a picture. */
export function facts(app, item) {
  const rows = [
    ["Size", `${count(item.width)} × ${count(item.height)} px`],
    ["File", [item.format?.toUpperCase(), bytes(item.size)].filter(Boolean).join(", ")],
    ["Taken", item.taken && day(item.taken)],
    ["Camera", [item.camera, item.lens].filter(Boolean).join(", ")],
    ["Place", item.lat == null ? null : `${item.lat.toFixed(5)}, ${item.lon.toFixed(5)}`],
    ["Keywords", item.keywords?.join(", ")],
    ["Rating", item.rating == null ? null : `${item.rating} of 5`],
    ["Number", `@${item.id}`],
    ["State", item.state && item.state !== "present" ? item.state : null],
  ];
  const list = h("dl", { class: "facts" });
  for (const [name, value] of rows) if (value) list.append(h("dt", { text: name }), h("dd", { text: value }));
  const copy = iconButton("copy", "Copy the path", async () => {
    try {
      await navigator.clipboard.writeText(item.path);
      app.tell("Path copied");
    } catch {
      app.tell("The browser does not allow copying here; select the path instead.");
    }
  });
  const path = h("div", { class: "path" }, h("code", { text: item.path }), copy);
  const full = h("a", { class: "button quiet", href: url(`/v1/items/${item.id}/crop`, { side: 4096 }), target: "_blank", rel: "noreferrer", text: "Open large" });
  return [h("h3", { text: "Facts" }), list, h("h3", { text: "Path" }), path, full];
}
