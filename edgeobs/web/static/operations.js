// What is really done: each operation with its state, and its steps as the journal has them.

import { h, keyed, say } from "./dom.js";
import { clock, inFull } from "./format.js";

const OVER = new Set(["done", "failed", "cancelled", "undone"]);
const KINDS = { intent: "decided", call: "call", answer: "answer", wait: "waits", state: "state" };
const steps = new Map(); // id → { of: updated_s, busy, list, failed }
const KEPT = 50;

/** An operation's state as a badge. */
export const stateBadge = (operation) => h("span", { class: `badge o-${operation.state}` }, operation.state);

/** An operation in a line: what, in which state, and why. */
export function operationLine(operation) {
  const reason = operation.reason && operation.reason !== operation.state ? `: ${operation.reason}` : "";
  return h("p", { class: "verdict" }, stateBadge(operation), h("span", {}, h("b", {}, `${operation.verb} ${operation.target.node || `zone ${operation.target.zone}`}`), reason));
}

/** A list of operations, each with its steps on demand. */
export function operationList(list, operations) {
  list.hidden = !operations.length;
  keyed(list, operations, make, update);
}

function make(operation) {
  const details = h("details", { class: "steps" }, h("summary", {}, h("span")), h("ol", { class: "steps-list" }), h("p", { class: "faint", hidden: true }));
  const row = h("li", { class: "operation" }, h("p", { class: "operation-head" }), details);
  details.addEventListener("toggle", () => details.open && draw(row, row.operation));
  row.operation = operation;
  return row;
}

function update(row, operation) {
  row.operation = operation;
  const where = operation.target.node || `zone ${operation.target.zone}`;
  const reason = operation.reason ? ` ${operation.reason}` : "";
  const when = h("time", { class: "when", datetime: new Date(operation.updated_s * 1000).toISOString(), title: inFull(operation.updated_s) }, clock(operation.updated_s));
  row.querySelector(".operation-head").replaceChildren(stateBadge(operation), h("span", {}, h("b", {}, where), reason), when);
  const verdict = operation.helped === null ? "" : operation.helped ? ", it helped" : ", it did not help";
  say(row.querySelector("summary span"), `Steps${OVER.has(operation.state) ? verdict : " so far"}`);
  if (row.querySelector("details").open) draw(row, operation);
}

/** Show the steps, fetched once per change of the operation. */
async function draw(row, operation) {
  const known = steps.get(operation.id) ?? { of: null, busy: false, list: [], failed: "" };
  steps.set(operation.id, known);
  if (steps.size > KEPT) steps.delete(steps.keys().next().value);
  show(row, known);
  if (known.busy || known.of === operation.updated_s) return;
  known.busy = true;
  known.of = operation.updated_s;
  try {
    const answer = await fetch(`api/v1/operations/${encodeURIComponent(operation.id)}/steps`);
    const told = await answer.json();
    known.failed = answer.ok ? "" : String(told.detail);
    if (answer.ok) known.list = told.steps;
  } catch {
    known.failed = "no connection";
    known.of = null;
  }
  known.busy = false;
  show(row, known);
  if (known.of !== null && row.operation.updated_s !== known.of) draw(row, row.operation);
}

function show(row, { list, failed }) {
  const items = list.map((step, number) => ({ ...step, id: `${number} ${step.at_s} ${step.text}` }));
  keyed(row.querySelector(".steps-list"), items, (step) =>
    h("li", {}, h("time", { datetime: new Date(step.at_s * 1000).toISOString(), title: inFull(step.at_s) }, clock(step.at_s)), h("span", { class: `step-kind step-${step.kind}` }, KINDS[step.kind] ?? step.kind), h("span", { class: "step-text" }, step.text)), () => {});
  const faint = row.querySelector("details > p");
  faint.hidden = Boolean(list.length);
  say(faint, failed ? `the steps could not be had: ${failed}` : "loading the steps…");
}
