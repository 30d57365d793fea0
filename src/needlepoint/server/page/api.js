// The door to the server: requests, and refusals as sentences.

/** A refusal: RFC 9457 details, or what the browser says when there is no server. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.slug = String(body.type ?? "").replace("urn:needlepoint:", "");
    this.body = body;
  }
}

/** A path with its query; empty values are left out, lists are repeated. */
export function url(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") query.append(name, String(one));
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function read(response) {
  const type = response.headers.get("content-type") ?? "";
  if (response.ok) {
    if (response.status === 204) return null;
    return type.includes("json") ? response.json() : response.text();
  }
  const body = type.includes("json") ? await response.json().catch(() => ({})) : {};
  if (response.status === 429) body.detail ??= "The server is busy. Ask again in a moment.";
  throw new Problem(response.status, body);
}

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The server cannot be reached. Is needlepoint serve still running?" });
  }
  return read(response);
}

/** JSON of an address. Raises Problem; an abort by `signal` raises AbortError. */
export const get = (path, params = {}, { signal } = {}) => ask(url(path, params), { signal });

/** JSON of an address asked with another method; a Blob is sent as it is, the rest as JSON. */
export function send(method, path, body = null, { signal } = {}) {
  const raw = body instanceof Blob;
  const headers = raw
    ? { "Content-Type": body.type || "application/octet-stream" }
    : body === null
      ? {}
      : { "Content-Type": "application/json" };
  return ask(path, { method, signal, headers, body: raw ? body : body === null ? undefined : JSON.stringify(body) });
}

/** Whether an error only says that its request was called off. */
export const aborted = (error) => error?.name === "AbortError";

/** The address of a small picture: of an item, or of an upload (`upload:HASH`). */
export function thumb(id, side = 320, box = null) {
  const piece = box ? box.map((value) => Math.round(value)).join(",") : null;
  if (String(id).startsWith("upload:")) {
    return url(`/v1/uploads/${encodeURIComponent(String(id).slice(7))}/thumb`, { side, box: piece });
  }
  return url(`/v1/items/${id}/thumb`, { side, box: piece });
}
