// Building nodes: data goes in as text and properties, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Paths of icons on a 20 by 20 field, drawn with a round line. */
const ICONS = {
  search: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM13 13l4 4",
  close: "M5 5l10 10M15 5L5 15",
  picture: "M3 4.5h14v11H3zM3 13l4-4 3.5 3.5L13 10l4 4M13 7.5h.01",
  filter: "M3 5h14M6 10h8M8.5 15h3",
  more: "M10 4.5v11M4.5 10h11",
  less: "M4.5 10h11",
  check: "M4.5 10.5l3.5 3.5 7.5-8",
  why: "M7.5 7.6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.7M10 14.5h.01",
  left: "M12.5 4.5L7 10l5.5 5.5",
  right: "M7.5 4.5L13 10l-5.5 5.5",
  down: "M4.5 7.5L10 13l5.5-5.5",
  arrow: "M3.5 10h13M12 5.5l4.5 4.5-4.5 4.5",
  box: "M4 7V4h3M13 4h3v3M16 13v3h-3M7 16H4v-3",
  heat: "M10 3c1 3 4 4.5 4 8a4 4 0 0 1-8 0c0-1.5.7-2.5 1.5-3.3C8 9.2 9.5 8 10 3Z",
  copy: "M7 7h9v9H7zM13 7V4H4v9h3",
  save: "M5.5 3.5h9v13L10 13l-4.5 3.5z",
  link: "M8.5 11.5l3-3M9 6.5l1.5-1.5a3 3 0 0 1 4.3 4.3L13.3 11M11 13.5L9.5 15a3 3 0 0 1-4.3-4.3L6.7 9",
  out: "M10 12V3.5M6.5 7L10 3.5 13.5 7M4 11v5.5h12V11",
  theme: "M10 3.5a6.5 6.5 0 1 0 0 13zM10 3.5a6.5 6.5 0 0 1 0 13",
  fold: "M6 6.5V3.5h10.5V14H13.5M3.5 6.5h10v10h-10z",
  grid: "M3.5 3.5h5.5v5.5H3.5zM11 3.5h5.5v5.5H11zM3.5 11h5.5v5.5H3.5zM11 11h5.5v5.5H11z",
  map: "M5 6h.01M8 12h.01M13 5h.01M15 11h.01M11 15h.01M10 9h.01M5 15h.01",
  geo: "M10 17c3.5-4 5-6.5 5-9a5 5 0 0 0-10 0c0 2.5 1.5 5 5 9ZM10 9.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3Z",
  compare: "M3.5 4.5h5.5v11H3.5zM11 4.5h5.5v11H11z",
  chat: "M3.5 4.5h13v9H9l-3.5 3v-3h-2z",
  jobs: "M4 5.5h12M4 10h12M4 14.5h7",
  help: "M7.5 7.6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.7M10 14.5h.01",
  move: "M10 3v14M3 10h14M7.5 5L10 2.5 12.5 5M7.5 15l2.5 2.5 2.5-2.5M5 7.5L2.5 10 5 12.5M15 7.5l2.5 2.5-2.5 2.5",
  lasso: "M6.5 13.5C4.5 12.5 3.5 11 3.5 9c0-3 3-5.5 6.5-5.5S16.5 6 16.5 9 13.5 14 10 14c-1 0-2-.2-3-.5M6.8 15.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6ZM6.5 15.7C6.8 17 6 17.8 4.5 18",
  fit: "M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4M8 8h4v4H8z",
  undo: "M7.5 4.5L3.5 8.5l4 4M3.5 8.5h8a4.5 4.5 0 0 1 0 9H8",
  anew: "M4 4.5v4h4M4.3 8.3a6.2 6.2 0 1 1-.5 3.7",
  zoom: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM13 13l4 4M6.5 9h5M9 6.5v5",
};

/** An SVG icon; it is decoration, so whatever holds it needs a name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

/**
 * An element.
 *
 * `props`: `class`, `text`, `on<Event>` listeners, attributes with a dash or `role`, and any
 * property of the element. Null and false children are left out.
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A button with an icon and a name for those who do not see it. */
export function iconButton(name, label, onClick, props = {}) {
  const title = props.keys ? `${label} (${props.keys})` : label;
  const { keys, class: extra = "", ...rest } = props;
  return h(
    "button",
    { type: "button", class: `icon-button ${extra}`.trim(), title, "aria-label": label, onClick, ...rest },
    icon(name),
  );
}

/** Whole numbers with thin grouping, in the reader's own way. */
export const count = (number) => Number(number).toLocaleString();

/** `3 pictures`, `1 picture`. */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** A score as it is shown: three digits are more than a ranking needs. */
export const score = (value) => (value === null || value === undefined ? "" : Number(value).toFixed(3));

/** Whether keys typed into this element are text. */
export function takesText(node) {
  return (
    node instanceof HTMLTextAreaElement ||
    (node instanceof HTMLInputElement && !["checkbox", "radio", "range", "button", "file"].includes(node.type)) ||
    node?.isContentEditable === true
  );
}
