// Where the grid's pictures come from: answers and the whole library, fetched page by page.

import { get } from "./api.js";

const FIRST = 60;
const MORE = 200;
const BROWSE_FIRST = 300;
const BROWSE = 5000;
const MANY = 12;
const AGAIN_MS = 3000;

/** `2021-03` to `March 2021` in the reader's language. */
export function monthName(key) {
  const [year, month] = key.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1, 1)).toLocaleDateString(undefined, {
    year: "numeric",
    month: "long",
    timeZone: "UTC",
  });
}

/** Sections of an order by date: months where there are many pictures a month, else years. */
class Dates {
  constructor() {
    this.months = [];
    this.years = [];
  }

  add(index, taken) {
    const month = taken ? taken.slice(0, 7) : "";
    if (month !== this.month) this.months.push({ label: month ? monthName(month) : "Without a date", start: index });
    if (month.slice(0, 4) !== this.year) this.years.push({ label: month.slice(0, 4) || "Without a date", start: index });
    this.month = month;
    this.year = month.slice(0, 4);
    this.count = index + 1;
  }

  sections() {
    return this.count >= MANY * this.months.length ? this.months : this.years;
  }
}

/** A list that grows by pages behind an opaque cursor; one request at a time. */
class Paged {
  constructor() {
    this.total = 0;
    this.loaded = 0;
    this.done = false;
    this.error = null;
    this.cursor = null;
    this.changed = () => {};
    this.control = new AbortController();
    this.running = null;
  }

  /** Fetch until the picture at `index` is there, or there is no more. */
  need(index) {
    if (this.error && performance.now() - this.failed > AGAIN_MS) this.error = null;
    this.wanted = Math.max(this.wanted ?? 0, index);
    this.running ??= this.run().finally(() => (this.running = null));
    return this.running;
  }

  async run() {
    while (!this.done && !this.error && this.loaded <= this.wanted) {
      try {
        const page = await this.page(this.cursor, this.control.signal);
        this.cursor = page.next;
        this.done = !page.next;
        if (this.done) this.total = this.loaded;
      } catch (error) {
        if (this.control.signal.aborted) return;
        this.error = error;
        this.failed = performance.now();
      }
      this.changed();
    }
  }

  /** Call off what is under way. */
  stop() {
    this.control.abort();
    this.changed = () => {};
  }
}

/** Everything in the library, newest first, under headings of months; a few bytes a picture. */
export class Browse extends Paged {
  constructor(where, order) {
    super();
    this.asked = { where, order: order === "oldest" ? "oldest" : "newest", fields: "brief" };
    this.kind = "browse";
    this.ids = [];
    this.shapes = [];
    this.dates = new Dates();
  }

  async page(cursor, signal) {
    const limit = cursor ? BROWSE : BROWSE_FIRST;
    const answer = await get("/v1/items", { ...this.asked, limit, cursor }, { signal });
    for (const { id, width, height, taken } of answer.items) {
      this.dates.add(this.loaded, taken);
      this.ids.push(id);
      // Width in the high, height in the low bits: two sides of at most 65535 make one number.
      this.shapes.push(Math.min(width, 65535) * 65536 + Math.min(height, 65535));
      this.loaded += 1;
    }
    this.total = answer.total;
    this.answer = answer;
    return answer;
  }

  at(index) {
    if (index < 0 || index >= this.loaded) return null;
    const shape = this.shapes[index];
    return { id: this.ids[index], width: Math.floor(shape / 65536) || 1, height: shape % 65536 || 1 };
  }

  sections() {
    return this.dates.sections();
  }

  indexOf(id) {
    return this.ids.indexOf(id);
  }
}

/** The answer to a question, best first or by date. */
export class Answer extends Paged {
  constructor(state) {
    super();
    this.kind = "answer";
    this.byDate = state.order !== "score";
    this.asked = {
      q: state.q,
      where: state.filter,
      order: state.order,
      fold: String(state.fold),
      min_score: this.byDate ? state.min : null,
    };
    this.rows = [];
    this.dates = new Dates();
  }

  async page(cursor, signal) {
    const answer = await get("/v1/search", { ...this.asked, limit: cursor ? MORE : FIRST, cursor }, { signal });
    this.answer ??= answer;
    this.take(answer);
    return answer;
  }

  take(answer) {
    for (const hit of answer.hits) {
      if (this.byDate) this.dates.add(this.loaded, hit.taken);
      this.rows.push(hit);
      this.loaded += 1;
    }
    this.total = answer.total ?? this.loaded;
  }

  at(index) {
    return this.rows[index] ?? null;
  }

  indexOf(id) {
    return this.rows.findIndex((hit) => hit.id === id);
  }

  /** Where "probably not" begins unless it is moved: a score, or null without a calibration. */
  get usual() {
    return this.answer?.likely_score ?? this.answer?.cutoff ?? null;
  }

  /** How many lie above a score; null while pages that could tell are not there yet. */
  above(line) {
    if (line === null) return this.total;
    const calibrated = line === this.answer?.cutoff;
    const below = this.rows.findIndex((hit) => (calibrated ? hit.match === false : hit.score < line));
    if (below >= 0) return below;
    if (this.done) return this.loaded;
    if (line === this.answer?.likely_score) return this.answer.likely;
    return calibrated ? (this.answer?.matching ?? null) : null;
  }

  sections() {
    return this.byDate ? this.dates.sections() : [];
  }
}

/** An answer that is already here: a turn of a conversation. */
export class Given extends Answer {
  constructor(answer, label) {
    super({ q: answer.query ?? "", filter: "", order: "score", fold: true, min: "" });
    this.answer = answer;
    this.label = label;
    this.take(answer);
    this.total = this.loaded;
    this.done = true;
  }
}
