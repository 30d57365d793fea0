// The line above the grid: how many, in which order, where the cut-off lies, how large.

import { count, h, icon, iconButton, plural, score } from "./dom.js";
import { cutoff } from "./cutoff.js";
import { memory } from "./theme.js";
import { picksCount } from "./filters.js";

const SIZES = [120, 150, 190, 240, 320, 420];
const KEY = "needlepoint.size";

/** Builds the toolbar; gives `show(source, line, cut)` and `waiting(source)`. */
export function tools(app, { grid, preview }) {
  const bar = document.getElementById("tools");
  const filters = h("button", { type: "button", class: "button", id: "filters-button", "aria-controls": "filters", "aria-expanded": "false", title: "Filters (f)", onClick: () => app.toggleFilters() }, icon("filter"), h("span", { text: "Filters" }));
  const summary = h("div", { class: "summary" });
  const slider = cutoff(app, preview);
  const hide = h("input", { type: "checkbox", onChange: () => app.go({ hide: hide.checked }) });
  const hiding = h("label", { class: "switch" }, hide, "Hide what is below");
  const order = h("select", { onChange: () => app.go({ order: order.value }) });
  const fold = h("input", { type: "checkbox", onChange: () => app.go({ fold: fold.checked }) });
  const folding = h("label", { class: "switch", title: "Show near-duplicates as one picture" }, fold, "Fold duplicates");
  const ordering = h("label", { class: "select" }, h("span", { class: "unseen", text: "Order" }), order);
  const sizes = h("div", { class: "sizes", role: "group", "aria-label": "Size of the pictures" });
  sizes.append(
    iconButton("less", "Smaller pictures", () => resize(-1), { keys: "[" }),
    iconButton("more", "Larger pictures", () => resize(1), { keys: "]" }),
  );
  bar.append(filters, summary, h("div", { class: "grow" }), slider.element, hiding, folding, ordering, sizes);
  bar.append(
    iconButton("save", "Saved searches", (event) => app.savedSearches(event.currentTarget), { keys: "s" }),
    iconButton("out", "Export these pictures", () => app.exportSheet(), { keys: "e" }),
  );

  let size = SIZES.indexOf(Number(memory.get(KEY, "190")));
  if (size < 0) size = 2;
  grid.least = SIZES[size];

  function resize(by) {
    const next = Math.max(0, Math.min(SIZES.length - 1, size + by));
    if (next === size) return;
    size = next;
    memory.set(KEY, String(SIZES[size]));
    grid.least = SIZES[size];
    app.redraw();
  }
  app.resize = resize;

  function orders(asked) {
    const list = asked
      ? [["score", "Best first"], ["newest", "Newest first"], ["oldest", "Oldest first"]]
      : [["score", "Newest first"], ["oldest", "Oldest first"]];
    order.replaceChildren(...list.map(([value, text]) => h("option", { value, text })));
    const { order: chosen } = app.state;
    order.value = list.some(([value]) => value === chosen) ? chosen : "score";
  }

  function show(source, line, cut) {
    const { state } = app;
    const answer = source.kind === "answer";
    const picked = picksCount(state);
    filters.lastChild.textContent = picked ? `Filters (${picked})` : "Filters";
    orders(answer);
    ordering.hidden = source.label !== undefined;
    fold.checked = state.fold;
    folding.hidden = !answer || source.label !== undefined;
    hide.checked = state.hide;
    hiding.hidden = line === null;
    slider.show(answer && !source.byDate ? source : null, line);
    summary.replaceChildren();
    if (source.error && !source.loaded) return;
    const said = state.min === "" ? "probably match" : "above the cut-off";
    if (answer && cut !== null) {
      summary.append(h("strong", { text: count(cut) }), ` of ${plural(source.total, "picture")} ${said}`);
    } else if (answer && source.byDate && source.answer?.matching !== null) {
      summary.append(h("strong", { text: plural(source.total, "picture") }), source.answer?.cutoff ? ` above the cut-off ${score(state.min || source.answer.cutoff)}` : "");
    } else {
      summary.append(h("strong", { text: plural(source.total, "picture") }));
    }
  }

  return {
    show,
    waiting(source) {
      slider.reset();
      summary.textContent = source.kind === "answer" ? "Searching…" : "";
    },
  };
}
