// How edgeobs itself is: the bar at the top, notices, and what to do when nothing has come yet.

import { byId, glyph, h, keyed, say } from "./dom.js";
import { clock, count, duration, value } from "./format.js";

/** The bar, the notices and the empty states. */
export function drawVitals(store) {
  const status = store.self;
  if (!status) return;
  const queue = status.queue_limit_bytes ? status.queue_bytes / status.queue_limit_bytes : 0;
  const full = status.series_limit ? status.series / status.series_limit : 0;
  const vitals = [
    { id: "samples/s", text: count(status.samples_per_s), title: `${count(status.samples_scored)} samples scored since start` },
    { id: "series", text: `${count(status.series)} of ${count(status.series_limit)}`, warn: full > 0.9, title: "live series, of as many as may live" },
    { id: "lag", text: value(status.lag_s, "s"), warn: status.lag_s > 1, title: "how long the last finished request had waited and worked" },
    { id: "queue", text: `${Math.round(100 * queue)} %`, warn: queue > 0.5, title: `${value(status.queue_bytes, "By")} of requests waiting` },
    { id: "up", text: duration(status.uptime_s), title: "since start" },
  ];
  keyed(byId("vitals"), vitals, ({ id }) => h("div", {}, h("dt", {}, id), h("dd")), (row, item) => {
    say(row.lastElementChild, item.text);
    row.title = item.title;
    row.classList.toggle("warn", Boolean(item.warn));
  });
  drawModes(status);
  drawNotices(status);
  drawEmpty(store, status);
  say(byId("about"), `edgeobs ${status.version}${status.decoder ? ` · decoder ${status.decoder}` : ""}`);
}

function drawModes(status) {
  const modes = [];
  if (status.paused) modes.push({ id: "paused", title: `${status.paused}: nothing is done, nothing is allowed` });
  modes.push(status.dry_run ? { id: "dry-run", title: "decisions are made and recorded; nothing is done to the cluster" } : { id: "acting", title: "allowed actions are done" });
  keyed(byId("modes"), modes, ({ id, title }) => h("span", { class: `mode mode-${id}`, title }, id), () => {});
}

function drawNotices(status) {
  const notices = status.notices.map((text) => ({ id: `!${text}`, text, kind: "warn" }));
  if (!status.store_healthy && !notices.length) notices.push({ id: "store", text: "Incidents and decisions cannot be written to disk. Detection goes on.", kind: "warn" });
  if (status.paused) notices.unshift({ id: `paused ${status.paused}`, text: `Nothing is done: ${status.paused}`, kind: "held" });
  if (status.warm) notices.push({ id: "warm", text: status.warm, kind: "info" });
  const make = ({ text, kind }) => h("p", { class: `notice notice-${kind}` }, glyph({ warn: "abnormal", held: "held" }[kind] ?? "info"), h("span", {}, text));
  keyed(byId("notices"), notices, make, (row, { text }) => say(row.lastElementChild, text));
}

function drawEmpty(store, status) {
  const nobody = store.nodes.size === 0;
  document.body.classList.toggle("fresh", nobody);
  empty("fleet-empty", nobody, () => teach(status.receivers));
  empty("incidents-empty", store.active().length === 0, () => [
    h("p", { class: "calm-line" }, glyph(nobody ? "info" : "resolved"), nobody ? "No incidents: nothing has been sent yet." : "Nothing is wrong that edgeobs can see."),
    h("p", { class: "faint" }, "An incident opens when series of a node become improbable for what they had shown before, or when a node or zone that used to speak goes silent."),
  ], String(nobody));
  empty("decisions-empty", store.decisions.size === 0, () => [
    h("p", { class: "faint" }, "No decisions yet. When an incident calls for an action, what the guard makes of it stands here: what would be done, what is held or denied, and why."),
  ]);
}

function empty(id, wanted, content, key = "") {
  const box = byId(id);
  box.hidden = !wanted;
  if (wanted && box.dataset.filled !== `yes${key}`) {
    box.replaceChildren(...content());
    box.dataset.filled = `yes${key}`;
  }
}

function teach(receivers) {
  const rows = receivers.map(({ protocol, address }) => [h("dt", {}, protocol), h("dd", {}, h("code", {}, address))]);
  const http = receivers.find(({ address }) => address.startsWith("http"))?.address ?? "http://127.0.0.1:4318";
  const base = http.replace(/\/v1\/metrics$/, "");
  return [
    h("p", {}, h("b", {}, "Nobody is sending yet."), " Point any OpenTelemetry sender or Prometheus' remote write here; nodes appear by themselves."),
    receivers.length ? h("dl", { class: "facts" }, rows) : "",
    h("p", { class: "faint" }, "An OpenTelemetry SDK needs one variable; ", h("code", {}, "host.name"), " (or ", h("code", {}, "k8s.node.name"), ") names the node:"),
    h("pre", {}, `OTEL_EXPORTER_OTLP_ENDPOINT=${base}\nOTEL_RESOURCE_ATTRIBUTES=host.name=edge-1`),
  ];
}

/** The connection: live, still connecting, or lost and since when. */
export function drawLink(state, heard, now) {
  const texts = { connecting: "connecting…", live: "live", lost: `disconnected · as of ${clock(heard)}`, quiet: `no news for ${duration(now - heard)}` };
  byId("link").dataset.link = state;
  say(byId("link-text"), heard || state === "connecting" ? texts[state] : "disconnected");
  document.body.classList.toggle("stale", state === "lost" || state === "quiet");
}
