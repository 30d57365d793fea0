// A grid of any length: only the rows in sight, and a few around, are in the document.

import { h } from "./dom.js";

const HEAD = 46;
const AROUND = 2;
const SETTLED_MS = 60;

/** Shows `source` (total, at(i)) cut into `sections` ({label, note?, start}). */
export class Grid {
  /**
   * `make(index, size, section)` gives the element of a tile, and `wanted(first, last)` is called with the
   * range in sight. `size` is {cell, frame, caption} in pixels.
   */
  constructor(root, { make, wanted, label }) {
    Object.assign(this, { root, make, wanted, label });
    this.total = 0;
    this.sections = [];
    this.rows = new Map();
    this.current = 0;
    this.least = 190;
    this.caption = 0;
    this.canvas = h("div", { class: "grid-canvas", role: "presentation" });
    root.setAttribute("role", "grid");
    root.setAttribute("aria-multiselectable", "true");
    root.append(this.canvas);
    root.addEventListener("scroll", () => this.scrolled(), { passive: true });
    root.addEventListener("focusin", (event) => this.focused(event));
    new ResizeObserver(() => this.resized()).observe(root);
  }

  /** Another source, from the top. */
  reset() {
    this.clear();
    this.current = 0;
    this.root.scrollTop = 0;
  }

  clear() {
    for (const row of this.rows.values()) this.drop(row);
    this.rows.clear();
  }

  drop(row) {
    for (const image of row.querySelectorAll("img")) image.removeAttribute("src");
    row.remove();
  }

  /** Lay out again and draw: `total` pictures, of which sections begin where they say. */
  show(total, sections) {
    const anchor = this.root.scrollTop > HEAD ? this.firstInSight() : null;
    this.total = total;
    this.given = sections;
    this.current = Math.max(0, Math.min(this.current, total - 1));
    this.layout();
    if (anchor !== null) this.keep(anchor);
    this.draw();
  }

  layout() {
    const style = getComputedStyle(this.root);
    const side = parseFloat(style.paddingLeft);
    const width = Math.max(0, this.root.clientWidth - 2 * side);
    this.gap = parseFloat(style.getPropertyValue("--grid-gap")) || 16;
    const least = Math.min(this.least, Math.max(120, (width - this.gap) / 2));
    this.columns = Math.max(1, Math.floor((width + this.gap) / (least + this.gap)));
    const cell = Math.floor((width - this.gap * (this.columns - 1)) / this.columns);
    this.size = { cell, frame: Math.round(cell * 0.75), caption: this.caption };
    this.step = this.size.frame + this.caption + this.gap;
    let y = 0;
    let row = 1;
    const starts = this.given?.length && this.given[0].start === 0 ? this.given : [{ label: "", start: 0 }, ...(this.given ?? [])];
    this.sections = [];
    starts.forEach((one, i) => {
      const end = Math.min(starts[i + 1]?.start ?? this.total, this.total);
      const count = end - one.start;
      if (count <= 0) return;
      const head = one.label ? HEAD : 0;
      const rows = Math.ceil(count / this.columns);
      this.sections.push({ ...one, count, y, head, row, rows });
      y += head + rows * this.step;
      row += rows + (head ? 1 : 0);
    });
    this.canvas.style.height = `${y}px`;
    this.root.setAttribute("aria-rowcount", String(row - 1));
    this.root.setAttribute("aria-colcount", String(this.columns));
    this.root.setAttribute("aria-label", this.label());
  }

  resized() {
    if (!this.root.clientWidth || this.root.clientWidth === this.width) {
      this.draw();
      return;
    }
    this.width = this.root.clientWidth;
    const anchor = this.root.scrollTop > HEAD ? this.firstInSight() : null;
    this.layout();
    if (anchor !== null) this.keep(anchor);
    this.draw();
  }

  /** The last section that begins at or before what `below` tells. */
  sectionAt(below) {
    let low = 0;
    let high = this.sections.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (below(this.sections[middle])) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  placeOf(index) {
    const section = this.sections[this.sectionAt((one) => one.start <= index)];
    const row = Math.floor((index - section.start) / this.columns);
    return { section, row, column: (index - section.start) % this.columns, y: section.y + section.head + row * this.step };
  }

  firstInSight() {
    if (!this.sections.length) return null;
    const top = this.root.scrollTop;
    const section = this.sections[this.sectionAt((one) => one.y <= top)];
    const row = Math.max(0, Math.floor((top - section.y - section.head) / this.step));
    const index = Math.min(section.start + row * this.columns, section.start + section.count - 1);
    return { index, inside: top - this.placeOf(index).y };
  }

  keep({ index, inside }) {
    if (index < this.total) this.root.scrollTop = this.placeOf(index).y + inside;
  }

  scrolled() {
    this.moving = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.moving = false;
      this.load();
    }, SETTLED_MS);
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  /** The index of the tile that has the focus, or null. */
  held() {
    const tile = this.canvas.contains(document.activeElement) ? document.activeElement.closest("[data-index]") : null;
    return tile && Number(tile.dataset.index) < this.total ? Number(tile.dataset.index) : null;
  }

  /** Put the rows in sight into the document and take the others out. */
  draw() {
    if (!this.size || !this.root.clientHeight) return;
    const top = this.root.scrollTop - AROUND * this.step;
    const bottom = this.root.scrollTop + this.root.clientHeight + AROUND * this.step;
    const seen = new Map();
    const held = this.held();
    let first = Infinity;
    let last = -1;
    for (let s = this.sectionAt((one) => one.y <= top); s < this.sections.length; s += 1) {
      const section = this.sections[s];
      if (section.y > bottom) break;
      if (section.head) seen.set(`h${section.start}`, { section });
      const from = Math.max(0, Math.floor((top - section.y - section.head) / this.step));
      const to = Math.min(section.rows - 1, Math.floor((bottom - section.y - section.head) / this.step));
      for (let row = from; row <= to; row += 1) {
        const start = section.start + row * this.columns;
        seen.set(`r${start}`, { section, row, start });
        first = Math.min(first, start);
        last = Math.max(last, Math.min(start + this.columns, section.start + section.count) - 1);
      }
    }
    if (held !== null) {
      // The row that has the focus stays, wherever the scroll went: focus must not get lost.
      const { section, row } = this.placeOf(held);
      const start = section.start + row * this.columns;
      if (!seen.has(`r${start}`)) seen.set(`r${start}`, { section, row, start });
    }
    for (const [key, element] of this.rows) {
      if (seen.has(key)) continue;
      this.drop(element);
      this.rows.delete(key);
    }
    for (const [key, what] of seen) this.put(key, what);
    if (held !== null && this.held() === null) this.tile(held)?.focus({ preventScroll: true });
    if (last >= 0) this.wanted(first, last);
    if (!this.moving) this.load();
  }

  put(key, { section, row, start }) {
    const old = this.rows.get(key);
    const made = start === undefined ? this.head(section) : this.row(section, row, start, old);
    if (made === old) return;
    if (old) old.replaceWith(made);
    else this.canvas.append(made);
    this.rows.set(key, made);
  }

  head(section) {
    const key = this.rows.get(`h${section.start}`);
    if (key?.dataset.label === section.label + (section.note ?? "")) {
      key.style.transform = `translateY(${section.y}px)`;
      return key;
    }
    const cell = h("div", { role: "gridcell", class: "grid-label", "aria-colspan": this.columns }, h("span", { text: section.label }));
    if (section.note) cell.append(h("small", { text: section.note }));
    const head = h("div", { role: "row", class: `grid-head ${section.kind ?? ""}`.trim(), "aria-rowindex": section.row, "data-label": section.label + (section.note ?? "") }, cell);
    head.style.transform = `translateY(${section.y}px)`;
    return head;
  }

  row(section, row, start, old) {
    const end = Math.min(start + this.columns, section.start + section.count);
    const y = section.y + section.head + row * this.step;
    const stamp = [end, section.kind, this.size.cell, this.caption].join();
    if (old?.dataset.stamp === stamp && !old.querySelector(".waiting")) {
      old.style.transform = `translateY(${y}px)`;
      return old;
    }
    const element = h("div", { role: "row", class: "grid-row", "data-stamp": stamp, "aria-rowindex": section.row + row + (section.head ? 1 : 0) });
    for (let index = start; index < end; index += 1) {
      const tile = this.make(index, this.size, section);
      tile.dataset.index = String(index);
      tile.setAttribute("aria-colindex", String(index - start + 1));
      tile.tabIndex = index === this.current ? 0 : -1;
      tile.style.width = `${this.size.cell}px`;
      element.append(tile);
    }
    element.style.transform = `translateY(${y}px)`;
    return element;
  }

  /** Fetch the small pictures of the rows that stayed in sight. */
  load() {
    for (const image of this.canvas.querySelectorAll("img[data-src]")) {
      image.src = image.dataset.src;
      delete image.dataset.src;
    }
  }

  tile(index) {
    return this.canvas.querySelector(`[data-index="${index}"]`);
  }

  focused(event) {
    const tile = event.target.closest?.("[data-index]");
    if (!tile) return;
    this.tile(this.current)?.setAttribute("tabindex", "-1");
    this.current = Number(tile.dataset.index);
    tile.tabIndex = 0;
  }

  /** Bring a tile into sight and give it the focus. */
  focus(index) {
    if (!this.total) return;
    const at = Math.max(0, Math.min(index, this.total - 1));
    const { y, section, row } = this.placeOf(at);
    const top = row === 0 ? y - section.head : y;
    const view = this.root.clientHeight;
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    else if (y + this.step > this.root.scrollTop + view) this.root.scrollTop = y + this.step - view;
    this.draw();
    this.tile(at)?.focus({ preventScroll: true });
  }

  /** The index one step away, across sections: `left`, `right`, `up`, `down`, … */
  neighbour(way) {
    const at = this.current;
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.step));
    if (way === "left") return at - 1;
    if (way === "right") return at + 1;
    if (way === "first") return 0;
    if (way === "last") return this.total - 1;
    if (way === "pageup" || way === "pagedown") {
      let to = at;
      for (let i = 0; i < page; i += 1) to = this.vertical(to, way === "pageup" ? -1 : 1);
      return to;
    }
    return this.vertical(at, way === "up" ? -1 : 1);
  }

  vertical(at, by) {
    const { section, row, column } = this.placeOf(at);
    let to = section;
    let line = row + by;
    if (line < 0 || line >= section.rows) {
      to = this.sections[this.sections.indexOf(section) + by];
      if (!to) return at;
      line = by < 0 ? to.rows - 1 : 0;
    }
    return Math.min(to.start + line * this.columns + column, to.start + to.count - 1);
  }
}
