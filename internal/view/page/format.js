// All times are nanoseconds.
const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];

// duration shows three digits: 1.23 ms, 12.3 ms, 123 ms.
export function duration(ns) {
  for (const [size, unit] of units) {
    if (Math.abs(ns) >= size * 0.9995) return digits(ns / size) + " " + unit;
  }
  return ns + " ns";
}

const digits = (n) => n.toFixed(Math.abs(n) < 9.995 ? 2 : Math.abs(n) < 99.95 ? 1 : 0);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

// A Date holds 8.64e15 ms either way; a sender's clock may say anything.
const date = (ns) => new Date(Math.min(Number(ns) / 1e6, 8.64e15));

export const time = (ns) => clock.format(date(ns));
export const dateTime = (ns) => full.format(date(ns));
export const isoTime = (ns) => date(ns).toISOString();

const grouped = new Intl.NumberFormat("en-US");
export const number = (n) => grouped.format(n);
export const count = (n, what) => number(n) + " " + what + (n === 1 ? "" : "s");

export function percent(part, whole) {
  if (!part) return "0%";
  const p = (100 * part) / whole;
  return (p < 10 ? p.toFixed(1) : p.toFixed(0)) + "%";
}

export function bytes(n) {
  return n < 1 << 20 ? (n / 1024).toFixed(0) + " KiB" : (n / (1 << 20)).toFixed(0) + " MiB";
}

// ticks returns round positions between from and to, about n of them.
export function ticks(from, to, n) {
  const rough = (to - from) / n;
  if (!(rough > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
  const all = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) all.push(at);
  return all;
}
