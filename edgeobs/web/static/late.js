// Incidents that agents raised while they were cut off, told too late to act upon: a record, asked for now and then.

import { byId, glyph, h, keyed, say } from "./dom.js";
import { byName, clock, decades, duration, inFull, plural, value } from "./format.js";
import { drawEvidence } from "./incidents.js";

const ASK_MS = 10_000;
const FIRST = 5; // cards in sight, and how many more a click brings
const MORE = 20;
const MOST = 1000; // that the API answers at once

const keyOf = ({ agent, id }) => JSON.stringify([agent, id]);

export class LateIncidents {
  #shown = FIRST;
  #node = "";
  #ended = "";
  #had = ""; // the last answer: nothing is drawn anew for the same
  #answer = null;
  #asking = false;
  #open = new Map(); // key → { of: changed_s, detail, failed }

  start() {
    byId("late-node").addEventListener("change", (event) => this.#choose(() => (this.#node = event.target.value)));
    byId("late-ended").addEventListener("change", (event) => this.#choose(() => (this.#ended = event.target.value)));
    byId("late-more").addEventListener("click", () => { this.#shown = Math.min(MOST, this.#shown + MORE); this.ask(); });
    setInterval(() => document.hidden || this.ask(), ASK_MS);
    return this.ask();
  }

  async ask() {
    if (this.#asking) return;
    this.#asking = true;
    const asked = this.#query();
    try {
      const answer = await fetch(`api/v1/late-incidents?${asked}`);
      const text = answer.ok ? await answer.text() : "";
      if (text && text !== this.#had) {
        this.#had = text;
        this.#answer = JSON.parse(text);
        this.#draw();
      }
    } catch {
      // The bar says that there is no connection.
    }
    this.#asking = false;
    if (asked !== this.#query()) this.ask(); // something else was chosen meanwhile
  }

  #query() {
    const asked = new URLSearchParams({ limit: this.#shown });
    if (this.#node) asked.set("node", this.#node);
    if (this.#ended) asked.set("ended", this.#ended);
    return String(asked);
  }

  #choose(set) {
    set();
    this.#shown = FIRST;
    this.ask();
  }

  #draw() {
    const { total, nodes, incidents } = this.#answer;
    const all = Object.values(nodes).reduce((sum, n) => sum + n, 0);
    byId("late-box").hidden = !all;
    say(byId("late-count"), total === all ? plural(all, "incident") : `${total} of ${plural(all, "incident")}`);
    this.#drawNodes(nodes);
    const items = incidents.map((incident) => ({ id: keyOf(incident), incident, open: this.#open.get(keyOf(incident)) }));
    keyed(byId("late"), items, (item) => this.#make(item), update);
    byId("late-none").hidden = total > 0;
    const left = Math.min(total, MOST) - incidents.length;
    byId("late-more").hidden = left <= 0;
    say(byId("late-more"), `show ${Math.min(left, MORE)} more`);
  }

  #drawNodes(nodes) {
    const names = Object.keys(nodes).sort(byName);
    const options = [{ id: "", text: "all nodes" }, ...names.map((name) => ({ id: name, text: `${name} (${nodes[name]})` }))];
    keyed(byId("late-node"), options, ({ id }) => h("option", { value: id }), (option, { text }) => say(option, text));
    if (this.#node && !(this.#node in nodes)) this.#choose(() => (this.#node = ""));
    byId("late-node").value = this.#node;
  }

  #make({ id, incident }) {
    const body = `late-${id.replaceAll(/[^\w-]/g, (c) => `_${c.codePointAt(0)}_`)}`;
    const button = h("button", { class: "incident-open", type: "button", "aria-expanded": "false", "aria-controls": body });
    button.append(glyph("turn"), h("span", { class: "badge s-late" }, glyph("late"), "told late"), h("span", { class: "incident-title" }));
    button.addEventListener("click", () => this.#toggle(id));
    return h(
      "li",
      { class: "card incident", "data-state": "late" },
      h("article", { "aria-label": `Raised while cut off: ${incident.title}` }, h("h4", {}, button), h("p", { class: "incident-meta" }), h("div", { class: "incident-body", id: body, hidden: true }, h("div", { class: "late-evidence" }), h("div", { class: "late-sums", hidden: true }))),
    );
  }

  async #toggle(id) {
    const incident = this.#answer.incidents.find((each) => keyOf(each) === id);
    if (this.#open.delete(id) || !incident) return this.#draw();
    this.#open.set(id, {});
    this.#draw();
    let found = {};
    try {
      // Each time it is opened: raw windows and summaries come later than the incident.
      const answer = await fetch(`api/v1/late-incidents/${encodeURIComponent(incident.id)}?node=${encodeURIComponent(incident.agent)}`);
      found = answer.ok ? { detail: await answer.json() } : { failed: `the evidence could not be had: ${answer.status}` };
    } catch {
      found = { failed: "the evidence could not be had: no connection" };
    }
    if (this.#open.has(id)) this.#open.set(id, found);
    return this.#draw();
  }
}

function update(card, { incident, open }) {
  say(card.querySelector(".incident-title"), incident.title);
  card.querySelector(".incident-open").setAttribute("aria-expanded", String(Boolean(open)));
  card.querySelector(".incident-meta").replaceChildren(...meta(incident));
  const body = card.querySelector(".incident-body");
  body.hidden = !open;
  if (!open) return;
  drawEvidence(body.firstElementChild, { id: "", evidence: open.detail?.evidence, suspects: [], failed: open.failed, openScore: null });
  drawSummaries(body.lastElementChild, open.detail?.summaries ?? []);
}

const iso = (date) => (Number.isNaN(date.getTime()) ? "" : date.toISOString());
const at = (seconds) => h("time", { datetime: iso(new Date(seconds * 1000)), title: inFull(seconds) }, clock(seconds));

function meta(incident) {
  const { place } = incident;
  const who = place.node === incident.agent ? h("a", { href: `#node/${place.node_id}` }, incident.agent) : h("span", {}, incident.agent);
  const of = place.node && place.node !== incident.agent ? [h("span", {}, "of ", h("a", { href: `#node/${place.node_id}` }, place.node))] : [];
  const end = incident.resolved_s
    ? ["ended ", at(incident.resolved_s), ` after ${duration(incident.resolved_s - incident.raised_s)}`]
    : ["last told of ", at(incident.changed_s), "; no end was told: whether it still holds is not known here"];
  return [
    h("span", {}, "raised by the agent on ", who, " at ", h("b", {}, at(incident.raised_s)), " while cut off, delivered at ", h("b", {}, at(incident.delivered_s))),
    ...of,
    h("span", {}, end),
    h("span", {}, "score ", h("b", {}, decades(incident.score))),
    h("span", {}, "nothing acted on it"),
    incident.simulated ? h("span", { class: "tag" }, "simulated") : "",
  ];
}

function drawSummaries(box, summaries) {
  box.hidden = !summaries.length;
  box.replaceChildren(
    h("p", {}, h("b", {}, "Summaries of that time"), ": the most surprising series, each with its largest value and its highest score"),
    h("ul", {}, summaries.map((each) => h(
      "li",
      {},
      h("code", {}, each.text),
      " largest ", h("b", {}, value(each.largest, each.unit)),
      `, score ${decades(each.score)}, mean ${value(each.mean, each.unit)} of ${plural(each.samples, "sample")}, `,
      at(each.since_s), " to ", at(each.until_s),
      each.named ? "" : [" ", h("span", { class: "tag" }, "no evidence of it")],
    ))),
  );
}
