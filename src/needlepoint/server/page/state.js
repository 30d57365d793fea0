// The address is the question: all that is asked and shown stands in the query of the URL.

const DEFAULTS = Object.freeze({
  q: "",
  where: "",
  order: "score",
  min: "",
  view: "grid",
  side: "",
  open: "",
  talk: "",
  job: "",
  spot: "",
});
const FLAGS = Object.freeze({ fold: true, hide: false });

/** The filter expression that a free line and picked facet values make together. */
export function filterOf(where, picks) {
  const terms = Object.values(picks)
    .filter((exprs) => exprs.length)
    .map((exprs) => (exprs.length === 1 ? exprs[0] : `(${exprs.join(" or ")})`));
  if (where.trim()) terms.push(terms.length ? `(${where.trim()})` : where.trim());
  return terms.join(" and ");
}

/** The state that a query string stands for. */
export function parse(search) {
  const params = new URLSearchParams(search);
  const state = {};
  for (const [name, value] of Object.entries(DEFAULTS)) state[name] = params.get(name) ?? value;
  for (const [name, value] of Object.entries(FLAGS)) {
    state[name] = params.has(name) ? params.get(name) === "1" : value;
  }
  const picks = {};
  for (const pick of params.getAll("f")) {
    const at = pick.indexOf(":");
    if (at > 0) (picks[pick.slice(0, at)] ??= []).push(pick.slice(at + 1));
  }
  state.picks = picks;
  state.ids = (params.get("ids") ?? "").split(",").filter((id) => /^\d+$/.test(id)).map(Number);
  state.filter = filterOf(state.where, picks);
  return Object.freeze(state);
}

/** The query string of a state, without what is as usual; `parse(format(s))` equals `s`. */
export function format(state) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (state[name] !== value) params.set(name, state[name]);
  }
  for (const [name, value] of Object.entries(FLAGS)) {
    if (state[name] !== value) params.set(name, state[name] ? "1" : "0");
  }
  for (const [facet, exprs] of Object.entries(state.picks)) {
    for (const expr of exprs) params.append("f", `${facet}:${expr}`);
  }
  if (state.ids.length) params.set("ids", state.ids.join(","));
  const text = params.toString();
  return text ? `?${text}` : "";
}

let current = parse(location.search);
const listeners = new Set();

/** The state now; frozen. */
export const now = () => current;

/** Call back with (state, before) after each change; gives a function that ends this. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function become(next) {
  const before = current;
  current = next;
  for (const listener of [...listeners]) listener(current, before);
}

/** Change parts of the state, and with it the address. */
export function go(patch, { replace = false } = {}) {
  const query = format({ ...current, ...patch });
  if (query === format(current)) return;
  history[replace ? "replaceState" : "pushState"](null, "", `${location.pathname}${query}`);
  become(parse(query));
}

window.addEventListener("popstate", () => become(parse(location.search)));
