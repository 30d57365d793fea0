// What is to be different in a picture: the line that follows the arrow of a question.

import { h, icon, iconButton } from "./dom.js";

const HINT = "What should be different?  in green  ·  without the strap  ·  at night";

/** Builds the line of the change; gives `app.changeFrom`. `ask(change)` asks with a new one. */
export function changeLine(app, place, ask) {
  const input = h("input", { id: "change", type: "search", placeholder: HINT, spellcheck: false, enterKeyHint: "search", maxLength: 1000, "aria-label": "Change: what is to be different in the picture" });
  const form = h("form", { class: "change", hidden: true, autocomplete: "off", "aria-label": "Change the picture in words" }, icon("arrow"), input, iconButton("close", "No change", () => leave()));
  place.append(form);
  let wanted = false;

  function leave() {
    input.value = "";
    ask("");
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(input.value.trim());
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    input.blur();
    document.getElementById("stage").focus();
  });

  Object.assign(app, {
    /** Ask for pictures like a part, and put the cursor where the change is typed. */
    changeFrom(q) {
      wanted = true;
      if (app.state.q === q && !app.state.open) line.show(true, "");
      else app.go({ q, min: "", open: "", view: "grid" });
    },
  });

  const line = {
    /** What is typed now. */
    get typed() {
      return form.hidden ? "" : input.value.trim();
    },
    /** Show the change of the question; `able` says whether it has a picture to start from. */
    show(able, change) {
      form.hidden = !able && !change;
      if (document.activeElement !== input || change) input.value = change;
      if (!wanted || form.hidden) return;
      wanted = false;
      requestAnimationFrame(() => input.focus()); // a dialog that closes gives the focus back first
    },
  };
  return line;
}
