// Lists of pictures as files: JSON, CSV, or one path a line.

import { count, h, plural } from "./dom.js";
import { get } from "./api.js";
import { openSheet } from "./sheet.js";

const AT_ONCE = 150;
const COLUMNS = ["rank", "id", "score", "match", "box_x", "box_y", "box_w", "box_h", "width", "height", "taken", "path"];
const MOST = 10000;

/** What is known of pictures: hits as they are, the others asked for by their numbers. */
async function rowsOf(app, ids) {
  const known = new Map();
  if (app.source.kind === "answer") app.hits().forEach((hit) => known.set(hit.id, hit));
  const unknown = ids.filter((id) => !known.has(id));
  for (let at = 0; at < unknown.length; at += AT_ONCE) {
    const where = `id in (${unknown.slice(at, at + AT_ONCE).join(", ")})`;
    const answer = await get("/v1/items", { where, limit: AT_ONCE, fields: "full" });
    for (const item of answer.items) known.set(item.id, item);
  }
  return ids.filter((id) => known.has(id)).map((id) => known.get(id));
}

/** Absolute paths of pictures, in the order of their ids. */
export async function pathsOf(app, ids) {
  return (await rowsOf(app, ids)).map((row) => row.path);
}

const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Comma-separated rows under a header (RFC 4180). */
function csv(rows) {
  const lines = rows.map((row) => {
    const [x, y, w, hh] = row.box ?? [];
    const flat = { ...row, box_x: x, box_y: y, box_w: w, box_h: hh };
    return COLUMNS.map((name) => cell(flat[name])).join(",");
  });
  return `${[COLUMNS.join(","), ...lines].join("\n")}\n`;
}

function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** Ask which pictures and in which form, then save the file. */
export function exportSheet(app) {
  const chosen = [...app.selected];
  const cut = app.cutIndex();
  const loaded = app.source.total;
  const which = h("select", { "aria-label": "Which pictures" });
  if (chosen.length) which.append(h("option", { value: "selected", text: `The ${count(chosen.length)} selected` }));
  if (cut) which.append(h("option", { value: "above", text: `The ${count(cut)} above the cut-off` }));
  which.append(h("option", { value: "all", text: `All ${count(Math.min(loaded, MOST))} of this list` }));
  const told = h("p", { role: "status" });

  async function rows() {
    if (which.value === "selected") return rowsOf(app, chosen.slice(0, MOST));
    const wanted = Math.min(which.value === "above" ? cut : loaded, MOST);
    await app.source.need(wanted - 1);
    const list = Array.from({ length: Math.min(wanted, app.source.loaded) }, (_, at) => app.source.at(at));
    return app.source.kind === "answer" ? list : rowsOf(app, list.map((item) => item.id));
  }

  const form = (text, ending, type, write) =>
    h("button", {
      type: "button",
      class: "button",
      text,
      onClick: async () => {
        told.textContent = "Collecting…";
        try {
          const list = await rows();
          save(`needlepoint.${ending}`, type, write(list));
          told.textContent = `${plural(list.length, "picture")} saved.`;
        } catch (error) {
          told.textContent = error.message;
        }
      },
    });
  openSheet(
    "Export",
    h("div", { class: "export" },
      which,
      form("Paths", "txt", "text/plain", (list) => list.map((row) => `${row.path}\n`).join("")),
      form("CSV", "csv", "text/csv", csv),
      form("JSON", "json", "application/json", (list) => `${JSON.stringify({ query: app.state.q, where: app.state.filter, pictures: list }, null, 2)}\n`),
    ),
    told,
  );
}
