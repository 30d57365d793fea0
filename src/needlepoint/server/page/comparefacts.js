// What is known of pictures side by side: what differs, and on demand what does not.

import { h, score } from "./dom.js";

const SIZES = ["bytes", "kB", "MB", "GB"];

function bytes(value) {
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), 3);
  return `${(value / 1000 ** power).toLocaleString(undefined, { maximumFractionDigits: power ? 1 : 0 })} ${SIZES[power]}`;
}

const moment = (text) => text.replace("T", " ");
const folder = (path) => path.slice(0, Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"))) || "/";

/** Rows: a label, and what a picture has there (null when it is not known). */
const FACTS = [
  ["Name", (item) => item.name],
  ["Folder", (item) => folder(item.path)],
  ["Pixels", (item) => `${item.width} × ${item.height}`],
  ["File", (item) => item.size && bytes(item.size)],
  ["Format", (item) => item.format],
  ["Taken", (item) => item.taken && moment(item.taken)],
  ["Camera", (item) => item.camera],
  ["Lens", (item) => item.lens],
  ["Place", (item) => item.lat !== null && item.lat !== undefined && `${item.lat.toFixed(4)}, ${item.lon.toFixed(4)}`],
  ["Keywords", (item) => item.keywords?.join(", ")],
  ["Rating", (item) => item.rating && "★".repeat(item.rating)],
];

function scores(items) {
  if (!items.some((item) => item.hit)) return [];
  const rows = [["Score", items.map((item) => item.hit && score(item.hit.score))]];
  if (items.some((item) => item.hit?.probability !== null)) {
    const chance = (hit) => hit && hit.probability !== null && `${Math.round(hit.probability * 100)} %`;
    rows.push(["Chance that it is right", items.map((item) => chance(item.hit))]);
  }
  const parts = items.find((item) => item.hit)?.hit.why ?? [];
  if (parts.length > 1) {
    parts.forEach(({ part, weight }, i) => {
      const away = weight < 0 ? "− " : "";
      rows.push([`${away}${part}`, items.map((item) => item.hit?.why?.[i] && score(item.hit.why[i].score))]);
    });
  }
  return rows;
}

/** The table of facts of items (as `/v1/items/{id}`, with `hit`). */
export function factsTable(items, q) {
  const facts = FACTS.map(([label, of]) => [label, items.map((item) => of(item) || null)]).filter(([, values]) =>
    values.some(Boolean),
  );
  const differs = ([, values]) => new Set(values).size > 1;
  const all = h("input", { type: "checkbox" });
  const body = h("tbody");
  const fill = () => {
    const rows = [...scores(items).map((one) => [...one, true]), ...facts.map((one) => [...one, false])];
    body.replaceChildren(
      ...rows
        .filter((one) => all.checked || one[2] || differs(one))
        .map(([label, values, number]) =>
          h(
            "tr",
            { class: differs([label, values]) ? "" : "same" },
            h("th", { scope: "row", text: label }),
            values.map((value) => h("td", { class: number ? "number" : "", text: value || "–" })),
          ),
        ),
    );
  };
  all.addEventListener("change", fill);
  fill();
  return h(
    "section",
    { class: "compare-facts", "aria-label": "What differs" },
    h(
      "div",
      { class: "compare-facts-top" },
      h("h2", { class: "panel-title", text: q ? `What differs, and the scores for “${q}”` : "What differs" }),
      h("label", { class: "compare-check" }, all, "Also what is the same"),
    ),
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("td"), items.map((item) => h("th", { scope: "col", text: item.name })))),
      body,
    ),
  );
}
