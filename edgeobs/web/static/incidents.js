// Incidents: what is abnormal since when, and the evidence for it, likeliest cause first.

import { byId, glyph, h, keyed, say } from "./dom.js";
import { clock, decades, duration, inFull, range, value } from "./format.js";
import { wordLine } from "./control.js";
import { badge, grouped, whom } from "./decisions.js";
import { operationLine } from "./operations.js";
import { plot } from "./plot.js";
import { linesOf } from "./lines.js";

const RESOLVED_SHOWN = 50; // cards; the API has the rest
const UNASKED = matchMedia("(min-width: 860px)").matches ? 3 : 1; // incidents that open of themselves
const OPERATIONS = 4; // of an incident, in its card
const FIRST = 3; // pieces of evidence in sight; the rest is one more click away
const SUSPECTS = 3; // likely causes in sight
const FETCH_MS = 1000; // evidence of an open card is asked for no more often
const REFRESH_MS = 2000; // and while the incident lasts this often: plots grow without news of the incident

export const incidentLink = (id) => `#incident/${encodeURIComponent(id)}`;

/** Which incidents are expanded, and their evidence once it has come. */
export class Incidents {
  #store;
  #control;
  #open = new Set();
  #unasked = 0; // expanded without being asked to
  #seen = new Set();
  #details = new Map(); // id → { of: updated_s, at: ms, text, evidence, failed, busy }

  constructor(store, control) {
    this.#store = store;
    this.#control = control;
  }

  draw() {
    const active = this.#store.active();
    const resolved = this.#store.resolved();
    for (const { id } of active.slice(0, UNASKED)) {
      if (this.#unasked >= UNASKED || this.#seen.has(id)) continue;
      this.#unasked++;
      this.expand(id);
    }
    const verdicts = Map.groupBy(this.#store.decided(), (decision) => decision.action.incident_id);
    const items = (list, incidents) => incidents.map((incident) => this.#item(list, incident, verdicts.get(incident.id) ?? []));
    const make = (item) => this.#make(item);
    const update = (card, item) => this.#update(card, item);
    for (const [id, shown] of [["active", active], ["resolved", resolved.slice(0, RESOLVED_SHOWN)]]) {
      keyed(byId(id), items(byId(id), shown), make, update);
    }
    say(byId("incidents-count"), active.length ? `${active.length} active` : "");
    byId("resolved-box").hidden = !resolved.length;
    say(byId("resolved-count"), `Resolved (${resolved.length})`);
    for (const id of this.#open) if (!this.#store.incidents.has(id)) this.#close(id);
  }

  /** Expand one; true when it is known. */
  expand(id) {
    this.#seen.add(id);
    this.#open.add(id);
    const incident = this.#store.incidents.get(id);
    if (incident) this.#fetch(incident);
    return Boolean(incident);
  }

  /** Expand one and bring it to the reader. */
  reveal(id) {
    this.#unasked = UNASKED;
    if (!this.expand(id)) return false;
    if (this.#store.incidents.get(id).state === "resolved") byId("resolved-box").open = true;
    this.draw();
    const button = this.#card(id)?.querySelector(".incident-open");
    button?.focus({ preventScroll: true });
    button?.closest(".card").scrollIntoView({ block: "start" });
    return true;
  }

  /** Say again how long ago things were. */
  tick(now) {
    for (const id of this.#open) {
      const incident = this.#store.incidents.get(id);
      if (incident) this.#fetch(incident);
    }
    for (const element of document.querySelectorAll("[data-since]")) {
      const until = Number(element.dataset.until) || now;
      say(element, duration(until - Number(element.dataset.since)));
    }
  }

  #close(id) {
    this.#open.delete(id);
    this.#details.delete(id);
  }

  #card(id) {
    return byId("active").shown?.get(id)?.element ?? byId("resolved").shown?.get(id)?.element;
  }

  #item(list, incident, decisions) {
    const expanded = this.#open.has(incident.id);
    if (expanded) this.#fetch(incident);
    const detail = expanded ? this.#details.get(incident.id) : undefined;
    const openScore = this.#store.self?.open_score;
    const operations = this.#store.done(incident.id);
    const words = this.#store.said(incident.id);
    const told = [...operations.map((o) => `${o.id} ${o.updated_s} ${o.state}`), ...words.map((w) => `${w.what} ${w.verb} ${w.by} ${w.at_s}`), this.#control.changeable].join();
    const fresh = { told, id: incident.id, incident, expanded, evidence: detail?.evidence, suspects: detail?.suspects ?? [], failed: detail?.failed, verdicts: decisions.map((d) => d.id).join(" "), openScore };
    const old = list.shown?.get(incident.id)?.item;
    if (old && Object.keys(fresh).every((key) => old[key] === fresh[key])) return old;
    return Object.assign(fresh, { decisions, operations, words });
  }

  async #fetch(incident) {
    const { id } = incident;
    const detail = this.#details.get(id) ?? { of: null, at: -Infinity, busy: false };
    this.#details.set(id, detail);
    const age = performance.now() - detail.at;
    const wait = FETCH_MS - age;
    const lasts = incident.state !== "resolved" && age >= REFRESH_MS && !document.hidden;
    if (detail.busy || (detail.of === incident.updated_s && !lasts)) return;
    if (wait > 0) {
      detail.timer ??= setTimeout(() => { detail.timer = undefined; this.draw(); }, wait);
      return;
    }
    detail.busy = true;
    detail.at = performance.now();
    detail.of = incident.updated_s;
    try {
      const answer = await fetch(`api/v1/incidents/${encodeURIComponent(id)}`);
      detail.failed = answer.ok ? "" : `the evidence could not be had: ${answer.status}`;
      const text = answer.ok ? await answer.text() : "";
      if (text && text !== detail.text) ({ evidence: detail.evidence, suspects: detail.suspects } = JSON.parse(text));
      detail.text = text;
    } catch {
      detail.failed = "the evidence could not be had: no connection";
      detail.of = null;
    }
    detail.busy = false;
    this.draw();
  }

  #make({ incident }) {
    const body = `body-${incident.id}`;
    const button = h("button", { class: "incident-open", type: "button", "aria-expanded": "false", "aria-controls": body });
    button.append(glyph("turn"), h("span", { class: "incident-state" }), h("span", { class: "incident-title" }));
    button.addEventListener("click", () => this.#toggle(incident.id));
    return h(
      "li",
      { class: "card incident" },
      h("article", { "aria-label": incident.title }, h("h3", {}, button), h("p", { class: "incident-meta" }), h("div", { class: "incident-verdicts" }), h("div", { class: "incident-words" }), h("div", { class: "incident-body", id: body, hidden: true })),
    );
  }

  #toggle(id) {
    this.#unasked = UNASKED;
    if (this.#open.has(id)) {
      this.#close(id);
      if (location.hash === incidentLink(id)) history.replaceState(null, "", location.pathname + location.search);
    } else {
      this.expand(id);
      history.replaceState(null, "", incidentLink(id));
    }
    this.draw();
  }

  #update(card, item) {
    const { incident, expanded } = item;
    card.dataset.state = incident.state;
    const state = incident.state === "resolved" ? "resolved" : "abnormal";
    const badge = h("span", { class: `badge s-${incident.state}` }, glyph(state), incident.state);
    card.querySelector(".incident-state").replaceChildren(badge);
    say(card.querySelector(".incident-title"), incident.title);
    card.querySelector(".incident-open").setAttribute("aria-expanded", String(expanded));
    card.querySelector(".incident-meta").replaceChildren(...meta(incident));
    const lines = [...item.words.map(wordLine), ...item.operations.slice(0, OPERATIONS).map(operationLine)];
    card.querySelector(".incident-verdicts").replaceChildren(...verdicts(item.decisions, item.operations), ...lines);
    card.querySelector(".incident-words").replaceChildren(...this.#control.buttons(incident, item.decisions));
    const body = card.querySelector(".incident-body");
    body.hidden = !expanded;
    if (expanded) drawEvidence(body, item);
  }
}

function meta(incident) {
  const { place } = incident;
  const where = place.node
    ? h("a", { href: `#node/${place.node_id}` }, place.node)
    : h("span", {}, incident.scope === "zone" ? place.zone : place.cluster || "everything");
  const until = incident.state === "resolved" ? incident.resolved_s : "";
  const passed = h("span", { "data-since": incident.opened_s, "data-until": until }, duration((until || Date.now() / 1000) - incident.opened_s));
  const zone = incident.scope === "node" && place.zone ? [h("span", {}, "zone ", h("b", {}, place.zone))] : [];
  const parts = [
    h("span", {}, `${incident.scope} `, where),
    ...zone,
    h("span", {}, "since ", h("time", { datetime: new Date(incident.opened_s * 1000).toISOString(), title: inFull(incident.opened_s) }, clock(incident.opened_s))),
    h("span", {}, until ? "lasted " : "for ", passed),
    h("span", {}, "score ", h("b", {}, decades(incident.score))),
  ];
  if (incident.simulated) parts.push(h("span", { class: "tag" }, "simulated"));
  return parts;
}

// What became of it, in a line each: a held or denied one always with its reason.
function verdicts(decisions, operations) {
  const done = new Set(operations.map((each) => each.id)); // told by what has become of it
  return grouped(decisions.filter((each) => !done.has(each.id))).slice(0, 3).map(({ newest, all }) => {
    const verb = newest.verdict === "allowed" ? "" : `${newest.action.verb} `;
    const why = newest.verdict === "allowed" ? newest.action.reason : newest.reason;
    return h("p", { class: `verdict v-${newest.verdict}` }, badge(newest), h("span", {}, h("b", {}, `${verb}${whom(all)}`), `: ${why}`));
  });
}

/** The evidence of an incident, with its plots; without an `id` nobody is asked for lines of logs. */
export function drawEvidence(body, { id, evidence, suspects, failed, openScore }) {
  if (!evidence) {
    body.replaceChildren(h("p", { class: "faint" }, failed || "loading the evidence…"));
    body.list = null;
    return;
  }
  if (!body.list) {
    body.list = h("ol", { class: "evidence", "aria-label": "Evidence, likeliest cause first" });
    body.rest = h("ol", { class: "evidence", "aria-label": "Further evidence" });
    body.more = h("details", { class: "more", hidden: true }, h("summary", {}, h("span")), body.rest);
    body.suspects = h("ol", { class: "suspects", "aria-label": "Likely causes, the likeliest first" });
    body.replaceChildren(body.suspects, body.list, body.more);
  }
  const few = suspects.slice(0, SUSPECTS).map((each) => ({ ...each, id: `${each.kind} ${each.name}` }));
  keyed(body.suspects, few, () => h("li", {}, h("b"), h("span")), (row, each) => {
    say(row.firstElementChild, each.name);
    say(row.lastElementChild, `: ${each.reason}`);
  });
  const items = evidence.map((each, rank) => ({ ...each, id: `${each.source} ${each.text}`, rank: rank + 1, openScore, of: id }));
  const once = [...new Map(items.map((each) => [each.id, each])).values()];
  keyed(body.list, once.slice(0, FIRST), makeEvidence, updateEvidence);
  keyed(body.rest, once.slice(FIRST), makeEvidence, updateEvidence);
  body.more.hidden = once.length <= FIRST;
  say(body.more.querySelector("summary span"), `${once.length - FIRST} more`);
}

function makeEvidence() {
  return h(
    "li",
    { class: "evidence-item" },
    h("div", { class: "evidence-head" }, h("span", { class: "rank", "aria-hidden": "true" }), h("p", { class: "evidence-name" }), h("span", { class: "weight" }, h("span", { class: "weight-bar" }, h("i")), h("span", { class: "weight-text" }))),
    h("p", { class: "evidence-facts" }),
  );
}

function updateEvidence(item, evidence) {
  item.classList.toggle("calm", evidence.calm);
  say(item.querySelector(".rank"), String(evidence.rank));
  item.querySelector(".evidence-name").replaceChildren(...title(evidence));
  const share = Math.round(100 * (evidence.weight ?? 0));
  item.querySelector(".weight-bar i").style.width = `${share}%`;
  say(item.querySelector(".weight-text"), `${share} %`);
  item.querySelector(".weight").title = `${share} % of the incident's score`;
  item.querySelector(".evidence-facts").replaceChildren(...facts(evidence));
  drawMore(item, evidence);
  if (evidence.points.length < 2) {
    item.querySelector(".plot")?.remove();
    return;
  }
  let picture = item.querySelector(".plot");
  if (!picture) item.append((picture = plot()));
  picture.update(evidence, evidence.openScore);
}

// The template, its lines and traces: made anew only when they differ, so that what is open stays open.
function drawMore(item, { of, kind, detail, query, traces, text }) {
  const told = JSON.stringify([detail, query, traces]);
  if (!kind || item.told === told) return;
  item.told = told;
  item.querySelector(".evidence-more")?.remove();
  if (!detail && !query && !traces.length) return;
  item.querySelector(".evidence-facts").after(h(
    "div",
    { class: "evidence-more" },
    detail ? h("p", {}, "template ", h("code", {}, detail)) : "",
    traces.length ? h("p", {}, traces.length > 1 ? "traces " : "trace ", traces.flatMap((trace, i) => [i ? ", " : "", h("code", {}, trace)])) : "",
    query && of ? linesOf(of, text, query) : "",
    query && !of ? h("p", {}, "LogQL ", h("code", {}, query)) : "",
  ));
}

const WHY = { level: "recent level", drift: "long-term level", shape: "usual movements", flatline: "usual restlessness" };

function title(evidence) {
  if (evidence.kind) return [h("span", { class: "tag" }, evidence.kind), " ", h("span", {}, evidence.source === "sign" ? evidence.text : evidence.whose)];
  if (evidence.source !== "series") {
    const kind = { joint: "jointly", absence: "absence", alert: "alert" }[evidence.source];
    return [h("span", { class: "tag" }, kind), " ", h("span", {}, evidence.text)];
  }
  const labels = Object.entries(evidence.labels).map(([name, text]) => h("span", { class: "label" }, h("span", { class: "label-name" }, name), "=", text));
  return [h("code", {}, evidence.name), ...labels.flatMap((label) => [" ", label])];
}

function facts(evidence) {
  const out = [];
  if (evidence.value !== null) out.push(h("span", {}, h("b", {}, value(evidence.value, evidence.unit)), " when most surprising"));
  if (evidence.low !== null) out.push(h("span", {}, "expected ", h("b", {}, range(evidence.low, evidence.high, evidence.unit))));
  out.push(h("span", {}, "score ", h("b", {}, decades(evidence.score))));
  if (evidence.why) out.push(h("span", {}, "unlike its ", h("b", {}, WHY[evidence.why] ?? evidence.why)));
  if (evidence.onset_s) out.push(h("span", {}, "since ", h("time", { datetime: new Date(evidence.onset_s * 1000).toISOString() }, clock(evidence.onset_s))));
  if (evidence.calm) out.push(h("span", { class: "tag tag-ok" }, "back to normal"));
  if (evidence.parts.length) out.push(h("span", { class: "parts" }, "most of it: ", ...evidence.parts.flatMap((part, i) => [i ? ", " : "", h("code", {}, part.series), ` ${Math.round(100 * part.share)} %`])));
  return out;
}
