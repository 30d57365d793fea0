// How a ranking moved from one turn to the next: in words, and as a chart of slopes.

import { plural } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const ROWS = 10; // the first of either answer
const [ROW, SIDE, WIDTH] = [30, 26, 340];
const [LEFT, RIGHT] = [58, WIDTH - 58];

/** `4 rose, 2 fell, 3 new`. */
export function movement(turn) {
  const moves = turn.answer.hits.map((hit) => turn.moved[hit.id]);
  const rose = moves.filter((move) => move > 0).length;
  const fell = moves.filter((move) => move < 0).length;
  const fresh = moves.filter((move) => move === null).length;
  if (!rose && !fell && !fresh) return "The order stayed as it was";
  return [rose && `▲ ${rose} rose`, fell && `▼ ${fell} fell`, fresh && `${fresh} new`].filter(Boolean).join("   ");
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A chart: the first pictures before on the left, now on the right, a line for each that is in both. */
export function flow(app, before, turn) {
  const was = new Map(before.answer.hits.map((hit, i) => [hit.id, i]));
  const now = turn.answer.hits.slice(0, ROWS).map((hit) => hit.id);
  const old = before.answer.hits.slice(0, ROWS).map((hit) => hit.id);
  const middle = (row) => 24 + row * ROW + SIDE / 2;
  const lines = svg("g", { class: "flow-lines" });
  const faces = svg("g", {});
  let awaited = 0;
  const end = (id, row, x) => {
    const rank = svg("text", { x: x < WIDTH / 2 ? 2 : WIDTH - 2, y: middle(row) + 4, class: x < WIDTH / 2 ? "flow-rank" : "flow-rank now" });
    rank.textContent = String(row + 1);
    const title = svg("title", {});
    title.textContent = `Picture ${id}`;
    const face = svg("image", {
      href: app.thumb(id, 160),
      x: x < WIDTH / 2 ? LEFT - SIDE - 4 : RIGHT + 4,
      y: middle(row) - SIDE / 2,
      width: SIDE,
      height: SIDE,
      preserveAspectRatio: "xMidYMid slice",
    }, title);
    face.addEventListener("click", () => app.open(id));
    awaited += 1;
    for (const come of ["load", "error"]) {
      face.addEventListener(come, () => {
        awaited -= 1;
        if (!awaited) chart.removeAttribute("aria-busy");
      });
    }
    faces.append(rank, face);
  };
  old.forEach((id, row) => end(id, row, 0));
  now.forEach((id, row) => end(id, row, WIDTH));
  const bottom = 24 + ROWS * ROW;
  now.forEach((id, row) => {
    const from = was.get(id);
    const kind = from === undefined ? "new" : from > row ? "up" : from < row ? "down" : "same";
    // what comes from further down, or from nowhere, comes from the lower edge
    const y = from === undefined || from >= ROWS ? bottom : middle(from);
    lines.append(slope(y, middle(row), kind, from !== undefined && from >= ROWS ? `from ${from + 1}` : ""));
  });
  old.forEach((id, row) => {
    if (!now.includes(id)) lines.prepend(slope(middle(row), bottom, "gone", ""));
  });
  const heads = [
    [2, "start", "Before"],
    [WIDTH - 2, "end", "Now"],
  ].map(([x, anchor, text]) => {
    const head = svg("text", { x, y: 12, "text-anchor": anchor, class: "flow-head" });
    head.textContent = text;
    return head;
  });
  const chart = svg(
    "svg",
    {
      class: "flow",
      "aria-busy": "true",
      viewBox: `0 0 ${WIDTH} ${bottom + 6}`,
      role: "img",
      "aria-label": `How the first ${plural(now.length, "picture")} moved: ${movement(turn)}`,
    },
    ...heads,
    lines,
    faces,
  );
  return chart;
}

function slope(from, to, kind, told) {
  const bend = (RIGHT - LEFT) * 0.45;
  const path = svg("path", {
    class: `flow-line ${kind}`,
    d: `M${LEFT} ${from} C${LEFT + bend} ${from} ${RIGHT - bend} ${to} ${RIGHT} ${to}`,
  });
  if (told) {
    const title = svg("title", {});
    title.textContent = told;
    path.append(title);
  }
  return path;
}
