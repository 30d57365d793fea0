// One picture, large: where it matched, drawing a box on it, what is known of it, what to do next.

import { count, h, iconButton } from "./dom.js";
import { get, thumb, url } from "./api.js";
import { BoxDrawer } from "./box.js";
import { facts } from "./facts.js";
import { heat } from "./heat.js";
import { cover } from "./place.js";
import { pictureOf, print } from "./question.js";
import { reasons } from "./why.js";
import { Zoom } from "./zoom.js";

const LARGE = 2048;
const LARGEST = 4096;

/** Shows the picture that `open` of the address names (an item's number or `upload:HASH`), from when it is begun. */
export function viewer(app) {
  let id = "";
  let item = null;
  let boxing = true;
  let control = new AbortController();
  let opener = null;
  let placed = false;
  const dialog = document.getElementById("viewer");
  const title = h("h2", { class: "viewer-title", tabIndex: -1 });
  const position = h("span", { class: "viewer-position" });
  const plane = h("div", { class: "plane" });
  const stage = h("div", { class: "viewer-stage" }, plane);
  const side = h("div", { class: "viewer-side" });
  const hint = h("p", { class: "viewer-hint" });
  const image = h("img", { alt: "", draggable: false });
  const mark = h("div", { class: "mark" });
  plane.append(image, mark);
  const zoom = new Zoom(stage, plane, (scale, pixels) => sharpen(pixels));
  const drawer = new BoxDrawer(plane, { changed: (box) => drawn(box), entered: () => searchPiece() });
  const buttons = {
    previous: iconButton("left", "Previous picture", () => step(-1), { keys: "←" }),
    next: iconButton("right", "Next picture", () => step(1), { keys: "→" }),
    box: iconButton("box", "Draw a box", () => mode(!boxing), { keys: "b" }),
    heat: iconButton("heat", "Heat map", () => toggleHeat(), { keys: "h" }),
    zoomOut: iconButton("less", "Zoom out", () => zoom.by(1 / 1.5), { keys: "−" }),
    zoomIn: iconButton("more", "Zoom in", () => zoom.by(1.5), { keys: "+" }),
    close: iconButton("close", "Close the picture", () => close(), { keys: "Esc" }),
  };
  const tools = h("div", { class: "viewer-tools", role: "toolbar", "aria-label": "Picture" }, ...Object.values(buttons));
  dialog.append(h("header", { class: "viewer-head" }, title, position, tools), stage, hint, side);
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 && event.button !== 1) return;
    if (event.pointerType === "touch" && !event.isPrimary) {
      drawer.giveUp();
      zoom.pinch(event);
    } else if (boxing && event.button === 0 && plane.contains(event.target)) drawer.press(event);
    else if (stage.contains(event.target)) zoom.drag(event);
  });

  const isUpload = () => id.startsWith("upload:");
  const hit = () => (isUpload() ? null : app.source.at(app.source.indexOf(Number(id))));

  function mode(on) {
    boxing = on;
    buttons.box.setAttribute("aria-pressed", String(on));
    stage.classList.toggle("boxing", on);
    if (!on) drawer.set(null);
  }

  function sharpen(pixels) {
    if (!item || isUpload()) return;
    const need = pixels * (window.devicePixelRatio || 1) > LARGE && Math.max(item.width, item.height) > LARGE;
    const src = url(`/v1/items/${id}/crop`, { side: need ? LARGEST : LARGE });
    if (need && !image.src.endsWith(src)) image.src = src;
  }

  async function load() {
    control.abort();
    control = new AbortController();
    const { signal } = control;
    const mine = id;
    placed = false;
    drawer.set(null);
    plane.querySelector(".heat")?.remove();
    buttons.heat.setAttribute("aria-pressed", "false");
    mark.hidden = true;
    item = null;
    const known = hit();
    if (known) size(known);
    image.removeAttribute("src");
    // The small picture is in the cache: it stands until the large one has come.
    image.style.backgroundImage = isUpload() ? "" : `url("${thumb(id, 320)}")`;
    image.src = isUpload() ? thumb(id, 1024) : url(`/v1/items/${id}/crop`, { side: LARGE });
    place();
    draw();
    if (isUpload()) return;
    try {
      const told = await get(`/v1/items/${id}`, {}, { signal });
      if (mine !== id) return;
      item = { ...hit(), ...told };
      size(item);
      draw();
    } catch (error) {
      if (signal.aborted) return;
      title.textContent = `@${id}`;
      side.replaceChildren(h("p", { class: "problem", text: error.message }));
    }
  }

  image.addEventListener("load", () => {
    image.style.backgroundImage = "";
    if (isUpload()) size({ width: image.naturalWidth, height: image.naturalHeight });
  });
  image.addEventListener("error", () => {
    if (image.hasAttribute("src")) app.fail(new Error("This picture cannot be shown: its file is missing or cannot be read."));
  });

  function size({ width, height, box }) {
    item ??= { id: Number(id), width, height };
    if (zoom.width !== width || zoom.height !== height) zoom.picture(width, height);
    mark.hidden = !box;
    if (box) cover(mark, box, { width, height });
  }

  function place() {
    const at = isUpload() ? -1 : app.source.indexOf(Number(id));
    placed = at >= 0;
    position.textContent = at < 0 ? "" : `${count(at + 1)} of ${count(app.source.total)}`;
    buttons.previous.disabled = at <= 0;
    buttons.next.disabled = at < 0 || at + 1 >= app.source.total;
    buttons.heat.disabled = isUpload() || !app.state.q;
    hint.textContent = "Drag over anything to search for it";
  }

  async function step(by) {
    const at = app.source.indexOf(Number(id)) + by;
    await app.source.need(at);
    const next = app.source.at(at);
    if (next) app.go({ open: String(next.id) }, { replace: true });
  }

  /** The matched place as a box, to search for it, mark it or change it. */
  function boxMatch({ box: [x, y, w, hh], width, height }) {
    mode(true);
    drawer.set([x / width, y / height, w / width, hh / height]);
    drawer.begin();
  }

  /** The drawn box in pixels of an item, in percent of an upload. */
  function piece() {
    if (!drawer.box) return null;
    const [x, y, w, hh] = drawer.box;
    if (isUpload()) return [x, y, w, hh].map((value) => Math.round(10000 * value) / 100);
    const left = Math.round(x * item.width);
    const top = Math.round(y * item.height);
    return [left, top, Math.max(1, Math.round(w * item.width)), Math.max(1, Math.round(hh * item.height))];
  }

  function partOf(weight = 1) {
    const part = pictureOf(id, null, weight);
    return { ...part, box: piece(), percent: isUpload() && drawer.box !== null };
  }

  function searchPiece() {
    app.go({ q: print([partOf()]), min: "", open: "", view: "grid" });
  }

  const changePiece = () => app.changeFrom(print([partOf()]));

  function refine(way) {
    if (isUpload()) app.addPart(partOf(way === "less" ? -1 : 1));
    else app.refine({ id: Number(id) }, way, piece());
    if (app.mark) close();
  }

  function drawn(box) {
    hint.hidden = Boolean(box);
    dialog.classList.toggle("has-box", Boolean(box));
    const words = dialog.querySelectorAll("[data-piece]");
    for (const one of words) one.textContent = one.dataset[box ? "piece" : "whole"];
  }

  async function toggleHeat() {
    const old = plane.querySelector(".heat");
    if (old) {
      old.remove();
      buttons.heat.setAttribute("aria-pressed", "false");
      return;
    }
    if (buttons.heat.disabled) {
      app.tell("A heat map shows where a question matches: ask for something first.");
      return;
    }
    try {
      const mine = id;
      const canvas = await heat(id, app.state.q, control.signal);
      if (mine !== id || plane.querySelector(".heat")) return;
      image.after(canvas);
      buttons.heat.setAttribute("aria-pressed", "true");
      app.announce("Heat map shown");
    } catch (error) {
      app.fail(error);
    }
  }

  function draw() {
    const known = hit();
    title.textContent = isUpload() ? "Your picture" : (item?.name ?? known?.name ?? `@${id}`);
    dialog.setAttribute("aria-label", title.textContent);
    image.alt = title.textContent;
    const action = (whole, cut, onClick, primary = false) =>
      h("button", { type: "button", class: `button${primary ? " primary" : ""}`, onClick, text: drawer.box ? cut : whole, "data-whole": whole, "data-piece": cut });
    const actions = h("div", { class: "actions" },
      action("Find similar pictures", "Search for this piece", searchPiece, true),
      action("Change it in words", "Change this part in words", changePiece),
      action("More like this", "More like this part", () => refine("more")),
      action("Less like this", "Less like this part", () => refine("less")),
      known?.box && h("button", { type: "button", class: "button quiet", text: "Box the matched place", onClick: () => boxMatch(known) }),
    );
    const answer = app.source.answer;
    const reason = known?.score === undefined ? [] : [h("h3", { text: "Why" }), ...reasons(known, answer).filter(Boolean)];
    side.replaceChildren(actions, ...reason, ...(item && !isUpload() ? facts(app, item) : []));
  }

  function close() {
    app.go({ open: "" });
  }

  function show(state) {
    if (!state.open) {
      if (!dialog.open) return;
      const at = isUpload() ? -1 : app.source.indexOf(Number(id));
      id = "";
      control.abort();
      dialog.close();
      if (at >= 0 && state.view === "grid" && opener?.closest?.("#grid")) app.grid.focus(at);
      return;
    }
    if (id === state.open) return;
    id = state.open;
    if (!dialog.open) {
      opener = document.activeElement;
      mode(true);
      dialog.showModal();
      title.focus();
    }
    load();
  }

  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      ArrowLeft: () => !buttons.previous.disabled && step(-1),
      ArrowRight: () => !buttons.next.disabled && step(1),
      b: () => (mode(true), drawer.begin()),
      h: toggleHeat,
      x: changePiece,
      m: () => refine("more"),
      l: () => refine("less"),
      "+": () => zoom.by(1.5),
      "=": () => zoom.by(1.5),
      "-": () => zoom.by(1 / 1.5),
      0: () => zoom.fit(),
      Enter: () => event.target === title && searchPiece(),
      " ": () => event.target === title && !isUpload() && app.select([id], { add: true }),
    }[event.key];
    if (!does) return;
    if (does() === false && event.key.length > 1) return;
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== " ") event.preventDefault();
  });

  app.onChange(show);
  // What is before and after, and why it was found, is known once the grid has this picture.
  app.placeViewer = () => {
    if (!id || placed || !hit()) return;
    place();
    size(hit());
    draw();
  };
  return () => show(app.state);
}
