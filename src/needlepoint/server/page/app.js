// Boot: builds the parts of the page, gives them one `app`, and mounts views as the address says.

import * as api from "./api.js";
import { h, icon } from "./dom.js";
import * as state from "./state.js";
import { notices } from "./notices.js";
import { selection } from "./selection.js";
import { queryBox } from "./querybox.js";
import { filters } from "./filters.js";
import { results } from "./results.js";
import { viewer } from "./viewer.js";
import { status } from "./status.js";
import { saved } from "./saved.js";
import { theme } from "./theme.js";
import { navigation } from "./views.js";
import { keys } from "./keys.js";

const told = notices();

/** What every part, and every view, may use. */
const app = {
  api: { get: api.get, send: api.send, url: api.url, Problem: api.Problem, aborted: api.aborted },
  h,
  icon,
  get state() {
    return state.now();
  },
  go: state.go,
  onChange: state.onChange,
  open: (id) => state.go({ open: String(id) }),
  thumb: api.thumb,
  announce: told.announce,
  tell: told.tell,
  fail: told.fail,
  mark: null,
  moved: null,
  info: null,
};

Object.assign(app, selection(app));
theme(app);
status(app);
const ask = results(app);
queryBox(app);
filters(app);
const look = viewer(app);
saved(app);
navigation(app);
keys(app);
ask();
look();

api.get("/v1/info").then(
  (info) => {
    app.info = info;
    document.dispatchEvent(new CustomEvent("info"));
  },
  (error) => app.fail(error),
);

