// Which pictures are selected, and what can be done with them together.

import { count, h, iconButton } from "./dom.js";
import { exportSheet, pathsOf } from "./export.js";

const MOST_COMPARED = 4;

/** The selection: `selected`, `select`, `onSelect`, `pick`, `copyPaths`, `exportSheet`. */
export function selection(app) {
  const bar = document.getElementById("selection");
  const selected = new Set();
  const listeners = new Set();
  let anchor = null;
  const number = h("strong");
  const button = (text, onClick, title) => h("button", { type: "button", class: "button", text, title, onClick });

  const compare = button("Compare", () => compareSelected(), "Compare side by side (c)");
  bar.append(
    number,
    button("Copy paths", () => copyPaths(), "Copy the paths of the selected pictures (p)"),
    button("Export…", () => exportSheet(app), "Save a list of them (e)"),
    compare,
    iconButton("close", "Clear the selection", () => select([]), { keys: "Esc" }),
  );

  function changed() {
    bar.hidden = selected.size === 0;
    number.textContent = `${count(selected.size)} selected`;
    compare.disabled = selected.size < 2;
    for (const listener of [...listeners]) listener(selected);
  }

  function select(ids, { add = false } = {}) {
    if (!add) selected.clear();
    for (const id of ids) selected.add(Number(id));
    changed();
    app.announce(`${count(selected.size)} selected`);
  }

  /** Click on a tick, or a tile with shift or control: a range from the last one, or one more or less. */
  function pick(index, { shiftKey = false } = {}) {
    const item = app.source.at(index);
    if (!item) return;
    if (shiftKey && anchor !== null && app.source.at(anchor)) {
      const [first, last] = [Math.min(anchor, index), Math.max(anchor, index)];
      const ids = [];
      for (let at = first; at <= last; at += 1) ids.push(app.source.at(at)?.id);
      select(ids.filter((id) => id !== undefined), { add: true });
      return;
    }
    anchor = index;
    if (selected.has(item.id)) selected.delete(item.id);
    else selected.add(item.id);
    changed();
    app.announce(`${selected.has(item.id) ? "Selected" : "Not selected"}, ${count(selected.size)} in all`);
  }

  function compareSelected() {
    if (selected.size < 2) return;
    if (selected.size > MOST_COMPARED) app.tell(`The first ${MOST_COMPARED} of ${count(selected.size)} are compared.`);
    app.go({ view: "compare", ids: [...selected].slice(0, MOST_COMPARED) });
  }

  async function copyPaths() {
    try {
      const paths = await pathsOf(app, [...selected]);
      await navigator.clipboard.writeText(paths.join("\n"));
      app.tell(paths.length === 1 ? "Path copied" : `${count(paths.length)} paths copied`);
    } catch (error) {
      app.fail(error);
    }
  }

  return {
    selected,
    select,
    pick,
    copyPaths,
    compareSelected,
    exportSheet: () => exportSheet(app),
    onSelect(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
