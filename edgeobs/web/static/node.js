// One node in a sheet over the page.

import { byId, glyph, h } from "./dom.js";
import { clock, count, decades, duration } from "./format.js";
import { badge } from "./decisions.js";
import { incidentLink } from "./incidents.js";
import { stateBadge } from "./operations.js";

const HEARTS = {
  young: "just met: not yet known how often it speaks",
  alive: "alive: it speaks as often as ever",
  late: "late: it should have spoken by now",
  silent: "silent: nothing for far too long",
  retired: "retired: silent for so long that nobody waits for it",
};

const heartbeat = (node) =>
  node.sends.includes("metrics") ? HEARTS[node.heart]
  : node.heart === "alive" ? "none: it sends no metrics, and was heard within ten minutes"
  : "none: it sends no metrics, and nothing else for ten minutes; nobody waits for it";

/** The sheet: opened by a deep link, closed by Escape, its button, or a click beside it. */
export class NodeSheet {
  #store;
  #dialog = byId("node");
  #id = "";
  #drawn = "";
  #asks = null; // what would be done about it now: kept as it is while the rest is drawn anew

  constructor(store) {
    this.#store = store;
    this.#dialog.addEventListener("close", () => this.#closed());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }

  /** Show a node; false when it is not known. */
  open(id) {
    if (!this.#store.nodes.has(id)) return false;
    this.#id = id;
    this.#drawn = "";
    this.#asks = null;
    this.draw();
    if (!this.#dialog.open) this.#dialog.showModal();
    return true;
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  draw() {
    const node = this.#store.nodes.get(this.#id);
    if (!this.#id || !node) return this.close();
    const zone = this.#store.zones.get(node.zone_id);
    const incidents = [...this.#store.incidents.values()].filter((each) => each.place.node_id === node.id).sort((a, b) => b.opened_s - a.opened_s);
    const decisions = this.#store.decided().filter((each) => each.action.target.node_id === node.id);
    const operations = [...this.#store.operations.values()].filter((each) => each.target.node_id === node.id).sort((a, b) => b.begun_s - a.begun_s);
    const drawn = JSON.stringify([node, zone, incidents, decisions.map((each) => each.id), operations]);
    if (drawn === this.#drawn) return undefined;
    const hadFocus = this.#drawn && this.#dialog.contains(document.activeElement);
    this.#drawn = drawn;
    const close = h("button", { class: "icon-button", type: "button", "aria-label": "Close", onclick: () => this.#dialog.close() }, glyph("close"));
    this.#dialog.replaceChildren(...[
      h("div", { class: "sheet-head" }, h("h2", { id: "node-title", class: `is-${node.state}` }, glyph(node.state), node.name || "unnamed node"), node.simulated ? h("span", { class: "tag" }, "simulated") : "", close),
      facts(node, zone),
      h("h3", {}, "Incidents"),
      incidents.length ? h("ul", { class: "plain" }, incidents.slice(0, 20).map(incidentRow)) : h("p", { class: "faint" }, "None that is still known."),
      operations.length ? [h("h3", {}, "Done"), h("ul", { class: "plain" }, operations.slice(0, 20).map(operationRow))] : [],
      h("h3", {}, "Decisions"),
      decisions.length ? h("ul", { class: "plain" }, decisions.slice(0, 20).map(decisionRow)) : h("p", { class: "faint" }, "None: nothing was proposed for it."),
      node.name ? (this.#asks ??= asks(node, zone)) : "",
    ].flat());
    if (hadFocus) close.focus();
    return undefined;
  }

  #closed() {
    const was = this.#id;
    this.#id = "";
    if (location.hash === `#node/${was}`) history.replaceState(null, "", location.pathname + location.search);
  }
}

/** A disclosure that asks the guard, each time it is opened, what would be done about the node now. */
function asks(node, zone) {
  const body = h("div", { class: "checks-body" });
  const details = h("details", { class: "checks" }, h("summary", {}, h("span", {}, "What would be done about it now")), body);
  details.addEventListener("toggle", () => details.open && ask(body, node.name, zone?.cluster ?? ""));
  return details;
}

async function ask(body, name, cluster) {
  body.replaceChildren(h("p", { class: "faint" }, "asking…"));
  try {
    const answer = await fetch(`api/v1/nodes/${encodeURIComponent(name)}/explain?cluster=${encodeURIComponent(cluster)}`);
    const told = await answer.json();
    if (!answer.ok) throw new Error(String(told.detail));
    const head = h("thead", { class: "unseen" }, h("tr", {}, h("th", { scope: "col" }, "Action"), h("th", { scope: "col" }, "Verdict and reason")));
    const table = (decisions) => h("table", {}, head.cloneNode(true), h("tbody", {}, decisions.map(verbRow)));
    body.replaceChildren(
      h("p", {}, told.proposed.length ? "Proposed:" : "Nothing is proposed. Were it:"),
      ...(told.proposed.length ? [table(told.proposed), h("p", {}, "Not proposed; were it:")] : []),
      table(told.verbs),
    );
  } catch (error) {
    body.replaceChildren(h("p", { class: "faint" }, `nobody answers: ${error.message}`));
  }
}

function verbRow(decision) {
  const against = decision.checks.filter((check) => check.verdict !== "allowed");
  const why = against.length ? against.map((check) => h("p", {}, h("span", { class: "rule" }, check.rule), `: ${check.reason}`)) : [h("p", {}, decision.dry_run ? "every rule allows it; nothing is done in dry-run" : "every rule allows it")];
  return h("tr", {}, h("td", {}, badge(decision), h("p", {}, decision.action.verb)), h("td", {}, why));
}

function facts(node, zone) {
  const heard = node.heard_s ? [clock(node.heard_s), " (", h("span", { "data-since": node.heard_s }, duration(Date.now() / 1000 - node.heard_s)), " ago)"] : ["just now"];
  const rows = [
    ["state", [node.state]],
    ["heartbeat", [heartbeat(node)]],
    ["sends", [node.sends.join(", ")]],
    ["last heard", heard],
    ["score", [node.score === null ? "still learning" : `${decades(node.score)} decades`]],
    ["series", [count(node.series)]],
    ["zone", [zone?.name || "none named"]],
  ];
  if (zone?.cluster) rows.push(["cluster", [zone.cluster]]);
  return h("dl", { class: "facts" }, rows.map(([name, text]) => [h("dt", {}, name), h("dd", {}, ...text)]));
}

function incidentRow(incident) {
  return h("li", {}, h("span", { class: `badge s-${incident.state}` }, incident.state), " ", h("a", { href: incidentLink(incident.id) }, incident.title), ` · ${clock(incident.opened_s)}`);
}

function operationRow(operation) {
  return h("li", {}, stateBadge(operation), ` ${operation.verb}: ${operation.reason || operation.state} · ${clock(operation.updated_s)}`);
}

function decisionRow(decision) {
  const why = decision.verdict === "allowed" ? decision.action.reason : decision.reason;
  return h("li", {}, badge(decision), ` ${why} · ${clock(decision.decided_s)}`);
}
