// The fleet: zones, and in each its nodes as small cells whose shape, colour and text say how they are.

import { byId, glyph, h, keyed, say } from "./dom.js";
import { byName, decades } from "./format.js";
import { heldByZone, latestByNode } from "./decisions.js";

const STATES = ["ok", "learning", "late", "abnormal", "silent", "retired"];
const FEW = 3; // nodes in a zone up to which cells may be wide
const MANY = 40; // nodes in a zone from which on cells show no name

export const nodeLink = (id) => `#node/${id}`;

/** Draw every zone and node that changed. */
export function drawFleet(store) {
  const nodes = [...store.nodes.values()].sort((a, b) => byName(a.name, b.name));
  const zones = [...store.zones.values()].sort((a, b) => byName(a.cluster, b.cluster) || byName(a.name, b.name));
  const inZone = Map.groupBy(nodes, (node) => node.zone_id);
  const pending = store.pending();
  const held = heldByZone(pending);
  const decided = latestByNode(pending);
  const clusters = new Set(zones.map((zone) => zone.cluster)).size;
  const shown = zones.map((zone) => ({ id: zone.id, zone, nodes: inZone.get(zone.id) ?? [], held: held.get(zone.id), decided, clusters }));
  keyed(byId("zones"), shown, makeZone, updateZone);
  drawTally(nodes);
}

function drawTally(nodes) {
  const counts = new Map(STATES.map((state) => [state, 0]));
  for (const node of nodes) counts.set(node.state, counts.get(node.state) + 1);
  const items = STATES.filter((state) => counts.get(state)).map((state) => ({ id: state, n: counts.get(state) }));
  const make = ({ id }) => h("li", { class: `tally-item is-${id}` }, glyph(id), h("b"), ` ${id}`);
  keyed(byId("tally"), items, make, (element, { n }) => say(element.querySelector("b"), String(n)));
}

function makeZone({ zone }) {
  const list = h("ul", { class: "cells" });
  list.addEventListener("keydown", walk);
  list.addEventListener("focusin", (event) => rove(list, event.target.closest(".cell")));
  return h(
    "section",
    { class: "zone", "aria-label": `Zone ${zone.name || "without a name"}` },
    h("h3", { class: "zone-head" }, h("span", { class: "zone-name" }), h("span", { class: "zone-sum" })),
    h("p", { class: "zone-held", hidden: true }, glyph("held"), h("span")),
    list,
  );
}

function updateZone(element, { zone, nodes, held, decided, clusters }) {
  element.dataset.state = zone.state;
  const real = nodes.filter((node) => node.state !== "retired");
  const fine = real.filter((node) => node.state === "ok").length;
  const simulated = nodes.length > 0 && nodes.every((node) => node.simulated);
  const name = element.querySelector(".zone-name");
  const title = zone.name ? `zone ${zone.name}` : "no zone named";
  say(name, clusters > 1 && zone.cluster ? `${zone.cluster} / ${title}` : title);
  const sum = zone.state === "silent" ? `all ${real.length} silent` : `${fine} of ${real.length} ok`;
  say(element.querySelector(".zone-sum"), simulated ? `${sum} · simulated` : sum);
  const box = element.querySelector(".zone-held");
  box.hidden = !held;
  say(box.lastElementChild, held ?? "");
  const list = element.querySelector(".cells");
  list.classList.toggle("few", nodes.length <= FEW);
  list.classList.toggle("many", nodes.length > MANY);
  const cells = nodes.map((node) => cellOf(list, node, decided.get(node.id)));
  keyed(list, cells, makeCell, updateCell);
  if (!list.querySelector('.cell[tabindex="0"]')) rove(list, list.querySelector(".cell"));
}

// The same object while nothing changed, so that `keyed` leaves the cell alone.
function cellOf(list, node, decision) {
  const old = list.shown?.get(node.id)?.item;
  return old && old.node === node && old.decision === decision ? old : { id: node.id, node, decision };
}

function makeCell({ node }) {
  const link = h("a", { class: "cell", href: nodeLink(node.id), tabindex: "-1" }, glyph(node.state), h("span"));
  return h("li", {}, link);
}

function updateCell(item, { node, decision }) {
  const cell = item.firstElementChild;
  const verdict = decision && decision.verdict !== "allowed" ? decision.verdict : decision ? "allowed" : "";
  cell.className = `cell is-${node.state}${node.simulated ? " simulated" : ""}`;
  const mark = cell.querySelector(".mark");
  if (mark && mark.dataset.verdict !== verdict) mark.remove();
  cell.firstElementChild.firstElementChild.setAttribute("href", `#g-${node.state}`);
  say(cell.children[1], node.name || "unnamed");
  if (verdict && !cell.querySelector(".mark")) {
    cell.append(h("span", { class: `mark v-${verdict}`, "data-verdict": verdict }, glyph(verdict)));
  }
  const words = [node.name || "unnamed node", node.state];
  if (node.score >= 1) words.push(`score ${decades(node.score)}`);
  if (!node.sends.includes("metrics")) words.push(`${node.sends.join(" and ")} alone`);
  if (decision) words.push(decision.text);
  if (node.simulated) words.push("simulated");
  cell.setAttribute("aria-label", words.join(", "));
  cell.title = words.join(" · ");
}

function rove(list, cell) {
  if (!cell) return;
  list.querySelector('.cell[tabindex="0"]')?.setAttribute("tabindex", "-1");
  cell.setAttribute("tabindex", "0");
}

// A zone is one tab stop; arrows walk its cells.
function walk(event) {
  const cells = [...event.currentTarget.querySelectorAll(".cell")];
  const at = cells.indexOf(event.target.closest(".cell"));
  const to = target(cells, at, event.key);
  if (to === undefined || at < 0) return;
  event.preventDefault();
  to?.focus();
}

function target(cells, at, key) {
  if (key === "ArrowRight") return cells[at + 1] ?? null;
  if (key === "ArrowLeft") return cells[at - 1] ?? null;
  if (key === "Home") return cells[0];
  if (key === "End") return cells.at(-1);
  if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
  const here = cells[at].getBoundingClientRect();
  const rows = key === "ArrowDown" ? cells.slice(at + 1) : cells.slice(0, at).reverse();
  const below = (cell) => Math.abs(cell.getBoundingClientRect().top - here.top) > 4;
  const off = (cell) => Math.abs(cell.getBoundingClientRect().left - here.left);
  const first = rows.find(below);
  if (!first) return null;
  const top = first.getBoundingClientRect().top;
  const row = rows.filter((cell) => Math.abs(cell.getBoundingClientRect().top - top) <= 4);
  return row.reduce((best, cell) => (off(cell) < off(best) ? cell : best));
}
