// A plot of one series: its value, the range that was expected, and beneath it how surprising each sample was.

import { h, s } from "./dom.js";
import { clock, decades, digits, range, scale, tick, value } from "./format.js";

const LEFT = 58;
const RIGHT = 10;
const TOP = 14;
const MAIN = 104;
const GAP = 8;
const STRIP = 28;
const AXIS = 18;
const HEIGHT = TOP + MAIN + GAP + STRIP + AXIS;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

const known = (x) => typeof x === "number" && Number.isFinite(x);

/** An element that shows `evidence` and is drawn again by `update(evidence, openScore)`. */
export function plot() {
  const canvas = h("div", { class: "plot-canvas", tabindex: "0", role: "slider" });
  const readout = h("p", { class: "readout" });
  const element = h("div", { class: "plot" }, canvas, readout);
  const state = { evidence: null, openScore: null, at: -1, map: null };

  const draw = () => {
    if (state.evidence && canvas.clientWidth) render(canvas, readout, state);
  };
  const point = (event) => show(canvas, readout, state, nearest(state, event.clientX - canvas.getBoundingClientRect().left));
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", () => document.activeElement !== canvas && show(canvas, readout, state, -1));
  canvas.addEventListener("blur", () => show(canvas, readout, state, -1));
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && show(canvas, readout, state, peak(state)));
  canvas.addEventListener("keydown", (event) => step(event, canvas, readout, state));
  new ResizeObserver(draw).observe(canvas);

  element.update = (evidence, openScore) => {
    state.evidence = evidence;
    state.openScore = openScore;
    draw();
  };
  return element;
}

function step(event, canvas, readout, state) {
  const last = state.evidence.points.length - 1;
  const at = state.at < 0 ? peak(state) : state.at;
  const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowDown: at - 1, ArrowUp: at + 1, PageDown: at - 10, PageUp: at + 10, Home: 0, End: last };
  if (!(event.key in moves)) return;
  event.preventDefault();
  show(canvas, readout, state, Math.max(0, Math.min(last, moves[event.key])));
}

const peak = ({ evidence }) => evidence.points.reduce((best, p, i, all) => ((p.score ?? 0) > (all[best].score ?? 0) ? i : best), 0);

function nearest({ evidence, map }, x) {
  if (!map) return -1;
  const t = map.time(x);
  return evidence.points.reduce((best, p, i, all) => (Math.abs(p.time_s - t) < Math.abs(all[best].time_s - t) ? i : best), 0);
}

function extent(points) {
  const values = points.map((p) => p.value).filter(known);
  if (!values.length) return [0, 1];
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const room = 1.5 * Math.max(high - low, 0.05 * Math.max(Math.abs(low), Math.abs(high)), 1e-12);
  // A range far wider than what was seen would flatten the line: it may run off the plot instead.
  const ends = points.flatMap((p) => [p.low, p.high]).filter(known);
  const clipped = ends.map((x) => Math.max(low - room, Math.min(high + room, x)));
  [low, high] = [Math.min(low, ...clipped), Math.max(high, ...clipped)];
  const pad = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low < 0 || low - pad >= 0 ? low - pad : 0, high + pad];
}

// Round numbers of the unit they are written in: bytes step by powers of two.
function ticks(low, high, about, unit) {
  const raw = (high - low) / about;
  const base = /^By/.test(unit) ? 1024 ** Math.floor(Math.log2(Math.max(high, 1)) / 10) : 1;
  const power = base * 10 ** Math.floor(Math.log10(raw / base));
  const size = [1, 2, 2.5, 5, 10].map((x) => x * power).find((x) => x >= raw);
  const out = [];
  for (let i = Math.ceil(low / size); i * size <= high; i++) out.push(i * size);
  return out;
}

function timeTicks(from, to, width) {
  const step = TIME_STEPS.find((x) => (to - from) / x <= width / 90) ?? 86400;
  const zone = new Date(from * 1000).getTimezoneOffset() * 60;
  const out = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) out.push(t);
  return [out, step];
}

// The points in runs without a gap: where far longer than usual passed, or nothing is known, the line breaks.
function runs(points, has) {
  const gaps = points.slice(1).map((p, i) => p.time_s - points[i].time_s).sort((a, b) => a - b);
  const long = 5 * (gaps[gaps.length >> 1] ?? Infinity);
  const out = [];
  points.forEach((p, i) => {
    if (!has(p)) return;
    const joined = i > 0 && has(points[i - 1]) && p.time_s - points[i - 1].time_s <= long;
    if (joined) out.at(-1).push(p);
    else out.push([p]);
  });
  return out;
}

const path = (pairs) => pairs.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function render(canvas, readout, state) {
  const { evidence, openScore } = state;
  const { points, unit } = evidence;
  const width = canvas.clientWidth;
  const inner = Math.max(40, width - LEFT - RIGHT);
  const [from, to] = [points[0].time_s, points.at(-1).time_s];
  const span = to - from || 1;
  const [low, high] = extent(points);
  const top = Math.max(...points.map((p) => p.score ?? 0), known(openScore) ? 1.5 * openScore : 0, 1);
  const map = {
    x: (t) => LEFT + ((t - from) / span) * inner,
    time: (x) => from + ((x - LEFT) / inner) * span,
    y: (v) => TOP + MAIN - ((v - low) / (high - low)) * MAIN,
    base: TOP + MAIN + GAP + STRIP,
    bar: (score) => (Math.min(score, top) / top) * STRIP,
  };
  state.map = map;
  const yTicks = ticks(low, high, 4, unit);
  const write = scale(unit, Math.max(Math.abs(low), Math.abs(high)));
  const [xTicks, timeStep] = timeTicks(from, to, inner);

  const grid = yTicks.map((v) => [
    s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: map.y(v), y2: map.y(v) }),
    s("text", { class: "axis", x: LEFT - 6, y: map.y(v) + 3.5, "text-anchor": "end" }, write(v)),
  ]);
  const times = xTicks.map((t) => [
    s("line", { class: "grid", x1: map.x(t), x2: map.x(t), y1: TOP, y2: map.base }),
    s("text", { class: "axis", x: map.x(t), y: HEIGHT - 4, "text-anchor": anchor(map.x(t), width) }, tick(t, timeStep)),
  ]);
  const inset = s("svg", { x: LEFT, y: TOP, width: inner, height: MAIN, viewBox: `${LEFT} ${TOP} ${inner} ${MAIN}`, preserveAspectRatio: "none" }, band(points, map), line(points, map));
  const picture = s(
    "svg",
    { class: "plot-svg", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" },
    s("desc", {}, summary(evidence)),
    grid,
    times,
    inset,
    onset(evidence, map, from, to, width),
    strip(points, map, inner / points.length, openScore, width),
    s("g", { class: "cursor" }),
  );
  canvas.replaceChildren(picture);
  describe(canvas, state, summary(evidence));
  show(canvas, readout, state, Math.min(state.at, points.length - 1));
}

const anchor = (x, width) => (x < LEFT + 20 ? "start" : x > width - RIGHT - 24 ? "end" : "middle");

function band(points, map) {
  return runs(points, (p) => known(p.low) && known(p.high)).map((run) => {
    const upper = run.map((p) => [map.x(p.time_s), map.y(p.high)]);
    const lower = run.map((p) => [map.x(p.time_s), map.y(p.low)]).reverse();
    return s("path", { class: "band", d: `${path([...upper, ...lower])}Z` });
  });
}

function line(points, map) {
  const parts = runs(points, (p) => known(p.value)).map((run) =>
    s("path", { class: "value", d: path(run.map((p) => [map.x(p.time_s), map.y(p.value)])) }),
  );
  const outside = points.filter((p) => known(p.value) && known(p.low) && (p.value < p.low || p.value > p.high));
  const dots = outside.map((p) => s("circle", { class: "outside", cx: map.x(p.time_s), cy: map.y(p.value), r: points.length > 90 ? 1.4 : 2.2 }));
  return [...parts, ...dots];
}

function strip(points, map, pitch, openScore, width) {
  const wide = Math.max(1, Math.min(6, pitch * 0.8));
  const bars = points.filter((p) => p.score > 0).map((p) => {
    const tall = map.bar(p.score);
    const high = known(openScore) && p.score >= openScore;
    return s("rect", { class: high ? "bar high" : "bar", x: map.x(p.time_s) - wide / 2, y: map.base - tall, width: wide, height: tall });
  });
  const floor = s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: map.base, y2: map.base });
  const label = s("text", { class: "axis", x: LEFT - 6, y: HEIGHT - 4, "text-anchor": "end" }, "score");
  if (!known(openScore)) return [bars, floor, label];
  const y = map.base - map.bar(openScore);
  const opens = s("text", { class: "axis", x: LEFT - 6, y: y + 3.5, "text-anchor": "end" }, `opens ${digits(openScore)}`);
  return [bars, floor, label, opens, s("line", { class: "threshold", x1: LEFT, x2: width - RIGHT, y1: y, y2: y })];
}

function onset(evidence, map, from, to, width) {
  const t = evidence.onset_s;
  if (!known(t) || t < from || t > to) return null;
  const x = map.x(t);
  const late = x > width - 90;
  return s(
    "g",
    { class: "onset" },
    s("line", { x1: x, x2: x, y1: TOP - 4, y2: map.base }),
    s("text", { class: "axis", x: x + (late ? -4 : 4), y: 10, "text-anchor": late ? "end" : "start" }, "onset"),
  );
}

function summary(evidence) {
  const expected = known(evidence.low) ? `, expected ${range(evidence.low, evidence.high, evidence.unit)}` : "";
  return `${evidence.name}: ${value(evidence.value, evidence.unit)}${expected} at its most surprising, score ${decades(evidence.score)}`;
}

function pointText(p, unit) {
  if (!known(p.score) && !known(p.low)) return [clock(p.time_s), value(p.value, unit), "told raw: no range, no score"];
  const expected = known(p.low) ? `expected ${range(p.low, p.high, unit)}` : "nothing expected yet";
  return [clock(p.time_s), value(p.value, unit), expected, `score ${decades(p.score)}`];
}

function describe(canvas, { evidence }, text) {
  const last = evidence.points.length - 1;
  canvas.setAttribute("aria-label", `Plot of ${evidence.name}; arrow keys read its samples`);
  canvas.setAttribute("aria-valuemin", "0");
  canvas.setAttribute("aria-valuemax", String(last));
  canvas.setAttribute("aria-valuenow", String(last));
  canvas.setAttribute("aria-valuetext", text);
}

function show(canvas, readout, state, at) {
  const { evidence, map } = state;
  if (!map) return;
  state.at = at;
  const cursor = canvas.querySelector(".cursor");
  const p = evidence.points[at];
  cursor.replaceChildren();
  if (!p) {
    readout.replaceChildren(h("span", { class: "key-value" }, "value"), h("span", { class: "key-band" }, "expected range"), h("span", { class: "key-outside" }, "outside it"));
    return;
  }
  cursor.append(s("line", { x1: map.x(p.time_s), x2: map.x(p.time_s), y1: TOP, y2: map.base }));
  if (known(p.value)) cursor.append(s("circle", { cx: map.x(p.time_s), cy: map.y(p.value), r: 3.6 }));
  const [time, ...rest] = pointText(p, evidence.unit);
  readout.replaceChildren(h("b", {}, time), ...rest.map((text) => h("span", {}, text)));
  canvas.setAttribute("aria-valuenow", String(at));
  canvas.setAttribute("aria-valuetext", [time, ...rest].join(", "));
}
