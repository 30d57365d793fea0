// The slider that says where "probably not" begins, over the scores that there are.

import { h, plural, score } from "./dom.js";

const STEPS = 1000;
const BARS = 56;

/** A slider over the scores; `preview(value)` moves the line while it is dragged. */
export function cutoff(app, preview) {
  const range = h("input", { type: "range", min: 0, max: STEPS, step: 1, "aria-label": "Cut-off: below this score, probably not" });
  const canvas = h("canvas", { "aria-hidden": "true", width: 2 * BARS * 3, height: 44 });
  const told = h("output", { class: "cutoff-value" });
  const back = h("button", { type: "button", class: "button quiet small", text: "calibrated", title: "Back to the calibrated cut-off", onClick: () => app.go({ min: "" }) });
  const element = h("div", { class: "cutoff" }, h("span", { class: "cutoff-name", text: "Cut-off" }), h("div", { class: "cutoff-scale" }, canvas, range), told, back);
  let low = 0;
  let high = 1;
  let source = null;

  const valueAt = (step) => low + ((high - low) * step) / STEPS;
  const stepOf = (value) => Math.round((STEPS * (value - low)) / (high - low || 1));
  const rounded = () => valueAt(Number(range.value)).toPrecision(4);

  range.addEventListener("input", () => preview(rounded()));
  range.addEventListener("change", () => app.go({ min: String(Number(rounded())) }));

  function say(line) {
    const cut = line === null ? null : source.above(line);
    told.textContent = line === null ? "none" : score(line);
    range.setAttribute("aria-valuetext", line === null ? "no cut-off" : `${score(line)}, ${cut === null ? "many" : plural(cut, "picture")} above`);
  }

  /** What a custom property comes to in this theme: a canvas knows no properties. */
  function colour(name) {
    told.style.color = `var(${name})`;
    const { color } = getComputedStyle(told);
    told.style.color = "";
    return color;
  }

  function paint(line) {
    const context = canvas.getContext("2d");
    const { width, height } = canvas;
    const counts = new Array(BARS).fill(0);
    for (const { score: value } of source.rows) {
      counts[Math.max(0, Math.min(BARS - 1, Math.floor((BARS * (value - low)) / (high - low || 1))))] += 1;
    }
    // Many pictures score low and few high; on a log scale both are seen.
    const [strong, weak] = [colour("--match"), colour("--bar-below")];
    const most = Math.log1p(Math.max(...counts));
    context.clearRect(0, 0, width, height);
    counts.forEach((n, i) => {
      if (!n) return;
      const tall = Math.max(3, (height * Math.log1p(n)) / most);
      const above = line === null || valueAt(((i + 0.5) * STEPS) / BARS) >= line;
      context.fillStyle = above ? strong : weak;
      context.fillRect((i * width) / BARS, height - tall, width / BARS - 2, tall);
    });
    if (source.usual === null) return;
    context.fillStyle = colour("--ink");
    context.fillRect(((source.usual - low) / (high - low || 1)) * width - 1, 0, 2, height);
  }

  return {
    element,
    reset() {
      element.classList.add("asking");
    },
    /** Show an answer's scores and the line in force; null hides the slider. */
    show(next, line) {
      element.hidden = !next || next.rows.length < 2;
      element.classList.remove("asking");
      if (element.hidden) return;
      source = next;
      const scores = source.rows.map((hit) => hit.score);
      high = Math.max(...scores);
      low = Math.min(...scores, line ?? high);
      high = Math.max(high, line ?? high);
      if (document.activeElement !== range || !range.matches(":active")) range.value = String(line === null ? 0 : stepOf(line));
      back.hidden = app.state.min === "";
      back.textContent = source.usual === null ? "none" : "calibrated";
      say(line);
      paint(line);
    },
  };
}
