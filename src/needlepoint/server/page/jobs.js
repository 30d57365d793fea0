// Indexing: start it, follow it while it runs, stop it, and read what it did and did not do.

import { count, h, plural } from "./dom.js";

const ENDED = ["done", "failed", "cancelled"];
const STATES = {
  waiting: "Waiting",
  running: "Indexing",
  done: "Done",
  failed: "Failed",
  cancelled: "Stopped",
};
const REPORT = [
  ["added", "added"],
  ["updated", "read anew"],
  ["moved", "found in a new place"],
  ["copied", "copies"],
  ["unchanged", "unchanged"],
  ["missing", "no longer there"],
];
const SHOWN = 100; // reasons listed before the rest is counted

export async function mount(root, app) {
  const view = new JobsView(root, app);
  await view.begin();
  return { unmount: () => view.end() };
}

class JobsView {
  constructor(root, app) {
    this.app = app;
    this.form = h("form", { class: "jobs-form" });
    this.now = h("section", { class: "jobs-now", "aria-label": "This run" });
    this.past = h("section", { class: "jobs-past", "aria-label": "Earlier runs" });
    root.append(
      h("div", { class: "jobs" }, h("h2", { class: "panel-title", text: "Indexing" }), this.form, this.now, this.past),
    );
  }

  async begin() {
    const { app } = this;
    const [info, list] = await Promise.all([app.api.get("/v1/info"), app.api.get("/v1/index/jobs")]);
    this.jobs = list.jobs;
    this.#offer(info);
    const wanted = this.jobs.find((job) => String(job.id) === app.state.job);
    const running = this.jobs.find((job) => !ENDED.includes(job.state));
    const first = running ?? wanted ?? this.jobs[0];
    if (first) this.#follow(first);
    this.#list();
  }

  end() {
    this.events?.close();
  }

  #offer(info) {
    if (info.read_only) {
      this.form.replaceChildren(h("p", { class: "jobs-note", text: "This server only reads: it was started with --read-only." }));
      return;
    }
    const roots = info.roots.map(({ path, online }) => {
      const box = h("input", { type: "checkbox", checked: online, disabled: !online, value: path });
      const state = online ? null : h("span", { class: "jobs-away", text: "not connected" });
      return h("label", { class: "jobs-root", title: path }, box, h("span", { class: "jobs-path", text: path }), state);
    });
    const folder = h("input", {
      class: "field",
      type: "text",
      placeholder: "/path/of/another/folder",
      "aria-label": "Another folder, as the server sees it",
      spellcheck: false,
      autocomplete: "off",
    });
    this.starter = h("button", { class: "button primary", text: roots.length ? "Look for changes" : "Index" });
    this.form.replaceChildren(
      roots.length ? h("fieldset", {}, h("legend", { text: "Folders" }), roots) : "",
      folder,
      this.starter,
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const picked = [...this.form.querySelectorAll("input:checked")].map((box) => box.value);
      const other = folder.value.trim();
      this.#start(other ? [...picked, other] : picked, () => (folder.value = ""));
    });
  }

  async #start(sources, done) {
    const { app } = this;
    if (!sources.length) {
      app.tell("Choose a folder, or name one.");
      return;
    }
    this.starter.disabled = true;
    try {
      const job = await app.api.send("POST", "/v1/index/jobs", { sources });
      this.jobs.unshift(job);
      done();
      this.#follow(job);
      this.#list();
    } catch (error) {
      app.fail(error);
    } finally {
      this.starter.disabled = false;
    }
  }

  // Show a job, and what it tells while it runs.
  #follow(job) {
    this.events?.close();
    this.began = null;
    this.app.go({ job: String(job.id) }, { replace: true });
    this.#show(job);
    if (ENDED.includes(job.state)) return;
    this.events = new EventSource(`/v1/index/jobs/${job.id}/events`);
    this.events.addEventListener("job", (event) => this.#show(JSON.parse(event.data)));
  }

  #show(job) {
    const { app } = this;
    const before = this.jobs.find((one) => one.id === job.id);
    const ended = ENDED.includes(job.state);
    if (before) this.jobs[this.jobs.indexOf(before)] = job;
    const open = [...this.now.querySelectorAll("details[open]")].map((one) => one.dataset.what);
    this.now.replaceChildren(
      h("h3", { class: `jobs-state ${job.state}`, text: this.#title(job) }),
      h("p", { class: "jobs-note", text: job.sources.length ? job.sources.join(", ") : "All folders of the library" }),
      ...(ended ? [] : [this.#progress(job)]),
      ...(job.resumed ? [h("p", { class: "jobs-note", text: `Went on from where an earlier run stopped: ${plural(job.resumed, "picture")} were there.` })] : []),
      ...(job.error ? [h("p", { class: "jobs-error", text: job.error })] : []),
      ...(job.report ? [this.#report(job.report)] : []),
      ...this.#reasons(job, open),
    );
    if (!ended) return;
    if (this.events) {
      this.events.close();
      this.events = null;
      app.announce(this.#title(job));
      if (job.state === "done") app.again();
    }
    this.#list();
  }

  #title(job) {
    const took = job.ended && job.started ? ` in ${span((new Date(job.ended) - new Date(job.started)) / 1000)}` : "";
    return `${STATES[job.state]}${took}`;
  }

  #progress(job) {
    const known = job.total > 0;
    const bar = h("progress", { "aria-label": "Progress" });
    if (known) Object.assign(bar, { max: job.total, value: job.done });
    const words = known ? `${job.phase}: ${count(job.done)} of ${count(job.total)}` : job.phase || STATES[job.state];
    return h(
      "div",
      { class: "jobs-progress" },
      bar,
      h("p", {}, h("span", { text: words }), h("span", { class: "jobs-left", text: this.#left(job) })),
      h("button", { type: "button", class: "button", text: "Stop", onClick: (event) => this.#stop(job, event.target) }),
    );
  }

  // How long it may take still, by the pace since this page began to look.
  #left(job) {
    const now = performance.now();
    if (!this.began || this.began.phase !== job.phase) this.began = { phase: job.phase, at: now, done: job.done };
    const seconds = (now - this.began.at) / 1000;
    const pace = (job.done - this.began.done) / seconds;
    if (seconds < 2 || !(pace > 0)) return "";
    const each = pace >= 10 ? count(Math.round(pace)) : pace.toFixed(1);
    return `${each} a second, ${span((job.total - job.done) / pace)} left`;
  }

  async #stop(job, button) {
    button.disabled = true;
    try {
      await this.app.api.send("DELETE", `/v1/index/jobs/${job.id}`);
      this.app.announce("Stopping after the pictures at hand; what is done is kept.");
    } catch (error) {
      button.disabled = false;
      this.app.fail(error);
    }
  }

  #report(report) {
    const rows = REPORT.filter(([key]) => report[key] > 0).map(([key, label]) =>
      h("div", {}, h("dd", { text: count(report[key]) }), h("dt", { text: label })),
    );
    const away = report.offline_roots ?? [];
    return h(
      "div",
      {},
      rows.length ? h("dl", { class: "jobs-report" }, rows) : h("p", { class: "jobs-note", text: "Nothing was there to do." }),
      away.length > 0 && h("p", { class: "jobs-note", text: `Not connected, so left as they were: ${away.join(", ")}` }),
    );
  }

  // What was left out and why, and what was warned of.
  #reasons(job, open) {
    const skipped = (job.report?.skipped ?? []).map((one) => (Array.isArray(one) ? one : [one.path, one.reason]));
    const lists = [
      ["skipped", `${count(skipped.length)} left out`, skipped],
      ["warnings", plural(job.warnings.length, "warning"), job.warnings.map((text) => ["", text])],
    ];
    return lists
      .filter(([, , rows]) => rows.length)
      .map(([what, label, rows]) =>
        h(
          "details",
          { class: "jobs-reasons", "data-what": what, open: open.includes(what) || (what === "skipped" && !open.length) },
          h("summary", { text: label }),
          h(
            "ul",
            {},
            rows.slice(0, SHOWN).map(([path, reason]) => h("li", {}, path && h("span", { class: "jobs-path", title: path, text: path }), h("span", { text: reason }))),
            rows.length > SHOWN && h("li", { text: `and ${count(rows.length - SHOWN)} more` }),
          ),
        ),
      );
  }

  #list() {
    const others = this.jobs.filter((job) => String(job.id) !== this.app.state.job);
    this.past.hidden = !others.length;
    this.past.replaceChildren(
      h("h3", { text: "Earlier runs" }),
      h(
        "ul",
        {},
        others.map((job) => {
          const began = job.started ? new Date(job.started).toLocaleString() : "";
          return h("li", {}, h("button", { type: "button", class: "jobs-run", onClick: () => this.#follow(job) }, h("span", { text: STATES[job.state] }), h("span", { text: began })));
        }),
      ),
    );
  }
}

/** A span of seconds in words. */
function span(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return `${Math.max(Math.round(seconds), 1)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
