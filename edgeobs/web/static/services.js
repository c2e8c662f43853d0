// The service graph: who calls whom, callers to the left; what is surprising is marked and listed.

import { byId, glyph, h, s, say } from "./dom.js";
import { decades, value } from "./format.js";

const ASK_MS = 5000;
const WIDTH = 172, HEIGHT = 38, ACROSS = 84, DOWN = 22, EDGE = 8;

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const rate = (calls) => `${value(calls, "1")}/s`;
const sentence = (call) =>
  `${call.caller} → ${call.callee}: ${rate(call.rate)}, ${percent(call.error_ratio)} failed` +
  (call.p50_s === null ? "" : `, half within ${value(call.p50_s, "s")}`) +
  (call.p99_s === null ? "" : `, 99 % within ${value(call.p99_s, "s")}`) +
  (call.anomalous ? `, score ${decades(call.score)}` : "");

/** Asks for the graph while its section can be seen, and draws it when it has changed. */
export class Services {
  #box = byId("services-box");
  #drawn = "";
  #asking = false;

  start() {
    setInterval(() => this.ask(), ASK_MS);
    return this.ask();
  }

  async ask() {
    if (this.#asking || document.hidden) return;
    this.#asking = true;
    try {
      const answer = await fetch("api/v1/services");
      const text = answer.ok ? await answer.text() : "";
      if (text && text !== this.#drawn) {
        this.#drawn = text;
        this.#draw(JSON.parse(text));
      }
    } catch {
      // The bar says that there is no connection.
    }
    this.#asking = false;
  }

  #draw({ services, calls }) {
    this.#box.hidden = !services.length;
    const odd = calls.filter((call) => call.anomalous);
    say(byId("services-count"), services.length ? `${services.length} services, ${calls.length} edges${odd.length ? `, ${odd.length} abnormal` : ""}` : "");
    byId("services-graph").replaceChildren(picture(services, calls));
    byId("services-odd").replaceChildren(...odd.map((call) => h("li", {}, glyph("abnormal"), h("span", {}, sentence(call)))));
  }
}

function picture(services, calls) {
  const at = new Map(services.map((each) => [each.name, { x: EDGE + each.column * (WIDTH + ACROSS), y: EDGE + each.row * (HEIGHT + DOWN) }]));
  const places = [...at.values()];
  const width = Math.max(0, ...places.map(({ x }) => x)) + WIDTH + EDGE;
  const height = Math.max(0, ...places.map(({ y }) => y)) + HEIGHT + EDGE;
  const most = Math.max(1e-9, ...calls.map((call) => call.rate));
  const lines = [...calls].sort((a, b) => a.anomalous - b.anomalous).map((call) => line(call, at, most)); // the marked on top
  const boxes = services.map((each) => box(each, at.get(each.name)));
  const label = `Service graph: ${services.length} services, ${calls.filter((call) => call.anomalous).length} abnormal edges`;
  return s("svg", { class: "services-svg", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, lines, boxes);
}

function line(call, at, most) {
  const from = at.get(call.caller), to = at.get(call.callee);
  const wide = 1 + 3 * Math.sqrt(call.rate / most);
  const y1 = from.y + HEIGHT / 2, y2 = to.y + HEIGHT / 2;
  const x1 = from.x + WIDTH, x2 = to.x;
  const bend = Math.max(36, Math.abs(x2 - x1) / 2);
  // Whoever calls itself, or back to the left, goes round below.
  const path = x2 > x1
    ? `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`
    : `M${x1} ${y1} C${x1 + bend} ${y1 + HEIGHT} ${x2 - bend} ${y2 + HEIGHT} ${x2} ${y2}`;
  const mark = call.anomalous ? s("text", { class: "call-score", x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 6, "text-anchor": "middle" }, `${decades(call.score)} !`) : null;
  return s(
    "g",
    { class: `call${call.anomalous ? " odd" : ""}` },
    s("path", { d: path, "stroke-width": wide.toFixed(1) }, s("title", {}, sentence(call))),
    s("path", { class: "call-head", d: `M${x2 - 7} ${y2 - 4.5} L${x2} ${y2} L${x2 - 7} ${y2 + 4.5} Z` }),
    mark,
  );
}

function box(service, { x, y }) {
  const name = service.name.length > 22 ? `${service.name.slice(0, 21)}…` : service.name;
  const below = service.rate ? `${rate(service.rate)} · ${percent(service.error_ratio)} failed` : "calls others";
  return s(
    "g",
    { class: `service${service.anomalous ? " odd" : ""}`, transform: `translate(${x} ${y})` },
    s("title", {}, `${service.name}: ${below}`),
    s("rect", { width: WIDTH, height: HEIGHT, rx: 6 }),
    s("text", { class: "service-name", x: 10, y: 16 }, name),
    s("text", { class: "service-facts", x: 10, y: 31 }, below),
  );
}
