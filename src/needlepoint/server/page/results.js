// The middle of the page: what the address asks for, in the grid, with its line and its headings.

import { count, h, plural, score } from "./dom.js";
import { Grid } from "./grid.js";
import { Answer, Browse, Given } from "./sources.js";
import { closeUp, noCloseUp, tile } from "./tile.js";
import { tools } from "./tools.js";
import { unfold, why } from "./why.js";
import { pictureOf, print } from "./question.js";

const SAMPLE = 500;
const HOVER_MS = 140;
const ASKED = ["q", "filter", "fold", "order"];

/** Gives `app.hits`, `app.show`, `app.source`, `app.grid`, `app.refine` and the tools above the grid. */
export function results(app) {
  const root = document.getElementById("grid");
  const told = document.getElementById("told");
  const heading = document.getElementById("heading");
  let source = null;
  let given = null;
  let preview = null;

  const does = {
    pick: (index, event) => app.pick(index, event),
    more: (item) => app.refine(item, "more"),
    less: (item) => app.refine(item, "less"),
    change: (item) => app.changeFrom(print([pictureOf(item.id)])),
    why: (item) => why(app, source, item),
    unfold: (item) => unfold(app, item),
  };
  const grid = new Grid(root, {
    make: (index, size, section) => tile(app, source.at(index), index, size, section.kind === "line", does),
    wanted: (first, last) => last >= source.loaded && source.need(last),
    label: () => heading.textContent,
  });
  const bar = tools(app, {
    grid,
    preview(value) {
      preview = value;
      redraw();
    },
  });

  /** The score below which a picture is probably not what was asked for, or null. */
  function line() {
    if (!source || source.kind !== "answer" || source.byDate) return null;
    const chosen = preview ?? app.state.min;
    if (chosen !== "") return Number(chosen);
    return source.usual;
  }

  function cutIndex() {
    const at = line();
    return at === null ? null : source.above(at);
  }

  function sections() {
    const cut = cutIndex();
    const at = line();
    if (cut === null || cut >= source.total) return { total: source.total, list: source.sections() };
    if (app.state.hide && cut > 0) return { total: cut, list: [] };
    const below = cut === 0 ? "Nearest, though nothing matches" : "Probably not";
    const list = cut > 0 ? [{ label: "", start: 0 }] : [];
    list.push({ label: below, note: `below the cut-off ${score(at)}`, start: cut, kind: "line" });
    return { total: source.total, list };
  }

  function redraw() {
    const { total, list } = sections();
    name();
    grid.caption = source.kind === "answer" ? 30 : 0;
    if (source.error && !source.loaded) return refused(source.error);
    told.hidden = true;
    told.replaceChildren();
    if (source.answer) tell(cutIndex());
    grid.show(total, list);
    bar.show(source, line(), cutIndex());
  }

  function name() {
    const { q } = app.state;
    heading.textContent = source.label ?? (q ? `Pictures for ${q}` : "All pictures");
    document.title = q ? `${q} · needlepoint` : "needlepoint";
  }

  function tell(cut) {
    if (source.kind === "answer" && source.loaded && cut === 0) {
      banner("Nothing here matches", "The nearest pictures are shown, but none of them is above the cut-off.");
    } else if (source.done && !source.loaded) {
      const filtered = app.state.filter !== "";
      const title = app.state.q ? "No picture was found" : filtered ? "No picture passes the filters" : "The library is empty";
      const action = filtered
        ? h("button", { type: "button", class: "button", text: "Clear the filters", onClick: () => app.go({ where: "", picks: {} }) })
        : app.state.q ? null : h("button", { type: "button", class: "button", text: "Index pictures", onClick: () => app.go({ side: "jobs" }) });
      told.hidden = false;
      told.append(h("div", { class: "empty" }, h("h2", { text: title }), action));
    }
    if (given) {
      told.hidden = false;
      const back = () => app.show(null);
      told.append(h("div", { class: "banner" }, h("strong", { text: given.label }), h("button", { type: "button", class: "button quiet", text: "Leave", onClick: back })));
    }
  }

  function banner(title, text) {
    told.hidden = false;
    told.append(h("div", { class: "banner", "data-told": "nothing" }, h("strong", { text: title }), h("span", { text })));
  }

  function refused(error) {
    grid.show(0, []);
    bar.show(source, null, null);
    const asking = error.status === 400 || error.status === 404 || error.status === 422;
    app.refused(asking ? error : null);
    if (asking) return;
    told.replaceChildren(
      h("div", { class: "empty" }, h("h2", { text: "No answer" }), h("p", { text: error.message }), h("button", { type: "button", class: "button", text: "Ask again", onClick: () => ask() })),
    );
    told.hidden = false;
  }

  function follow(next) {
    source?.stop();
    source = next;
    preview = null;
    app.source = source;
    root.setAttribute("aria-busy", "true");
    bar.waiting(next);
    let first = true;
    source.changed = () => {
      // What was there before stays in sight, faint, until there is something else.
      if (first) grid.reset();
      root.removeAttribute("aria-busy");
      redraw();
      if (source.error && source.loaded) app.fail(source.error);
      if (first && !source.error) arrived();
      app.placeViewer();
      first = false;
    };
  }

  function arrived() {
    app.refused(null);
    app.status(source);
    const cut = cutIndex();
    const matching = cut === null ? "" : `, ${count(cut)} ${app.state.min === "" ? "probably match" : "above the cut-off"}`;
    app.announce(source.kind === "answer" ? `${plural(source.total, "picture")}${matching}` : plural(source.total, "picture"));
    if (source.kind === "answer" && !source.byDate) source.need(Math.min(source.total, SAMPLE) - 1);
  }

  function ask() {
    const { state } = app;
    follow(state.q ? new Answer(state) : new Browse(state.filter, state.order));
    source.need(0);
  }

  Object.assign(app, {
    grid,
    hits: () => Array.from({ length: source?.loaded ?? 0 }, (_, index) => source.at(index)),
    show(answer, label = "") {
      if (!answer && !given) return;
      given = answer ? new Given(answer, label) : null;
      if (!answer) {
        app.moved = null;
        ask();
        return;
      }
      follow(given);
      given.changed();
    },
    redraw: () => source && redraw(),
    again: ask,
    explain: (item) => why(app, source, item),
    cutIndex,
    /** `more` or `less` like a picture, or the piece of it that matched (`box`). */
    refine(item, way, box = null) {
      if (app.mark) {
        app.mark({ id: item.id, box, way });
        return;
      }
      app.addPart(pictureOf(item.id, box, way === "less" ? -1 : 1));
    },
  });

  app.onChange((state, before) => {
    const other = ASKED.some((key) => state[key] !== before[key]) || (state.order !== "score" && state.min !== before.min);
    if (other) {
      given = null;
      app.moved = null;
      ask();
    } else if (state.min !== before.min || state.hide !== before.hide) {
      preview = null;
      redraw();
    }
  });
  app.onSelect(() => {
    for (const one of root.querySelectorAll("[data-id]")) {
      one.setAttribute("aria-selected", String(app.selected.has(Number(one.dataset.id))));
    }
  });
  hovering();
  root.addEventListener("click", (event) => {
    const element = event.target.closest("[data-id]");
    if (!element || event.target.closest("button")) return;
    const index = Number(element.dataset.index);
    if (event.shiftKey || event.ctrlKey || event.metaKey) app.pick(index, event);
    else app.open(element.dataset.id);
  });

  function hovering() {
    let timer = 0;
    let on = null;
    const leave = () => {
      clearTimeout(timer);
      if (on) noCloseUp(on);
      on = null;
    };
    const enter = (element) => {
      if (element === on) return;
      leave();
      on = element;
      if (!element) return;
      timer = setTimeout(() => closeUp(element, source.at(Number(element.dataset.index))), HOVER_MS);
    };
    root.addEventListener("pointerover", (event) => event.pointerType === "mouse" && enter(event.target.closest("[data-id]")));
    root.addEventListener("pointerleave", leave);
    root.addEventListener("focusin", (event) => enter(event.target.closest("[data-id]")));
    root.addEventListener("focusout", leave);
  }

  return ask;
}
