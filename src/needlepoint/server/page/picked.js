// Pictures picked on a map: the filter that names them, and the bar that says what to do with them.

import { count, h, iconButton, plural } from "./dom.js";

const FILTER_VALUES = 280; // a filter holds 300 values and 4000 characters
const FILTER_LENGTH = 3200;
const SHOWN = 7;
const FIRST = 30;
const PAGE = 1000;

/** A filter for pictures by their numbers, runs joined; null when it would be too long. */
export function filterOfIds(ids) {
  const sorted = [...ids].sort((a, b) => a - b);
  const single = [];
  const runs = [];
  for (let i = 0; i < sorted.length; ) {
    let j = i;
    while (sorted[j + 1] === sorted[j] + 1) j++;
    if (j - i > 1) runs.push(`id between ${sorted[i]} and ${sorted[j]}`);
    else single.push(...sorted.slice(i, j + 1));
    i = j + 1;
  }
  if (single.length + runs.length * 2 > FILTER_VALUES) return null;
  if (single.length) runs.push(`id in (${single.join(", ")})`);
  const text = runs.join(" or ");
  return text.length > FILTER_LENGTH || !text ? null : runs.length > 1 ? `(${text})` : text;
}

/** The hits of an answer that a map shows: above the line (`min`, or where matches are likely), else the first. */
export function bestOf(answer, min) {
  if (min !== "") return answer.hits.filter((hit) => hit.score >= Number(min));
  return answer.hits.slice(0, answer.likely || FIRST);
}

/** The bar below a map, hidden until something is picked. */
export class Picked {
  constructor(app, facet) {
    Object.assign(this, { app, facet });
    this.node = h("section", { class: "picked", hidden: true, "aria-label": "Picked pictures" });
  }

  /** Offer `ids`; `filter` names them when it is not their numbers that do, `label` for people. */
  offer(ids, { filter = null, label = "", extra = [] } = {}) {
    if (!ids.length) {
      this.clear();
      this.app.tell("There is no picture in there.");
      return;
    }
    this.ids = ids;
    this.filter = filter ?? filterOfIds(ids);
    const words = h("input", {
      type: "search",
      class: "field",
      placeholder: "Search inside these",
      "aria-label": "Search inside these",
      value: this.app.state.q,
    });
    const strip = ids.slice(0, SHOWN).map((id) =>
      h(
        "button",
        { type: "button", class: "picked-thumb", "aria-label": `Open picture ${id}`, onClick: () => this.app.open(id) },
        h("img", { src: this.app.thumb(id, 160), alt: "", loading: "lazy" }),
      ),
    );
    const rest = ids.length - SHOWN;
    const many = ids.length >= 2 && ids.length <= 4;
    this.node.replaceChildren(
      h(
        "div",
        { class: "picked-what" },
        h("strong", { text: plural(ids.length, "picture") }),
        label && h("span", { class: "picked-label", text: label }),
      ),
      h("div", { class: "picked-strip" }, strip, rest > 0 && h("span", { class: "picked-rest", text: `+${count(rest)}` })),
      h(
        "form",
        {
          class: "picked-form",
          role: "search",
          onSubmit: (event) => {
            event.preventDefault();
            this.#search(words.value.trim());
          },
        },
        words,
        h("button", { class: "button", text: "Search" }),
      ),
      h(
        "div",
        { class: "picked-acts" },
        h("button", { type: "button", class: "button primary", text: "Show these", onClick: () => this.#search("") }),
        h("button", { type: "button", class: "button quiet", text: "Select", onClick: () => this.#select() }),
        many &&
          h("button", {
            type: "button",
            class: "button quiet",
            text: "Compare",
            onClick: () => this.app.go({ view: "compare", ids }),
          }),
        extra,
        iconButton("close", "Forget what is picked", () => this.clear()),
      ),
    );
    this.node.hidden = false;
    this.app.announce(`${plural(ids.length, "picture")} picked. ${label}`);
  }

  clear() {
    this.ids = [];
    this.node.hidden = true;
    this.node.replaceChildren();
    this.onClear?.();
  }

  #select() {
    this.app.select(this.ids, { add: true });
    this.app.tell(`${plural(this.ids.length, "picture")} added to the selection.`);
  }

  async #search(q) {
    const { app } = this;
    if (this.filter) {
      app.go({ view: "grid", q, picks: { ...app.state.picks, [this.facet]: [this.filter] }, min: "" });
      return;
    }
    const ids = this.ids;
    this.node.setAttribute("aria-busy", "true");
    try {
      const answer = q ? await hitsAmong(app, q, new Set(ids)) : await itemsAmong(app, new Set(ids));
      app.go({ view: "grid" });
      app.show(answer, `${plural(ids.length, "picture")} picked on the map${q ? `, by “${q}”` : ""}`);
    } catch (error) {
      app.fail(error);
    } finally {
      this.node.removeAttribute("aria-busy");
    }
  }
}

/** More pictures than a filter can name: those of a question's ranking that are among them. */
async function hitsAmong(app, q, wanted) {
  const answer = { hits: [], notes: [] };
  let cursor = null;
  do {
    const page = await app.api.get("/v1/search", { q, where: app.state.filter, limit: PAGE, cursor });
    Object.assign(answer, { ...page, hits: [...answer.hits, ...page.hits.filter((hit) => wanted.has(hit.id))] });
    cursor = page.next;
  } while (cursor && answer.hits.length < PAGE);
  return { ...answer, total: answer.hits.length, matching: null, next: null };
}

/** The same without a question: the pictures themselves. */
async function itemsAmong(app, wanted) {
  const hits = [];
  let cursor = null;
  do {
    const page = await app.api.get("/v1/items", { fields: "brief", limit: 5000, cursor, where: app.state.filter });
    hits.push(...page.items.filter((item) => wanted.has(item.id)));
    cursor = page.next;
  } while (cursor && hits.length < wanted.size);
  return { hits, total: hits.length, next: null, notes: [] };
}
