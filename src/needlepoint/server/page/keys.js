// The keyboard all the way, and the sheet that tells about it.

import { h, iconButton, takesText } from "./dom.js";
import { VIEW_KEYS } from "./views.js";

const HELP = [
  ["Ask", [["/", "Go to the search box"], ["Enter", "Search"], ["↓", "From the box into the pictures"], ["u", "Search with a picture file"], ["Ctrl V", "Search with the picture on the clipboard"]]],
  ["Pictures", [
    ["↑ ↓ ← →", "Move"], ["Home End PgUp PgDn", "Move far"], ["Enter", "Open"], ["Space", "Select"],
    ["Shift Space", "Select all from the last one"], ["Ctrl A", "Select all that are loaded"], ["m", "More like this"], ["l", "Less like this"],
    ["x", "Like this, but changed in words"], ["w", "Why this picture"], ["y", "Search for pictures like only this one"], ["[ ]", "Smaller, larger"],
  ]],
  ["Open picture", [
    ["← →", "Previous, next"], ["b", "Draw a box; arrows move it, Shift sizes it, Enter searches"], ["h", "Heat map"],
    ["+ − 0", "Zoom in, out, fit; the wheel zooms, the middle button moves"], ["m l", "More, less like this or the box"], ["x", "Change it, or the box, in words"], ["Esc", "Close"],
  ]],
  ["Maps and comparison", [
    ["↑ ↓ ← →", "Move"], ["+ − 0", "Zoom in, out, show all"], ["Enter", "Open the picture in the middle of the map"],
    ["L", "Draw around pictures"], ["B", "A box; arrows move it, Shift sizes it, Enter picks"], ["V", "Move the map"], ["Esc", "Forget what is picked"],
  ]],
  ["Everywhere", [
    ["f", "Filters"], ["s", "Saved searches"], ["p", "Copy paths of the selected"], ["e", "Export"], ["c", "Compare the selected"],
    ["g g", "Pictures"], ["g m", "Map of likeness"], ["g p", "Places"], ["g c", "Compare"], ["g t", "Conversation"], ["g i", "Indexing"],
    ["d", "Light, dark"], ["?", "This help"], ["Esc", "Close, clear the selection"],
  ]],
];
const LANGUAGE = [
  ["red bicycle", "words"],
  ["beach + sunset - people", "parts that pull and push away"],
  ["2:beach + dog", "a weight"],
  ["@123", "a picture of the library, by its number"],
  ["@123#xywh=10,20,200,150", "a piece of it, in pixels"],
  ["@123 -> in green", "a picture, and what is to be different in it"],
  ["\"black + white\"", "quotes keep signs and spaces together"],
  ["drop, paste, or pick a picture", "a picture of yours; then draw a box on it"],
];
const FILTERS = [
  ["year >= 2020 and camera ~ 'Pixel'", "~ contains"],
  ["folder = trips/2020", "the folder and all below it"],
  ["keywords = beach", "one of the keywords"],
  ["near(48.1, 11.5, 20)", "within 20 km of a place"],
  ["size > 2MB and not has(gps)", "and, or, not, ( )"],
];

const table = (rows, cell) => h("table", { class: "help-table" }, h("tbody", {}, rows.map(([key, text]) => h("tr", {}, h("th", { scope: "row" }, cell(key)), h("td", { text })))));
const typed = (text) => [h("code", { text })];
const pressed = (text) => text.split(" ").map((one) => h("kbd", { text: one }));

/** Listens for keys; gives `app.help`. */
export function keys(app) {
  const sheet = document.getElementById("help");
  let before = "";
  let since = 0;

  app.help = () => {
    if (!sheet.childElementCount) {
      sheet.append(
        h("header", {}, h("h2", { id: "help-title", text: "Help" }), iconButton("close", "Close the help", () => sheet.close())),
        h("h3", { text: "The question" }), table(LANGUAGE, typed),
        h("h3", { text: "The filter line" }), table(FILTERS, typed),
        ...HELP.flatMap(([title, rows]) => [h("h3", { text: title }), table(rows, pressed)]),
      );
      sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
    }
    sheet.showModal();
  };

  const { grid } = app;
  const WAYS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last", PageUp: "pageup", PageDown: "pagedown" };
  const here = () => app.source?.at(grid.current);
  const inGrid = (event) => event.target.closest?.("#grid") || event.target === document.body || event.target.id === "stage";

  function onGrid(event) {
    if (!inGrid(event) || document.getElementById("grid").hidden) return false;
    const item = here();
    if (WAYS[event.key]) {
      const entered = event.target.closest("#grid");
      grid.focus(entered ? grid.neighbour(WAYS[event.key]) : grid.current);
      if (event.shiftKey && item) app.pick(grid.current, { shiftKey: true });
      return true;
    }
    if (!item || event.target.closest("button")) return false;
    if (event.key === "Enter") app.open(item.id);
    else if (event.key === " ") app.pick(grid.current, event);
    else return false;
    return true;
  }

  const single = {
    "/": () => app.focusQuestion(),
    "?": () => app.help(),
    u: () => app.pickFile(),
    f: () => app.toggleFilters(),
    d: () => app.nextTheme(),
    s: () => app.savedSearches(),
    e: () => app.exportSheet(),
    p: () => app.selected.size && app.copyPaths(),
    c: () => app.compareSelected(),
    m: () => here() && app.refine(here(), "more"),
    l: () => here() && app.refine(here(), "less"),
    x: () => here() && app.changeFrom(`@${here().id}`),
    w: () => here()?.score !== undefined && app.explain(here()),
    y: () => here() && app.go({ q: `@${here().id}`, min: "" }),
    "[": () => app.resize(-1),
    "]": () => app.resize(1),
    Escape: () => app.selected.size && app.select([]),
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "a" && inGrid(event)) {
      app.select(app.hits().map((item) => item.id));
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || takesText(event.target) || event.target.tagName === "SELECT") return;
    if (event.target.closest?.("#view, #side") && event.key !== "?" && event.key !== "/" && event.key !== "g" && before !== "g") return;
    if (onGrid(event)) {
      event.preventDefault();
      return;
    }
    const second = before === "g" && performance.now() - since < 1500 ? VIEW_KEYS[event.key] : null;
    before = second ? "" : event.key;
    since = performance.now();
    if (second) app.go({ [second.where]: second.where === "side" && app.state.side === second.name ? "" : second.name });
    else if (single[event.key]) single[event.key]();
    else return;
    event.preventDefault();
  });
}
