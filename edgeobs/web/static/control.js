// People's word: pause, approve, veto; each with a reason, sent with a header that no other site can send.

import { byId, glyph, h, say } from "./dom.js";
import { clock } from "./format.js";

const MARK = "X-Edgeobs-Word";
const MOST = 512; // characters of a reason

/** Whether words are taken here; asked once. `onKnown` is called when it is known. */
export class Control {
  changeable = false;
  how = "";
  #dialog = null;
  #store;

  constructor(store, onKnown) {
    this.#store = store;
    byId("pause").addEventListener("click", () => this.#turn());
    fetch("api/v1/remediation").then((answer) => (answer.ok ? answer.json() : null)).then((told) => {
      if (!told) return;
      Object.assign(this, { changeable: told.changeable, how: told.how });
      onKnown();
    }).catch(() => {});
  }

  /** The button of the bar, and what to do where nobody can speak. */
  draw() {
    const status = this.#store.self;
    const button = byId("pause");
    button.hidden = !this.changeable || !status;
    say(byId("pause-text"), status?.paused ? "resume…" : "pause…");
    say(byId("how"), this.how);
  }

  /** Buttons for an incident: what waits for a person, and a veto. */
  buttons(incident, decisions) {
    if (!this.changeable || incident.state === "resolved") return [];
    const waiting = new Set(decisions.filter((each) => each.verdict === "held" && each.rule === "approved").map((each) => each.action.verb));
    const ask = (what, verb, text) => h("button", { class: "word-button", type: "button", onclick: () => this.#ask(what, incident, verb) }, text);
    const vetoed = this.#store.said(incident.id).some((word) => word.what === "veto");
    return [
      ...[...waiting].map((verb) => ask("approve", verb, `approve ${verb}…`)),
      vetoed ? ask("approve", null, "take the veto back…") : decisions.length ? ask("veto", null, "veto…") : null,
    ].filter(Boolean);
  }

  #turn() {
    const paused = Boolean(this.#store.self?.paused);
    const title = paused ? "Resume" : "Pause everything";
    const means = paused ? "What was held is looked at again at once." : "Nothing is done until resumed; what is under way stops before its next step.";
    this.#open(title, means, (why) => post(`api/v1/remediation/${paused ? "resume" : "pause"}`, { why }));
  }

  #ask(what, incident, verb) {
    const title = what === "veto" ? "Veto" : verb ? `Approve ${verb}` : "Approve";
    const means = what === "veto"
      ? "Nothing is done about this incident until it is over; what is under way stops before its next step."
      : "Only what waits for a person is let go; every other rule still holds. An earlier veto is taken back.";
    const body = verb ? { verb } : {};
    this.#open(title, `${incident.title}. ${means}`, (why) => post(`api/v1/incidents/${encodeURIComponent(incident.id)}/${what}`, { ...body, why }));
  }

  /** Ask for the reason, send, and say what came of it. */
  #open(title, means, send) {
    const why = h("textarea", { id: "why", rows: "2", maxlength: String(MOST), "aria-describedby": "word-means" });
    const answer = h("p", { class: "word-answer", role: "status" });
    const go = h("button", { class: "word-button word-go", type: "button", disabled: true }, title);
    const close = h("button", { class: "word-button", type: "button", onclick: () => this.#dialog.close() }, "cancel");
    why.addEventListener("input", () => { go.disabled = !why.value.trim(); });
    why.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && go.click());
    go.addEventListener("click", async () => {
      go.disabled = true;
      const { ok, text } = await send(why.value.trim());
      if (ok && !text) return this.#dialog.close();
      say(answer, ok ? `Done, but: ${text}` : text);
      go.disabled = ok;
      say(close, ok ? "close" : "cancel");
      return undefined;
    });
    if (!this.#dialog) {
      this.#dialog = h("dialog", { id: "word", class: "sheet", "aria-labelledby": "word-title" });
      document.body.append(this.#dialog);
    }
    this.#dialog.replaceChildren(
      h("h2", { id: "word-title" }, title),
      h("p", { id: "word-means", class: "word-means" }, means),
      h("label", { for: "why" }, "Why? It goes on record with your name."),
      why,
      answer,
      h("div", { class: "word-buttons" }, go, close),
    );
    this.#dialog.showModal();
    why.focus();
  }
}

async function post(url, body) {
  try {
    const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", [MARK]: "1" }, body: JSON.stringify(body) });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return { ok: true, text: told.note };
    return { ok: false, text: typeof told.detail === "string" ? told.detail : `it was refused: ${answer.status}` };
  } catch {
    return { ok: false, text: "no connection: nothing was said" };
  }
}

/** A word in force, in a line. */
export function wordLine(word) {
  const what = word.what === "veto" ? "vetoed" : `${word.verb || "whatever waits"} approved`;
  const until = word.until_s ? ` until ${clock(word.until_s)}` : "";
  return h("p", { class: `verdict word-${word.what}` }, glyph(word.what === "veto" ? "denied" : "resolved"), h("span", {}, h("b", {}, what), ` by ${word.by} at ${clock(word.at_s)}${until}${word.why ? `: ${word.why}` : ""}`));
}
