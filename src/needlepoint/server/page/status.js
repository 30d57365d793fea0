// The last line: how long it took and where, whether it is exact, and what the library has to say.

import { count, h, iconButton } from "./dom.js";

const ms = (value) => (value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

/** Gives `app.status(source)`. */
export function status(app) {
  const bar = document.getElementById("status");
  const dismissed = new Set();
  const library = h("span", { class: "library" });
  const took = h("span");
  const stages = h("span", { class: "stages" });
  const exact = h("span");
  const notes = h("span", { class: "notes" });
  bar.append(took, stages, exact, notes, library);

  document.addEventListener("info", () => {
    const pictures = app.info.pictures ?? app.info.counts?.pictures;
    library.textContent = [pictures === undefined ? null : `${count(pictures)} pictures in the library`, app.info.read_only ? "read only" : null].filter(Boolean).join(" · ");
  });

  app.status = (source) => {
    const { answer } = source;
    const timings = Object.entries(answer?.timings ?? {});
    took.textContent = answer?.took_ms === undefined ? "" : `${ms(answer.took_ms)} ms`;
    stages.textContent = timings.map(([stage, value]) => `${stage} ${ms(value)}`).join(" · ");
    exact.textContent = answer?.exact === undefined ? "" : answer.exact ? "exact ranking" : "approximate ranking";
    const fresh = (answer?.notes ?? []).filter((text) => !dismissed.has(text));
    notes.replaceChildren(
      ...fresh.map((text) => {
        const note = h("span", { class: "note", text });
        note.append(iconButton("close", `Dismiss: ${text}`, () => (dismissed.add(text), note.remove())));
        return note;
      }),
    );
  };
}
