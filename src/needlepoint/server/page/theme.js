// Light, dark, or as the system says; remembered in this browser.

import { iconButton } from "./dom.js";

const KEY = "needlepoint.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const SAID = { auto: "as the system", light: "light", dark: "dark" };

/** What this browser remembers of the page's looks; a browser may refuse to. */
export const memory = {
  get(key, otherwise) {
    try {
      return localStorage.getItem(key) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch {
      // Private windows may refuse; the choice then lasts as long as the page.
    }
  },
};

/** Gives `app.themeButton` and `app.nextTheme`. */
export function theme(app) {
  let chosen = memory.get(KEY, "auto");
  const button = iconButton("theme", "", () => app.nextTheme());

  function apply() {
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    const label = `Colours: ${SAID[chosen]}. Change`;
    button.setAttribute("aria-label", label);
    button.title = `${label} (d)`;
  }

  app.themeButton = button;
  app.nextTheme = () => {
    chosen = NEXT[chosen] ?? "auto";
    memory.set(KEY, chosen);
    apply();
    app.announce(`Colours: ${SAID[chosen]}`);
  };
  if (!(chosen in NEXT)) chosen = "auto";
  apply();
}
