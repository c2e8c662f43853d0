// The page: one store, filled by the stream, drawn once per frame at most.

import { byId, say } from "./dom.js";
import { Control } from "./control.js";
import { drawDecisions } from "./decisions.js";
import { drawFleet } from "./fleet.js";
import { Incidents } from "./incidents.js";
import { LateIncidents } from "./late.js";
import { NodeSheet } from "./node.js";
import { Services } from "./services.js";
import { Store } from "./store.js";
import { follow } from "./stream.js";
import { drawLink, drawVitals } from "./vitals.js";

const QUIET_S = 10; // connected, but the engine published nothing new for so long: say so
const ANNOUNCE_MS = 2000;

const store = new Store();
const control = new Control(store, () => drawSoon());
const incidents = new Incidents(store, control);
const sheet = new NodeSheet(store);
const link = { state: "connecting", news: 0, first: true };

function draw() {
  drawVitals(store);
  control.draw();
  drawFleet(store);
  incidents.draw();
  drawDecisions(store);
  sheet.draw();
  const active = store.active().length;
  say(byId("jump-incidents"), active ? String(active) : "");
  say(byId("jump-decisions"), store.decisions.size ? String(store.decisions.size) : "");
  document.title = active ? `(${active}) edgeobs` : "edgeobs";
}

let waiting = false;
function drawSoon() {
  if (waiting) return;
  waiting = true;
  // Not an animation frame alone: a page in the background must not hoard changes.
  const done = () => { waiting = false; draw(); };
  if (document.hidden) setTimeout(done, 500);
  else requestAnimationFrame(done);
}

// New incidents are said to screen readers, several at once as one sentence.
let unsaid = [];
function announce(changes) {
  for (const [id, incident] of Object.entries(changes)) {
    if (!store.incidents.has(id) && incident.state !== "resolved") unsaid.push(incident.title);
  }
  if (!unsaid.length) return;
  setTimeout(() => {
    if (unsaid.length) say(byId("announce"), `New incident${unsaid.length > 1 ? "s" : ""}: ${unsaid.join("; ")}`);
    unsaid = [];
  }, ANNOUNCE_MS);
}

function onChange(change, whole) {
  if (!link.first) announce(change.set.incidents ?? {});
  store.apply(change, whole);
  link.news = performance.now();
  if (link.first) {
    link.first = false;
    draw();
    route();
  } else {
    drawSoon();
  }
}

function onLink(state) {
  link.state = link.first && state === "lost" ? "connecting" : state;
  tick();
}

function tick() {
  const now = store.now();
  const age = (performance.now() - link.news) / 1000;
  const state = link.state === "live" && age > QUIET_S ? "quiet" : link.state;
  drawLink(state, link.news ? now - age : 0, now);
  incidents.tick(now);
}

/** Follow the address: #incident/ID, #node/CLUSTER/ZONE/NAME. */
function route() {
  const [, kind, id] = /^#(incident|node)\/(.+)$/.exec(location.hash) ?? [];
  let known = true;
  if (kind !== "node") sheet.close();
  if (kind === "node") known = sheet.open(id);
  if (kind === "incident") known = incidents.reveal(decoded(id));
  if (!known) say(byId("announce"), `This ${kind} is not known, or no longer.`);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const THEMES = ["auto", "light", "dark"];
const theme = () => document.documentElement.dataset.theme ?? "auto";

function turnTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // No storage: it holds until the page is closed.
  }
  sayTheme();
}

const sayTheme = () => say(byId("theme-text"), `theme: ${theme()}`);

byId("theme").addEventListener("click", turnTheme);
addEventListener("hashchange", route);
setInterval(tick, 1000);
sayTheme();
follow("api/v1/stream", onChange, onLink);
new Services().start();
new LateIncidents().start();
