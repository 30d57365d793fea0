// Why a picture is in the answer, and the near-duplicates folded under it.

import { h, score } from "./dom.js";
import { thumb } from "./api.js";
import { openSheet } from "./sheet.js";
import { around, cover } from "./place.js";

function shares(item) {
  if (!item.why?.length) return null;
  const largest = Math.max(...item.why.map((one) => Math.abs(one.score * one.weight)), 1e-9);
  const rows = item.why.map(({ part, score: value, weight }) => {
    const bar = h("span", { class: `share-bar${weight < 0 ? " against" : ""}` });
    bar.style.width = `${(100 * Math.abs(value * weight)) / largest}%`;
    return h("li", {}, h("span", { class: "share-part", text: weight < 0 ? `− ${part}` : part }), h("span", { class: "share-line" }, bar), h("span", { class: "share-score", text: score(value) }));
  });
  return [h("h3", { text: "Parts of the question" }), h("ul", { class: "shares" }, rows)];
}

/** What the method made of the question. */
function made(answer) {
  if (!answer?.told?.length) return null;
  const rows = answer.told.flatMap(([label, text]) => [h("dt", { text: label }), h("dd", { text })]);
  return [h("h3", { text: "Made of the question" }), h("dl", { class: "facts" }, rows)];
}

/** What decided about a hit: rows of name and value, then the shares of the question's parts. */
export function reasons(item, answer) {
  const { source: from = {} } = item;
  const chance = item.probability == null ? null : `${(100 * item.probability).toFixed(item.probability < 0.1 ? 1 : 0)} %`;
  const judged = item.match == null ? "not judged: this question has no calibrated cut-off" : item.match ? "above the calibrated cut-off" : "below the calibrated cut-off";
  const rows = [
    ["Score", `${score(item.score)} (${item.score_kind})`],
    ["Judgement", judged],
    ["Calibrated chance", chance],
    ["Cut-off", answer?.cutoff == null ? null : score(answer.cutoff)],
    ["Place", item.box ? `${item.box[2]} × ${item.box[3]} px at ${item.box[0]}, ${item.box[1]}` : "the whole picture"],
    ["Method", from.method],
    ["Model", from.model],
    ["Vectors", from.space],
    ["Ranking", from.exact === undefined ? null : from.exact ? "exact: equal to comparing with every vector" : "approximate"],
  ];
  const list = h("dl", { class: "facts" });
  for (const [name, value] of rows) if (value) list.append(h("dt", { text: name }), h("dd", { text: value }));
  return [list, made(answer), shares(item)].flat();
}

/** The matched place with what is around it, and the box drawn. */
function closeUp(item) {
  const piece = around(item.box, item, 0.6);
  const mark = h("div", { class: "mark" });
  const [x, y, w, hh] = item.box;
  cover(mark, [x - piece[0], y - piece[1], w, hh], { width: piece[2], height: piece[3] });
  const image = h("img", { alt: "The matched place", src: thumb(item.id, 480, piece) });
  return h("div", { class: "why-place" }, image, mark);
}

/** Open the reasons of a hit. */
export function why(app, source, item) {
  const place = item.box ? closeUp(item) : null;
  openSheet(`Why ${item.name ?? `@${item.id}`}`, h("div", { class: "why" }, place, h("div", {}, ...reasons(item, source.answer).filter(Boolean))));
}

/** Open the near-duplicates of a hit. */
export function unfold(app, item) {
  const one = (id) => {
    const button = h("button", { type: "button", class: "folded-one", "aria-label": `Open picture ${id}`, onClick: () => (sheet.close(), app.open(id)) });
    button.append(h("img", { alt: "", loading: "lazy", src: thumb(id, 320) }));
    return button;
  };
  const all = [item.id, ...item.folded];
  const select = h("button", { type: "button", class: "button", text: "Select all of them", onClick: () => (sheet.close(), app.select(all, { add: true })) });
  const compare = h("button", { type: "button", class: "button", text: "Compare", onClick: () => (sheet.close(), app.go({ view: "compare", ids: all })) });
  const sheet = openSheet(`${all.length} pictures that are nearly the same`, h("div", { class: "folded-all" }, all.map(one)), h("footer", {}, select, compare));
}
