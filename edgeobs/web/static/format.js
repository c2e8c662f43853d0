// Numbers, units and times for people. Everything unknown is a dash.

const DASH = "–";
const SI = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
const IEC = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]];
const TIME = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
const UCUM = { "1": "", Cel: "°C", "{count}": "", By: "B", bit: "bit", Hz: "Hz", "%": "%" };

const known = (x) => typeof x === "number" && Number.isFinite(x);
const natural = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Order of names as people have it: edge-2 before edge-10. */
export const byName = (a, b) => natural.compare(a, b);

/** Three significant digits, no exponent where it can be helped. */
export function digits(x) {
  if (!known(x)) return DASH;
  const size = Math.abs(x);
  if (size !== 0 && size < 1e-4) return x.toExponential(1);
  if (size >= 100) return String(Math.round(x));
  return String(Number(x.toPrecision(3)));
}

/** A score in decades: 7.4. */
export const decades = (x) => (known(x) ? x.toFixed(1) : DASH);

/** A count: 950, 12.3k, 4.5M. */
export function count(x) {
  return known(x) ? scaled(x, SI).join("") : DASH;
}

function scaled(x, steps, by = Math.abs(x)) {
  const [size, name] = steps.find(([step]) => by >= step * 0.9995) ?? steps.at(-1);
  return [digits(x / size), name];
}

/**
 * How to write values of a unit, all on the scale of the largest: a function of the value.
 * Bytes get binary prefixes, seconds go down to nanoseconds, other units SI prefixes; UCUM annotations in
 * braces are dropped.
 */
export function scale(unit, largest) {
  const [base, per = ""] = split(unit);
  const by = Math.abs(largest) || 1;
  const [steps, named] = base === "By" ? [IEC, true] : base === "s" && !per ? [TIME, true] : [SI, false];
  const [size, prefix] = steps.find(([step]) => by >= step * 0.9995) ?? steps.at(-1);
  const suffix = named ? prefix + per : prefix + (UCUM[base] ?? base) + per;
  return (x) => (known(x) ? `${digits(x / size)}${suffix ? ` ${suffix}` : ""}` : DASH);
}

function split(unit) {
  const plain = unit.replace(/\{[^}]*\}/g, "");
  const at = plain.indexOf("/");
  return at < 0 ? [plain] : [plain.slice(0, at), plain.slice(at)];
}

/** One value with its unit. */
export const value = (x, unit) => scale(unit, known(x) ? x : 0)(x);

/** A range with its unit, on one scale. */
export function range(low, high, unit) {
  if (!known(low) || !known(high)) return DASH;
  const write = scale(unit, Math.max(Math.abs(low), Math.abs(high)));
  return `${write(low)} to ${write(high)}`;
}

/** Seconds as people say them: 8 s, 2 m 10 s, 3 h 4 m, 2 d 3 h. */
export function duration(seconds) {
  if (!known(seconds)) return DASH;
  const t = Math.max(0, Math.floor(seconds));
  const pair = (a, an, b, bn) => (b ? `${a} ${an} ${b} ${bn}` : `${a} ${an}`);
  if (t < 60) return `${t} s`;
  if (t < 3600) return pair(Math.floor(t / 60), "m", t % 60, "s");
  if (t < 86400) return pair(Math.floor(t / 3600), "h", Math.floor((t % 3600) / 60), "m");
  return pair(Math.floor(t / 86400), "d", Math.floor((t % 86400) / 3600), "h");
}

const hours = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const timeOfDay = new Intl.DateTimeFormat(undefined, hours);
const minuteOfDay = new Intl.DateTimeFormat(undefined, { ...hours, second: undefined });
const dayAndTime = new Intl.DateTimeFormat(undefined, { ...hours, month: "short", day: "numeric" });

/** Local time of day; with the day when it is not today. */
export function clock(seconds) {
  if (!known(seconds)) return DASH;
  const then = new Date(seconds * 1000);
  return (then.toDateString() === new Date().toDateString() ? timeOfDay : dayAndTime).format(then);
}

/** Local time of day for an axis whose ticks are so many seconds apart. */
export const tick = (seconds, step) => (step % 60 ? timeOfDay : minuteOfDay).format(new Date(seconds * 1000));

/** Local date and time in full, for tooltips. */
export const inFull = (seconds) => (known(seconds) ? new Date(seconds * 1000).toLocaleString() : "");

/** "1 node", "3 nodes". */
export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
