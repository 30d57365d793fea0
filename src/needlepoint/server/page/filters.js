// Filters beside the grid: what there is of each kind, with counts; more of one kind is "or".

import { count, h, iconButton } from "./dom.js";
import { get } from "./api.js";
import { filterOf } from "./state.js";
import { monthName } from "./sources.js";

const FEW = 8;
const GROUPS = [
  { key: "years", title: "Year" },
  { key: "months", title: "Month", name: monthName, closed: true },
  { key: "folders", title: "Folder", name: (value) => value || "(top folder)" },
  { key: "cameras", title: "Camera" },
  { key: "keywords", title: "Keywords" },
  { key: "places", title: "Place" },
  { key: "sizes", title: "Size" },
  { key: "orientations", title: "Orientation" },
  { key: "formats", title: "Format", name: (value) => String(value).toUpperCase() },
  { key: "ratings", title: "Rating", name: (value) => (Number(value) === 1 ? "1 star" : `${value} stars`) },
];

/** How many filters are in force. */
export const picksCount = (state) =>
  Object.values(state.picks).reduce((sum, exprs) => sum + exprs.length, 0) + (state.where.trim() ? 1 : 0);

const valuesOf = (facets, key) => {
  const found = facets?.[key];
  if (key === "places") return found?.count ? [{ value: "has a place", count: found.count, where: found.where }] : [];
  return found ?? [];
};

/** Builds the panel; gives `app.toggleFilters`. */
export function filters(app) {
  const panel = document.getElementById("filters");
  const button = document.getElementById("filters-button");
  const line = h("input", { class: "field", id: "where", type: "text", spellcheck: false, placeholder: "year >= 2020 and has(gps)", "aria-describedby": "where-problem" });
  const problem = h("div", { class: "problem", id: "where-problem", role: "alert", hidden: true });
  const chips = h("div", { class: "filter-chips" });
  const lists = h("div", { class: "facets" });
  const clear = h("button", { type: "button", class: "button quiet small", text: "Clear all", onClick: () => app.go({ where: "", picks: {} }) });
  const form = h("form", { onSubmit: (event) => (event.preventDefault(), app.go({ where: line.value.trim() })) },
    h("label", { for: "where", class: "panel-title", text: "Filter line" }), line, problem);
  const title = h("h2", { class: "panel-title", text: "Filters", tabIndex: -1 });
  panel.append(
    h("header", {}, title, clear, iconButton("close", "Close the filters", () => app.toggleFilters(false))),
    chips, form, lists,
  );
  const opened = new Set();
  const long = new Set();
  let control = null;
  let names = new Map();

  function show(open) {
    panel.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) load();
  }

  function toggle(open = panel.hidden) {
    const within = panel.contains(document.activeElement);
    show(open);
    if (open) title.focus();
    else if (within) button.focus();
  }

  /** Counts of each kind are those without its own picks, so that more of it can be picked. */
  async function load() {
    control?.abort();
    control = new AbortController();
    const { signal } = control;
    const { state } = app;
    panel.setAttribute("aria-busy", "true");
    try {
      const picked = Object.keys(state.picks).filter((key) => state.picks[key].length);
      const [all, ...others] = await Promise.all([
        get("/v1/facets", { where: state.filter }, { signal }),
        ...picked.map((key) => get("/v1/facets", { where: filterOf(state.where, { ...state.picks, [key]: [] }) }, { signal })),
      ]);
      const facets = { ...all };
      picked.forEach((key, at) => (facets[key] = others[at][key]));
      say(null);
      draw(facets);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 400 || error.status === 422) say(error);
      else app.fail(error);
    }
    panel.removeAttribute("aria-busy");
  }

  function say(error) {
    problem.hidden = !error;
    problem.textContent = error?.message ?? "";
    line.setAttribute("aria-invalid", String(Boolean(error)));
  }

  function toggled(key, where) {
    const now = app.state.picks[key] ?? [];
    const next = now.includes(where) ? now.filter((one) => one !== where) : [...now, where];
    app.go({ picks: { ...app.state.picks, [key]: next } });
  }

  function value(key, one, name, picked) {
    const box = h("input", { type: "checkbox", checked: picked.includes(one.where), onChange: () => toggled(key, one.where) });
    const text = name ? name(one.value) : String(one.value);
    return h("li", {}, h("label", { class: "pick" }, box, h("span", { class: "pick-name", text, title: text }), h("span", { class: "pick-count", text: count(one.count) })));
  }

  function group({ key, title, name, closed }, facets) {
    const picked = app.state.picks[key] ?? [];
    const values = valuesOf(facets, key);
    const missing = picked
      .filter((where) => !values.some((one) => one.where === where))
      .map((where) => ({ value: names.get(where) ?? where, count: 0, where }));
    const all = [...missing, ...values];
    if (!all.length) return null;
    const shown = long.has(key) ? all : all.filter((one, at) => at < FEW || picked.includes(one.where));
    const list = h("ul", {}, shown.map((one) => value(key, one, missing.includes(one) ? null : name, picked)));
    const details = h("details", { open: opened.has(key) || (!closed && !opened.has(`-${key}`)) || picked.length > 0 },
      h("summary", { class: "panel-title", text: title }), list);
    details.addEventListener("toggle", () => {
      opened.delete(details.open ? `-${key}` : key);
      opened.add(details.open ? key : `-${key}`);
    });
    const more = facets.more?.[key];
    if (more && shown.length === all.length) details.append(h("p", { class: "facet-more", text: `and ${count(more)} more; the filter line finds them` }));
    if (shown.length < all.length) {
      details.append(h("button", { type: "button", class: "button quiet small", text: `Show all ${count(all.length)}`, onClick: () => (long.add(key), draw(facets)) }));
    }
    return details;
  }

  function draw(facets) {
    const held = document.activeElement?.closest?.("#filters label")?.textContent;
    for (const { key, name } of GROUPS) {
      for (const one of valuesOf(facets, key)) names.set(one.where, name ? name(one.value) : String(one.value));
    }
    const { scrollTop } = panel;
    lists.replaceChildren(...GROUPS.map((one) => group(one, facets)).filter(Boolean));
    panel.scrollTop = scrollTop;
    if (held) {
      const name = held.replace(/[\d.,\s]+$/, "");
      [...lists.querySelectorAll("label")].find((one) => one.textContent.startsWith(name))?.querySelector("input").focus({ preventScroll: true });
    }
    drawChips();
  }

  function drawChips() {
    const { state } = app;
    const one = (text, remove) => h("div", { class: "chip" }, h("span", { class: "chip-name", text }), iconButton("close", `Remove the filter ${text}`, remove));
    const made = Object.entries(state.picks).flatMap(([key, exprs]) =>
      exprs.map((where) => one(names.get(where) ?? where, () => toggled(key, where))));
    if (state.where.trim()) made.push(one(state.where, () => app.go({ where: "" })));
    chips.replaceChildren(...made);
    clear.hidden = made.length === 0;
  }

  app.toggleFilters = toggle;
  app.onChange((state, before) => {
    if (state.filter === before.filter) return;
    if (document.activeElement !== line) line.value = state.where;
    drawChips();
    if (!panel.hidden) load();
  });
  line.value = app.state.where;
  drawChips();
  if (picksCount(app.state) && window.innerWidth > 900) show(true);
}
