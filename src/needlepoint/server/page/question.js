// The question language, read in the browser so that its parts can be shown and changed.
// The server's reading counts; a question this file cannot read is sent as it is.

const ENDINGS =
  /\.(jpe?g|jpe|jfif|mpo|a?png|webp|gif|bmp|dib|tiff?|hei[cf]|hif|avif|jp2|j2k|jpx|pnm|ppm|pgm|pbm|pfm|3fr|arw|cr[23]|crw|dcr|dng|erf|iiq|kdc|mef|mos|mrw|nef|nrw|orf|pef|raf|raw|rw[2l]|sr[2fw]|srf|x3f)$/i;
const EXPLICIT = /^(\.{0,2}\/|~[^/\s]*\/|\.{0,2}\\|[A-Za-z]:[\\/]|https?:\/\/\S)/;
const WEIGHT = /^(\+?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?):(?!\d|\/\/)\s*/i;
const FRAGMENT = /^#xywh=(?:pixel:|(percent:))?([^\s]*)/;
const PLAIN_WORDS = /^[\p{L}][\p{L}\p{N}_]*(?:[ '’-][\p{L}\p{N}_]+)*$/u;

/** Cut a question at its operators; quotes hold theirs. Null when a quote is left open. */
function cut(text) {
  const pieces = [];
  let sign = 1;
  let start = 0;
  const lead = /^\s*(?:\+\s+|(-)\s*)/.exec(text);
  if (lead) {
    sign = lead[1] ? -1 : 1;
    start = lead[0].length;
  }
  let at = start;
  while (at < text.length) {
    const rest = text.slice(at);
    const opens = text[at] === '"' && (at === start || /[\s:]/.test(text[at - 1]));
    if (opens) {
      const quoted = /^"(?:[^"\\]|\\.)*"/s.exec(rest);
      if (!quoted) return null;
      at += quoted[0].length;
      continue;
    }
    const operator = /^\s+([+-])(?:\s+|$)/.exec(rest);
    if (operator) {
      pieces.push([sign, text.slice(start, at).trim()]);
      sign = operator[1] === "-" ? -1 : 1;
      at += operator[0].length;
      start = at;
      continue;
    }
    at += 1;
  }
  pieces.push([sign, text.slice(start).trim()]);
  return pieces;
}

function fragment(text) {
  if (!text) return { box: null, percent: false };
  const found = FRAGMENT.exec(text);
  const box = found?.[2].split(",").map(Number);
  if (!found || found[0].length !== text.length || box.length !== 4 || box.some(Number.isNaN)) return null;
  return { box, percent: Boolean(found[1]) };
}

function part(sign, text) {
  let rest = text;
  const weighed = WEIGHT.exec(rest);
  if (weighed) rest = rest.slice(weighed[0].length);
  const weight = sign * (weighed ? Number(weighed[1]) : 1);
  if (!rest || !weight || Math.abs(weight) > 1000) return null;
  const item = /^@(\d+)(#\S*)?$/.exec(rest);
  if (item) {
    const piece = fragment(item[2]);
    return piece && { kind: "item", value: String(Number(item[1])), weight, ...piece };
  }
  const escape = /^(img|text):/.exec(rest)?.[0] ?? "";
  rest = rest.slice(escape.length);
  let value = rest;
  let cutOff = "";
  const quoted = /^"((?:[^"\\]|\\.)*)"(#\S*)?$/s.exec(rest);
  if (quoted) {
    value = quoted[1].replace(/\\(["\\])/g, "$1");
    cutOff = quoted[2] ?? "";
  } else if (rest.includes('"')) {
    return null;
  }
  if (escape !== "text:" && !cutOff && value.includes("#xywh=")) {
    cutOff = value.slice(value.lastIndexOf("#xywh="));
    if (escape || ENDINGS.test(value.slice(0, -cutOff.length)) || EXPLICIT.test(value)) {
      value = value.slice(0, -cutOff.length);
    } else cutOff = "";
  }
  const pictureish = escape === "img:" || EXPLICIT.test(value) || (ENDINGS.test(value) && (quoted || !/\s/.test(value)));
  const kind = escape !== "text:" && pictureish ? "picture" : "text";
  const piece = fragment(cutOff);
  if (!piece || !value.trim() || (kind === "text" && piece.box)) return null;
  return { kind, value, weight, ...piece };
}

/** A question without its change in words, and that change (or an empty text). */
export function split(text) {
  for (const found of text.matchAll(/"(?:[^"\\]|\\.)*"|(?:^|\s)->(?:\s|$)/gs)) {
    if (found[0].startsWith('"')) continue;
    return { asked: text.slice(0, found.index), change: text.slice(found.index + found[0].length).trim() };
  }
  return { asked: text, change: "" };
}

/** Parts of a question, `{kind, value, weight, box, percent}` each; null when it cannot be read. */
export function parts(text) {
  if (!text.trim()) return [];
  const read = cut(text)?.map(([sign, piece]) => part(sign, piece));
  return read && read.every(Boolean) ? read : null;
}

const quote = (text) => `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;

function one(part) {
  const size = Math.abs(part.weight);
  const weight = size === 1 ? "" : `${size}:`;
  let body;
  if (part.kind === "item") body = `@${part.value}`;
  else if (part.kind === "picture") body = `img:${quote(part.value)}`;
  else if (PLAIN_WORDS.test(part.value)) body = part.value;
  else body = EXPLICIT.test(part.value) || ENDINGS.test(part.value) ? `text:${quote(part.value)}` : quote(part.value);
  if (!part.box) return weight + body;
  return `${weight}${body}#xywh=${part.percent ? "percent:" : ""}${part.box.join(",")}`;
}

/** Whether a part is a picture that a change can start from. */
export const starts = (part) => part.kind !== "text" && part.weight > 0;

/** The question that parts and a change make; `parts(split(print(p, c)).asked)` gives them again. */
export function print(list, change = "") {
  const sorted = [...list.filter((p) => p.weight > 0), ...list.filter((p) => p.weight < 0)];
  const asked = sorted.map((p, i) => (i ? (p.weight < 0 ? " - " : " + ") : p.weight < 0 ? "- " : "") + one(p)).join("");
  return change && list.some(starts) ? `${asked} -> ${change}` : asked;
}

/** A picture, or a whole-pixel piece of it, as a part: `id` is an item's number or `upload:HASH`. */
export function pictureOf(id, box = null, weight = 1) {
  const upload = String(id).startsWith("upload:");
  return {
    kind: upload ? "picture" : "item",
    value: String(id),
    weight,
    box: box && box.map(Math.round),
    percent: false,
  };
}

/** What a part shows: the id of a picture that has a thumbnail here, or null. */
export const shown = (part) =>
  part.kind === "item" || part.value.startsWith("upload:") ? part.value : null;
