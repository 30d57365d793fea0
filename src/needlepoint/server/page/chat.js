// The conversation beside the pictures: words and marks in turns, what was made of them, and undo.

import { h, iconButton, plural, takesText } from "./dom.js";
import { flow, movement } from "./flow.js";

const FIRST = "Say what you look for, or mark pictures with + and −";
const NEXT = "Say what to change, or mark pictures";
const SHOWN = 60; // pictures of an answer

export async function mount(root, app) {
  const view = new ChatView(root, app);
  await view.begin();
  return { unmount: () => view.end() };
}

class ChatView {
  constructor(root, app) {
    this.app = app;
    this.talk = null; // {id, method, turns, question} as the server tells it
    this.marks = []; // {id, box, way}, not sent yet
    this.list = h("ol", { class: "chat-turns", "aria-label": "Turns" });
    this.pending = h("div", { class: "chat-pending", hidden: true });
    this.words = h("textarea", { class: "field", rows: 2, placeholder: FIRST, "aria-label": "Your turn" });
    this.methods = h("select", { class: "field", "aria-label": "Method" });
    this.back = iconButton("undo", "Take the last turn back", () => this.#undo());
    this.anew = iconButton("anew", "Begin anew", () => this.#anew());
    this.sending = h("button", { class: "button primary", text: "Send" });
    this.hint = h("p", { class: "chat-hint", hidden: true });
    const form = h("form", { class: "chat-form", onSubmit: (event) => this.#send(event) }, this.pending, this.words, h("div", { class: "chat-send" }, this.hint, this.sending));
    root.append(
      h(
        "div",
        { class: "chat" },
        h("header", { class: "chat-top" }, h("h2", { class: "panel-title", text: "Conversation" }), this.back, this.anew),
        h("label", { class: "chat-method" }, h("span", { text: "Method" }), this.methods),
        this.list,
        form,
      ),
    );
    this.words.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.#send(event);
    });
    this.words.addEventListener("input", () => this.#ready());
    this.methods.addEventListener("change", () => this.#again());
  }

  async begin() {
    const { app } = this;
    app.mark = (mark) => this.mark(mark);
    const info = await app.api.get("/v1/info");
    const methods = info.methods.interactive;
    this.methods.replaceChildren(...methods.map((name) => h("option", { value: name, text: name })));
    if (methods.includes("feedback")) this.methods.value = "feedback";
    this.hint.hidden = Boolean(info.chat);
    this.hint.textContent = "No language model is set up; words and marks work without one.";
    await this.#resume();
    if (!this.talk && app.state.q) this.words.value = app.state.q;
    this.#ready();
    if (!takesText(document.activeElement)) this.words.focus({ preventScroll: true });
  }

  end() {
    const { app } = this;
    app.mark = app.moved = null;
    app.show(null);
  }

  /** A picture, or a piece of it, that what is sought is like ("more") or unlike ("less"). */
  mark({ id, box = null, way }) {
    // a part drawn on a picture that is marked whole is what was meant
    this.marks = this.marks.filter((one) => one.id !== id || (one.box && String(one.box) !== String(box)));
    this.marks.push({ id, box, way });
    this.#ready();
    this.app.announce(`${way === "more" ? "More" : "Less"} like picture ${id}, for the next turn.`);
  }

  // Go on with the conversation that the address names, if the server still has it.
  async #resume() {
    const { talk } = this.app.state;
    if (!talk) return;
    try {
      this.talk = await this.app.api.get(`/v1/conversations/${talk}`);
      this.methods.value = this.talk.method.split(":")[0];
      this.#tell();
    } catch (error) {
      if (error.status !== 404) throw error;
      this.app.go({ talk: "" }, { replace: true });
      this.app.tell("That conversation is over: the server has let go of it.");
    }
  }

  async #send(event) {
    event.preventDefault();
    const said = this.words.value.trim();
    if (this.busy || (!said && !this.marks.length)) return;
    const turn = { said, more: this.#of("more"), less: this.#of("less") };
    await this.#work(async () => {
      if (!this.talk) await this.#open();
      this.talk.turns.push(await this.#post(turn));
      this.words.value = "";
      this.marks = [];
    });
    this.words.focus({ preventScroll: true });
  }

  #of(way) {
    return this.marks.filter((one) => one.way === way).map(({ id, box }) => ({ id, box }));
  }

  #post(turn) {
    return this.app.api.send("POST", `/v1/conversations/${this.talk.id}/turns`, turn);
  }

  async #open() {
    const { app } = this;
    const told = { method: this.methods.value || "feedback", where: app.state.filter || null, k: SHOWN };
    this.talk = await app.api.send("POST", "/v1/conversations", told);
    app.go({ talk: this.talk.id }, { replace: true });
  }

  async #undo() {
    const last = this.talk.turns.at(-1);
    await this.#work(async () => {
      this.talk = await this.app.api.send("DELETE", `/v1/conversations/${this.talk.id}/turns/last`);
      this.words.value = last.said;
      this.marks = ["more", "less"].flatMap((way) => last[way].map((mark) => ({ ...mark, way })));
      this.app.announce("The last turn is taken back; its words and marks stand ready again.");
    });
  }

  async #anew() {
    const old = this.talk;
    this.talk = null;
    this.marks = [];
    this.words.value = "";
    this.app.go({ talk: "" }, { replace: true });
    this.#tell();
    this.words.focus();
    if (old) await this.app.api.send("DELETE", `/v1/conversations/${old.id}`).catch(() => null);
  }

  // Another method answers the same turns.
  async #again() {
    if (!this.talk) return;
    const before = this.talk;
    await this.#work(async () => {
      try {
        await this.#open();
        for (const { said, more, less } of before.turns) this.talk.turns.push(await this.#post({ said, more, less }));
      } catch (error) {
        this.talk = before;
        this.methods.value = before.method.split(":")[0];
        this.app.go({ talk: before.id }, { replace: true });
        throw error;
      }
      await this.app.api.send("DELETE", `/v1/conversations/${before.id}`);
    });
  }

  async #work(run) {
    this.busy = true;
    this.sending.setAttribute("aria-busy", "true");
    this.#ready();
    try {
      await run();
      this.#tell();
    } catch (error) {
      this.app.fail(error);
    } finally {
      this.busy = false;
      this.sending.removeAttribute("aria-busy");
      this.#ready();
    }
  }

  // Show the turns here and the last answer in the grid.
  #tell() {
    const { app } = this;
    const turns = this.talk?.turns ?? [];
    this.list.replaceChildren(...turns.map((turn, i) => this.#turn(turn, turns[i - 1], i === turns.length - 1)));
    const last = turns.at(-1);
    app.moved = last && turns.length > 1 ? last.moved : null;
    app.show(last ? last.answer : null, last ? `Conversation, turn ${turns.length}` : "");
    if (last) {
      const told = turns.length > 1 ? movement(last) : plural(last.answer.hits.length, "picture");
      app.announce([told, last.question].filter(Boolean).join(". "));
      this.list.scrollTop = this.list.scrollHeight;
    }
    this.#ready();
  }

  #turn(turn, before, isLast) {
    const marks = [
      ...turn.more.map((mark) => ({ ...mark, way: "more" })),
      ...turn.less.map((mark) => ({ ...mark, way: "less" })),
    ];
    const understood = turn.understood && turn.understood !== turn.said ? turn.understood : "";
    return h(
      "li",
      { class: "chat-turn" },
      turn.asked && h("p", { class: "chat-asked", text: turn.asked }),
      h(
        "div",
        { class: "chat-said" },
        turn.said && h("p", { text: turn.said }),
        marks.length > 0 && h("div", { class: "chat-marks" }, marks.map((mark) => this.#thumb(mark))),
      ),
      understood && h("p", { class: "chat-understood" }, h("span", { class: "chat-label", text: "Understood" }), understood),
      turn.picture && h("img", { class: "chat-made", src: turn.picture, alt: "The picture a model made of the turns" }),
      before && h("p", { class: "chat-moved", text: movement(turn) }),
      before && isLast && flow(this.app, before, turn),
      isLast && turn.question && h("p", { class: "chat-question", text: turn.question }),
    );
  }

  #thumb({ id, box, way }) {
    return h(
      "button",
      {
        type: "button",
        class: `chat-mark ${way}`,
        "aria-label": `${way === "more" ? "More" : "Less"} like ${box ? "a part of " : ""}picture ${id}: open it`,
        onClick: () => this.app.open(id),
      },
      h("img", { src: this.app.thumb(id, 160, box), alt: "" }),
    );
  }

  // What the next turn will hold, and which buttons make sense.
  #ready() {
    const turns = this.talk?.turns.length ?? 0;
    this.pending.hidden = !this.marks.length;
    this.pending.replaceChildren(...this.marks.map((mark) => this.#waiting(mark)));
    this.words.placeholder = this.talk?.turns.at(-1)?.question || (turns ? NEXT : FIRST);
    this.sending.disabled = this.busy || (!this.words.value.trim() && !this.marks.length);
    this.back.disabled = this.busy || !turns;
    this.anew.disabled = this.busy || !this.talk;
    this.methods.disabled = this.busy;
  }

  #waiting(mark) {
    const { id, box, way } = mark;
    const drop = () => {
      this.marks = this.marks.filter((one) => one !== mark);
      this.#ready();
      this.words.focus();
    };
    const turnOver = () => {
      mark.way = way === "more" ? "less" : "more";
      this.#ready();
    };
    const other = way === "more" ? "less" : "more";
    return h(
      "div",
      { class: "chat-waiting", role: "group", "aria-label": `${way} like picture ${id}` },
      this.#thumb(mark),
      h("button", { type: "button", class: "button quiet", text: way === "more" ? "More" : "Less", title: `Make it “${other} like this”`, onClick: turnOver }),
      h("button", { type: "button", class: "button quiet", text: box ? "This part" : "Whole", title: "Open it to draw the part that is meant", onClick: () => this.app.open(id) }),
      iconButton("close", `Forget the mark on picture ${id}`, drop),
    );
  }
}
