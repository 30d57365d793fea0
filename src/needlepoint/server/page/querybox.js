// The box that asks: words in the one language, pictures dropped, pasted or picked, and the parts.

import { h, icon, iconButton, takesText } from "./dom.js";
import { send } from "./api.js";
import { chip } from "./chips.js";
import { changeLine } from "./change.js";
import { parts, print, shown, split, starts } from "./question.js";

const HINT = "red bicycle  ·  2:beach - people  ·  drop or paste a picture";

/** Builds the search box; gives `app.addPart`, `app.askWith`, `app.refused`. */
export function queryBox(app) {
  const form = document.getElementById("ask");
  const place = document.getElementById("question");
  const input = h("input", { id: "q", type: "search", placeholder: HINT, spellcheck: false, enterKeyHint: "search", "aria-label": "Question: words, weights, + and −, @number", "aria-describedby": "question" });
  const file = h("input", { type: "file", accept: "image/*", hidden: true, tabIndex: -1 });
  const clear = iconButton("close", "Clear the question", () => app.go({ q: "", min: "" }));
  const pick = iconButton("picture", "Search with a picture", () => file.click(), { keys: "u" });
  const problem = h("div", { class: "problem", role: "alert", hidden: true, id: "problem" });
  const chips = h("div", { class: "chips", hidden: true });
  form.append(icon("search"), input, file, clear, pick);
  place.append(problem, chips);
  const line = changeLine(app, place, (change) => app.go({ q: asked(change), min: "", view: "grid" }));

  const kept = new Map();
  let list = [];

  const isPicture = (part) => part.kind !== "text";

  /** The question of what is typed, the pictures that stand beside it and their change. */
  function asked(change = line.typed) {
    const typed = input.value.trim();
    const pictures = list.filter(isPicture);
    if (!pictures.length) return typed;
    if (!typed) return print(pictures, change);
    const read = parts(typed);
    // What cannot be read here goes out as it is, so that the server says what is wrong with it.
    return read ? print([...read, ...pictures], change) : `${typed} + ${print(pictures, change)}`;
  }

  function show(state) {
    const { asked: before, change: different } = split(state.q);
    const read = parts(before);
    list = read ?? [];
    line.show(list.some(starts), read ? different : "");
    const words = list.filter((part) => !isPicture(part));
    if (document.activeElement !== input || !input.value.trim() || state.q !== asked()) {
      input.value = read ? (words.length === list.length ? before : print(words)) : state.q;
    }
    input.placeholder = list.some(isPicture) ? "Add words" : HINT;
    clear.hidden = !state.q;
    const plain = list.length === 1 && !isPicture(list[0]) && list[0].weight === 1;
    chips.hidden = !list.length || plain;
    chips.replaceChildren(...list.map((part, index) => chip(app, part, (next) => change(index, next))));
  }

  /** Another part in place of one, or none. */
  function change(index, next) {
    const changed = list.flatMap((part, at) => (at !== index ? [part] : next ? [next] : []));
    if (changed.length && changed.every((part) => part.weight < 0)) {
      app.tell("A question needs at least one part to look for.");
      show(app.state);
      return;
    }
    app.go({ q: print(changed, line.typed), min: "" });
  }

  function submit() {
    const q = asked();
    const grid = app.state.view === "grid" ? {} : { view: "grid" };
    if (q === app.state.q) app.again();
    else app.go({ q, min: "", ...grid });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && event.key !== "ArrowDown") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "ArrowDown" && app.grid.total) {
      app.grid.focus(app.grid.current);
      return;
    }
    input.blur();
    document.getElementById("stage").focus();
  });

  async function upload(blob) {
    if (!blob.type.startsWith("image/") && blob.type !== "") {
      throw new Error(`Only pictures can be searched with. Received: ${blob.type}`);
    }
    form.setAttribute("aria-busy", "true");
    try {
      const made = await send("POST", "/v1/uploads", blob);
      kept.set(made.id, blob);
      return made;
    } finally {
      form.removeAttribute("aria-busy");
    }
  }

  async function askWith(blob) {
    try {
      const made = await upload(blob);
      app.addPart({ kind: "picture", value: made.id, weight: 1, box: null, percent: false });
    } catch (error) {
      app.fail(error);
    }
  }

  /** The server keeps uploads for a while; what this page still has is given again. */
  async function giveAgain() {
    const gone = list.map(shown).filter((id) => kept.has(id));
    if (!gone.length) return false;
    await Promise.all(gone.map((id) => send("POST", "/v1/uploads", kept.get(id))));
    gone.forEach((id) => kept.delete(id));
    return true;
  }

  file.addEventListener("change", () => {
    if (file.files[0]) askWith(file.files[0]);
    file.value = "";
  });
  document.addEventListener("paste", (event) => {
    const blob = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!blob) {
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (!takesText(event.target) && text.trim() && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        input.value = text.trim();
        input.focus();
      }
      return;
    }
    event.preventDefault();
    askWith(blob);
  });
  dropping(app, askWith);

  Object.assign(app, {
    askWith,
    focusQuestion() {
      input.focus();
      input.select();
    },
    pickFile: () => file.click(),
    /** Add a part to the question; the same picture again takes the new weight. */
    addPart(part) {
      const same = (one) => one.kind === part.kind && one.value === part.value && String(one.box) === String(part.box);
      const { asked: before, change } = split(app.state.q);
      const now = parts(before);
      if (now === null) {
        app.tell("The question has a mistake; put it right first.");
        return;
      }
      const next = [...now.filter((one) => !same(one)), part];
      if (next.every((one) => one.weight < 0)) {
        app.tell("“Less like this” needs a question to push away from: ask for something first.");
        return;
      }
      app.go({ q: print(next, change), min: "", open: "", view: "grid" });
    },
    /** Say what is wrong with the question, or nothing. */
    refused(error) {
      problem.hidden = !error;
      input.setAttribute("aria-invalid", String(Boolean(error)));
      problem.textContent = error ? error.message : "";
      if (error?.slug !== "upload-gone") return;
      giveAgain().then((given) => given && app.again(), app.fail);
    },
  });

  app.onChange((state, before) => (state.q !== before.q || state.open !== before.open) && show(state));
  show(app.state);
}

/** Pictures dropped anywhere on the page. */
function dropping(app, askWith) {
  let depth = 0;
  const isFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const end = () => {
    depth = 0;
    document.body.classList.remove("dropping");
  };
  window.addEventListener("dragenter", (event) => {
    if (!isFile(event)) return;
    depth += 1;
    document.body.classList.add("dropping");
  });
  window.addEventListener("dragleave", (event) => {
    if (isFile(event) && --depth <= 0) end();
  });
  window.addEventListener("dragover", (event) => isFile(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    end();
    if (!isFile(event)) return;
    event.preventDefault();
    const blob = [...event.dataTransfer.files].find((one) => one.type.startsWith("image/") || one.type === "");
    if (blob) askWith(blob);
    else app.tell("Drop a picture file.");
  });
}
