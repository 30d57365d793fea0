// Saved searches, kept in the library; and the link to what is shown now.

import { h, iconButton } from "./dom.js";
import { get, send } from "./api.js";
import { openSheet } from "./sheet.js";

const KEPT = ["q", "where", "order", "min", "fold", "hide", "picks"];

/** Gives `app.savedSearches`. */
export function saved(app) {
  const address = (name) => `/v1/saved/${encodeURIComponent(name)}`;

  function restored(one) {
    const patch = { q: "", where: "", order: "score", min: "", fold: true, hide: false, picks: {} };
    for (const key of KEPT) if (one[key] !== undefined && one[key] !== null) patch[key] = one[key];
    return { ...patch, view: "grid", open: "" };
  }

  async function open() {
    const list = h("ul", { class: "saved" });
    const told = h("p", { role: "status", class: "told" });
    const name = h("input", { class: "field", type: "text", required: true, maxLength: 100, "aria-label": "Name of this search", placeholder: "Name of this search", value: app.state.q });
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
      const body = { name: name.value.trim() };
      for (const key of KEPT) body[key] = app.state[key];
      body.where = app.state.where;
      try {
        await send("PUT", address(body.name), body);
        told.textContent = `Saved as “${body.name}”.`;
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
        const all = answer.saved ?? answer.items ?? answer;
        list.replaceChildren(...all.map(row));
        if (!all.length) list.append(h("li", { class: "none", text: "Nothing is saved yet." }));
      } catch (error) {
        told.textContent = error.message;
      }
    }
    await refresh();
  }

  app.savedSearches = open;
}
