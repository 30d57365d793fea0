// What the page says: aloud for screen readers, passing notices, and refusals in words.

import { h, iconButton } from "./dom.js";
import { aborted } from "./api.js";

const SHOWN_MS = 6000;

/** Make `announce`, `tell` and `fail`. */
export function notices() {
  const live = document.getElementById("live");
  const place = document.getElementById("notices");
  let last = null;

  /** A modal dialog covers the page, and what lies under it is neither seen nor heard. */
  const above = (otherwise) => [...document.querySelectorAll("dialog[open]")].at(-1) ?? otherwise;

  function announce(text) {
    const room = above(document.body);
    if (live.parentElement !== room) room.append(live);
    live.textContent = live.textContent === text ? `${text}\u00a0` : text;
  }

  function show(text, lasting) {
    last?.remove();
    const notice = h("div", { class: "notice", role: "alert" }, h("span", { text }));
    notice.append(iconButton("close", "Dismiss", () => notice.remove()));
    above(place).append(notice);
    last = notice;
    if (!lasting) setTimeout(() => notice.remove(), SHOWN_MS);
  }

  return {
    announce,
    tell(text) {
      show(text, false);
      announce(text);
    },
    fail(error) {
      if (aborted(error)) return;
      show(error?.message || String(error), true);
    },
  };
}
