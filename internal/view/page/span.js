import { copy, el } from "./dom.js";
import { count, duration, isoTime, number } from "./format.js";

// spanDetail returns what the panel shows about a span.
export function spanDetail(row, service, d, close) {
  return [
    el("div", { className: "title" }, el("h2", { tabIndex: -1 }, el("i", { className: "swatch" }), row.name), el("button", { type: "button", className: "close", "aria-label": "Close", title: "Close (Esc)", onclick: close }, "✕")),
    facts(row, service, d),
    ...section("Attributes", d.attributes.length, attributeTable(d.attributes)),
    ...section("Events", d.events.length, el("div", {}, ...d.events.map((e) => eventOf(e, row.start)))),
    ...section("Log lines", d.logs.length, el("div", {}, ...d.logs.map((l) => logOf(l, row.start)))),
    ...section("Links", d.links.length, el("div", {}, ...d.links.map(linkOf))),
    ...tracestate(d.tracestate),
    ...section("Resource", d.resource.length, attributeTable(d.resource), true),
  ];
}

function facts(row, service, d) {
  const pairs = [
    ["service", service],
    ["kind", row.kind],
    ["duration", duration(row.duration)],
    ["own time", duration(row.self)],
    ["started", isoTime(d.start) + "  (+" + duration(row.start) + ")"],
    ["status", d.status + (d.status_message ? ": " + d.status_message : ""), d.status === "error" ? "bad" : ""],
    ["span id", idButton(d.id)],
    d.parent_id && ["parent id", idButton(d.parent_id)],
    ["flags", flags(d.flags)],
    d.scope && ["scope", d.scope + (d.scope_version ? " " + d.scope_version : "")],
    d.dropped_by_app > 0 && ["left out", number(d.dropped_by_app) + " attributes, events or links, by the sender's limits", "warn"],
  ].filter(Boolean);
  return el("dl", { className: "facts" }, ...pairs.flatMap(([key, value, style]) => [el("dt", {}, key), el("dd", { className: style ?? "" }, value)]));
}

const idButton = (id) => el("button", { type: "button", className: "id", title: "Copy", onclick: () => copy(id, "Id") }, id);

// flags explains the low byte of OTLP's flags, the W3C trace flags.
function flags(bits) {
  const names = [bits & 1 && "sampled", bits & 2 && "random"].filter(Boolean);
  return (bits & 0xff).toString(16).padStart(2, "0") + (names.length ? "  " + names.join(", ") : "");
}

function section(title, n, body, folded = false) {
  if (!n) return [];
  return [el("details", { open: !folded, className: "section" }, el("summary", {}, title, el("span", { className: "n" }, number(n))), body)];
}

function attributeTable(attributes) {
  const sorted = attributes.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return el(
    "table",
    { className: "attributes" },
    el("tbody", {}, ...sorted.map((a) => el("tr", {}, el("th", { scope: "row" }, a.key), el("td", { className: "t-" + a.type, title: a.type }, a.value)))),
  );
}

const at = (time, start) => el("span", { className: "at" }, "+" + duration(time - start));

function eventOf(e, start) {
  const value = (key) => e.attributes.find((a) => a.key === key)?.value;
  if (e.name !== "exception") {
    return el("div", { className: "event-item" }, at(e.time, start), " ", el("b", {}, e.name), e.attributes.length > 0 && attributeTable(e.attributes));
  }
  const rest = e.attributes.filter((a) => !["exception.type", "exception.message", "exception.stacktrace"].includes(a.key));
  const stack = value("exception.stacktrace");
  return el(
    "div",
    { className: "event-item exception" },
    at(e.time, start),
    " ",
    el("b", { className: "bad" }, value("exception.type") ?? "exception"),
    " ",
    value("exception.message") ?? "",
    stack && el("details", {}, el("summary", {}, "stack trace"), el("pre", {}, stack)),
    rest.length > 0 && attributeTable(rest),
  );
}

// Severity numbers 13 to 16 are WARN, higher ones ERROR and FATAL.
const level = (n) => (n >= 17 ? "bad" : n >= 13 ? "warn" : "");

function logOf(l, start) {
  return el("div", { className: "log" }, at(l.time, start), " ", el("b", { className: level(l.level) }, l.severity), " ", el("span", { className: "body" }, l.body), l.attributes.length > 0 && el("details", {}, el("summary", {}, count(l.attributes.length, "attribute")), attributeTable(l.attributes)));
}

function linkOf(l) {
  const id = el("code", {}, l.trace_id.slice(0, 16) + "… / " + l.span_id);
  const target = l.known ? el("a", { href: `/trace/${l.trace_id}?span=${l.span_id}` }, id) : el("span", { title: l.trace_id }, id, " (not here)");
  return el("div", { className: "link-item" }, target, l.attributes.length > 0 && attributeTable(l.attributes));
}

function tracestate(t) {
  if (!t) return [];
  if (t.fault) {
    return section("tracestate", 1, el("div", {}, el("code", {}, t.header), el("p", { className: "bad" }, `position ${t.fault.position}: ${t.fault.rule}`)));
  }
  const rows = (t.members ?? []).flatMap((m) => {
    const row = el("tr", {}, el("th", { scope: "row" }, m.key), el("td", {}, m.value));
    return m.sampling ? [row, el("tr", {}, el("td", { colSpan: 2 }, sampling(m.sampling)))] : [row];
  });
  return section("tracestate", rows.length && t.members.length, el("table", { className: "attributes" }, el("tbody", {}, ...rows)));
}

function sampling(s) {
  const lines = [];
  if (s.threshold) {
    lines.push(["sampled with probability", shorten(100 * s.probability) + "%"], ["stands for (adjusted count)", shorten(s.adjusted_count) + (s.adjusted_count === 1 ? " span" : " spans")]);
  }
  if (s.randomness) lines.push(["randomness", s.randomness]);
  if (s.others) lines.push(["others", s.others]);
  if (s.invalid) lines.push(["invalid", s.invalid]);
  return el("dl", { className: "sampling" }, ...lines.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
}

const shorten = (n) => String(Number(n.toPrecision(4)));
