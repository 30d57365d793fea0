// Saved searches, kept in the library; and the link to what is shown now.

import { h, iconButton } from "./dom.js";
import { get, send } from "./api.js";
import { openSheet } from "./sheet.js";

const NOWHERE = { view: "grid", open: "", picks: {}, hide: false };

/** Gives `app.savedSearches`. */
export function saved(app) {
  const address = (name) => `/v1/saved/${encodeURIComponent(name)}`;

  /** What the library keeps of a state: the picked values become part of its filter. */
  const kept = ({ q, filter, order, min, fold }) => ({
    q,
    where: filter || null,
    order,
    min_score: min === "" ? null : Number(min),
    fold,
  });

  const restored = ({ q, where, order, min_score: min, fold }) => ({
    ...NOWHERE,
    q,
    where: where ?? "",
    order,
    min: typeof min === "number" ? String(min) : "",
    fold,
  });

  async function open() {
    const list = h("ul", { class: "saved" });
    const told = h("p", { role: "status", class: "told" });
    const name = h("input", { class: "field", type: "text", required: true, maxLength: 100, pattern: "[^\\/]+", title: "A name without /", "aria-label": "Name of this search", placeholder: "Name of this search", value: app.state.q });
    const form = h("form", { class: "saved-form", onSubmit: (event) => (event.preventDefault(), keep()) }, name, h("button", { class: "button primary", text: "Save this search" }));
    const link = h("button", { type: "button", class: "button", text: "Copy a link to it", onClick: () => copyLink() });
    form.append(link);
    const sheet = openSheet("Saved searches", form, told, list);

    async function copyLink() {
      try {
        await navigator.clipboard.writeText(location.href);
        told.textContent = "Link copied.";
      } catch {
        told.textContent = location.href;
      }
    }

    async function keep() {
      const called = name.value.trim();
      try {
        await send("PUT", address(called), kept(app.state));
        told.textContent = `Saved as “${called}”.`;
        await refresh();
      } catch (error) {
        told.textContent = error.message;
      }
    }

    function row(one) {
      const go = () => {
        sheet.close();
        app.go(restored(one));
      };
      const away = async () => {
        try {
          await send("DELETE", address(one.name));
          await refresh();
        } catch (error) {
          told.textContent = error.message;
        }
      };
      const what = [one.q, one.where].filter(Boolean).join("  ·  ");
      return h("li", {}, h("button", { type: "button", class: "saved-one", onClick: go }, h("strong", { text: one.name }), h("span", { text: what })), iconButton("close", `Delete ${one.name}`, away));
    }

    async function refresh() {
      try {
        const answer = await get("/v1/saved");
        list.replaceChildren(...answer.saved.map(row));
        if (!answer.saved.length) list.append(h("li", { class: "none", text: "Nothing is saved yet." }));
      } catch (error) {
        told.textContent = error.message;
      }
    }
    await refresh();
  }

  app.savedSearches = open;
}
