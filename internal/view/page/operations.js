import { el, swatch } from "./dom.js";
import { duration, number, percent } from "./format.js";

const columns = [
  ["operation", "Operation"],
  ["self", "Own time"], // what the page is for: in sight on a telephone too
  ["calls", "Calls"],
  ["errors", "Errors"],
  ["p50", "p50"],
  ["p95", "p95"],
  ["max", "Max"],
];
const most = 500; // rows

// operationsView answers which calls take the time.
export function operationsView(app) {
  document.title = "Calls · clew";
  let sort = "self";
  let all = [];
  const head = el("tr");
  const body = el("tbody");
  const note = el("p", { className: "note" });
  app.main.append(
    el("h1", {}, "Which calls take the time"),
    el("p", { className: "note" }, "Own time is what a span does not spend waiting for its children, summed over all calls of the selected traces."),
    el("div", { className: "scroll" }, el("table", {}, el("thead", {}, head), body)),
    note,
  );

  function render() {
    const total = all.reduce((sum, o) => sum + o.self, 0);
    const key = (o) => (sort === "errors" ? o.errors / o.calls : o[sort]);
    const sorted = sort === "operation" ? all.toSorted((a, b) => (a.service + " " + a.name).localeCompare(b.service + " " + b.name)) : all.toSorted((a, b) => key(b) - key(a));
    head.replaceChildren(
      ...columns.map(([id, label]) =>
        el("th", { scope: "col", "aria-sort": sort === id ? (id === "operation" ? "ascending" : "descending") : null }, el("button", { type: "button", onclick: () => ((sort = id), render()) }, label)),
      ),
    );
    const longest = all.reduce((most, o) => Math.max(most, o.self), 1);
    body.replaceChildren(...sorted.slice(0, most).map((o) => row(o, total, longest)));
    note.textContent = all.length > most ? `${number(all.length - most)} more` : all.length ? "" : "No spans yet.";
  }

  async function refresh() {
    const data = await app.load("/api/operations?q=" + encodeURIComponent(app.query()));
    if (!data) return;
    all = data.operations;
    render();
  }
  refresh();
  return { refresh };
}

function row(o, total, longest) {
  const q = `service="${o.service.replaceAll('"', "")}" name="${o.name.replaceAll('"', "")}"`;
  const share = el("i", { className: "share" });
  share.style.width = (100 * o.self) / longest + "%";
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, swatch(o.service), el("b", {}, o.service), " ", el("a", { href: "/?q=" + encodeURIComponent(q) }, o.name)),
    el("td", { className: "own" }, el("div", {}, el("span", {}, duration(o.self)), el("span", { className: "dim" }, percent(o.self, total)), share)),
    el("td", {}, number(o.calls)),
    el("td", { className: o.errors ? "bad" : "dim" }, percent(o.errors, o.calls)),
    el("td", {}, duration(o.p50)),
    el("td", {}, duration(o.p95)),
    el("td", {}, duration(o.max)),
  );
}
