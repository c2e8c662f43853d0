// Decisions: what would be done or is held or denied, to what, why, and every check of the guard behind it.

import { byId, glyph, h, keyed, say } from "./dom.js";
import { byName, clock, inFull, plural } from "./format.js";
import { operationList } from "./operations.js";

const SHOWN = 60; // cards; the API has the rest
const NAMED = 12; // targets in one card

/** What a verdict means for its verb: "would cordon", "cordon", "held", "denied". */
export function verdictText(decision) {
  if (decision.verdict !== "allowed") return decision.verdict;
  return decision.dry_run ? `would ${decision.action.verb}` : decision.action.verb;
}

const placeText = (place) => place.node || (place.zone ? `zone ${place.zone}` : place.cluster || "everything");

/**
 * Decisions that say the same of several targets, as one: newest first, with all targets. An item stays the
 * same object while nothing joined it.
 */
export function grouped(decisions) {
  const key = (d) => JSON.stringify([d.action.incident_id, d.action.verb, d.verdict, d.rule, d.reason, d.dry_run]);
  const groups = Map.groupBy(decisions, (d) => key(d));
  return [...groups].map(([id, all]) => ({ id, newest: all[0], all }));
}

/** Node id → its newest decision. */
export function latestByNode(decisions) {
  const latest = new Map();
  for (const decision of decisions) {
    const id = decision.action.target.node_id;
    if (id && !latest.has(id)) latest.set(id, decision);
  }
  return latest;
}

/** Zone id → what is held there, in a line, after the newest of it. */
export function heldByZone(decisions) {
  const lines = new Map();
  for (const { newest, all } of grouped(decisions.filter((each) => each.verdict === "held"))) {
    const id = newest.action.target.zone_id;
    if (!lines.has(id)) lines.set(id, `held: ${newest.action.verb} ${whom(all)}: ${newest.reason}`);
  }
  return lines;
}

/** The targets of decisions in short: a name, or how many nodes. */
export function whom(decisions) {
  const names = new Set(decisions.map((each) => placeText(each.action.target)));
  return names.size === 1 ? [...names][0] : plural(names.size, "node");
}

export function drawDecisions(store) {
  const groups = grouped(store.decided()).map((group) => ({ ...group, operations: group.all.map((each) => store.operations.get(each.id)).filter(Boolean) }));
  const n = store.decisions.size;
  say(byId("decisions-count"), n ? plural(n, "decision") : "");
  const list = byId("decisions");
  keyed(list, stable(list, groups.slice(0, SHOWN)), makeCard, updateCard);
}

/** The items shown before where they are the same, so that their cards are left alone. */
export function stable(list, groups) {
  return groups.map((group) => {
    const old = list.shown?.get(group.id)?.item;
    const same = old && old.newest === group.newest && old.all.length === group.all.length;
    return same && old.operations.length === group.operations.length && old.operations.every((each, i) => each === group.operations[i]) ? old : group;
  });
}

/** A verdict as a badge. */
export function badge(decision) {
  const { verdict } = decision;
  return h("span", { class: `badge v-${verdict}` }, glyph(verdict), verdictText(decision));
}

function makeCard({ newest }) {
  return h(
    "li",
    { class: `card decision v-${newest.verdict}` },
    h("div", { class: "decision-head" }, badge(newest), h("span", { class: "targets" }), h("time", { class: "when" })),
    h("p", { class: "decision-why" }),
    h("p", { class: "decision-first", hidden: true }),
    h("ol", { class: "operations", hidden: true }),
    h("details", { class: "checks" }, h("summary", {}, h("span")), h("div", { class: "checks-body" })),
  );
}

function updateCard(card, { newest, all, operations }) {
  const { action } = newest;
  const targets = [...new Map(all.map((d) => [d.action.target.node_id || d.action.target.zone_id, d.action.target])).values()];
  targets.sort((a, b) => byName(placeText(a), placeText(b)));
  const links = targets.map((place) => (place.node_id ? h("a", { href: `#node/${place.node_id}` }, placeText(place)) : h("span", {}, placeText(place))));
  const verb = newest.verdict === "allowed" ? [] : [`${action.verb} `];
  const rest = links.length > NAMED ? [` and ${links.length - NAMED} more`] : [];
  card.querySelector(".targets").replaceChildren(...verb, ...links.slice(0, NAMED).flatMap((link, i) => (i ? [", ", link] : [link])), ...rest);
  const when = card.querySelector(".when");
  say(when, clock(newest.decided_s));
  when.dateTime = new Date(newest.decided_s * 1000).toISOString();
  when.title = inFull(newest.decided_s) + (newest.latency_ms === null ? "" : `, on record ${newest.latency_ms.toFixed(1)} ms after its evidence arrived`);
  say(card.querySelector(".decision-why"), newest.verdict === "allowed" ? action.reason : newest.reason);
  const first = card.querySelector(".decision-first");
  first.hidden = newest.verdict === "allowed" || !action.reason;
  say(first, `${action.verb} was proposed because: ${action.reason}`);
  operationList(card.querySelector(".operations"), operations);
  say(card.querySelector(".checks summary span"), checksText(newest.checks));
  card.querySelector(".checks-body").replaceChildren(...checksBody(newest));
}

function checksText(checks) {
  const counts = Map.groupBy(checks, (check) => check.verdict);
  const parts = ["denied", "held", "allowed"].filter((v) => counts.has(v)).map((v) => `${counts.get(v).length} ${v}`);
  return checks.length ? `${plural(checks.length, "guard check")}: ${parts.join(", ")}` : "No guard checks";
}

function checksBody(decision) {
  const { action } = decision;
  const rows = decision.checks.map((check) =>
    h(
      "tr",
      { class: `v-${check.verdict}` },
      h("td", {}, glyph(check.verdict), h("span", { class: "rule" }, check.rule), h("span", { class: "unseen" }, `: ${check.verdict}`)),
      h("td", {}, check.reason),
    ),
  );
  const head = h("thead", { class: "unseen" }, h("tr", {}, h("th", { scope: "col" }, "Rule and verdict"), h("th", { scope: "col" }, "Reason")));
  const facts = [["policy", action.policy], ["decided by", decision.rule], ["mode", decision.dry_run ? "dry-run: nothing is done" : "for real"]];
  for (const [path, set] of Object.entries(action.patch)) facts.push([path, set]);
  return [
    decision.checks.length ? h("table", {}, head, h("tbody", {}, rows)) : null,
    h("dl", { class: "facts" }, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    action.incident_id ? h("p", {}, h("a", { href: `#incident/${encodeURIComponent(action.incident_id)}` }, "the incident behind it")) : null,
  ].filter(Boolean);
}
