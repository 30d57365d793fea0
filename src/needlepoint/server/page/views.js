// The views beside the grid: fetched when the address asks for them, let go when it does not.

import { h, icon, iconButton } from "./dom.js";

const VIEWS = [
  { name: "grid", label: "Pictures", keys: "g g", where: "view" },
  { name: "map", label: "Map of likeness", keys: "g m", where: "view" },
  { name: "geo", label: "Places", keys: "g p", where: "view" },
  { name: "compare", label: "Compare", keys: "g c", where: "view" },
  { name: "chat", label: "Conversation", keys: "g t", where: "side" },
  { name: "jobs", label: "Indexing", keys: "g i", where: "side" },
];

/** The buttons of the views, and the view that is mounted in each of the two places. */
export function navigation(app) {
  const nav = document.getElementById("views");
  const places = {
    view: { root: document.getElementById("view"), mounted: null, asked: "" },
    side: { root: document.getElementById("side"), mounted: null, asked: "" },
  };
  const buttons = new Map();

  for (const { name, label, keys, where } of VIEWS) {
    if (name === "chat") nav.append(h("span", { class: "gap" }));
    const press = () => app.go({ [where]: where === "side" && app.state.side === name ? "" : name });
    const button = iconButton(name, label, press, { keys });
    buttons.set(name, button);
    nav.append(button);
  }
  nav.append(h("span", { class: "gap" }), app.themeButton);
  nav.append(iconButton("help", "Help and keys", () => app.help(), { keys: "?" }));

  async function mount(place, name) {
    const { root } = place;
    place.mounted?.unmount?.();
    place.mounted = null;
    root.replaceChildren();
    if (!name) return;
    const inner = h("div", { class: place === places.side ? "side-root" : "view-root" });
    root.append(inner);
    if (place === places.side) {
      root.append(iconButton("close", "Close the panel", () => app.go({ side: "" }), { class: "side-close" }));
    }
    link(name);
    try {
      const module = await import(`./${name}.js`);
      if (place.asked !== name) return;
      const mounted = await module.mount(inner, app);
      if (place.asked === name) place.mounted = mounted;
      else mounted?.unmount?.();
    } catch (error) {
      inner.replaceChildren(
        h("div", { class: "empty" }, h("h2", { text: "This view could not be opened" }), h("p", { text: error.message })),
      );
    }
  }

  function link(name) {
    const href = new URL(`./${name}.css`, import.meta.url).pathname;
    if (document.querySelector(`link[href="${href}"]`)) return;
    document.head.append(h("link", { rel: "stylesheet", href }));
  }

  function show(state) {
    const view = VIEWS.some((v) => v.where === "view" && v.name === state.view) ? state.view : "grid";
    const side = VIEWS.some((v) => v.where === "side" && v.name === state.side) ? state.side : "";
    document.getElementById("grid").hidden = view !== "grid";
    document.getElementById("tools").classList.toggle("elsewhere", view !== "grid");
    document.getElementById("told").classList.toggle("aside", view !== "grid");
    places.view.root.hidden = view === "grid";
    places.side.root.hidden = !side;
    for (const { name, where } of VIEWS) {
      const button = buttons.get(name);
      if (where === "view") button.setAttribute("aria-current", name === view ? "page" : "false");
      else button.setAttribute("aria-pressed", String(name === side));
    }
    for (const [key, name] of [["view", view === "grid" ? "" : view], ["side", side]]) {
      if (places[key].asked === name) continue;
      places[key].asked = name;
      mount(places[key], name);
    }
  }

  app.onChange(show);
  show(app.state);
}

/** The second key, after g, of each view and where it is shown. */
export const VIEW_KEYS = Object.fromEntries(VIEWS.map(({ keys, name, where }) => [keys.slice(-1), { name, where }]));
