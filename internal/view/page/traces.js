import { colour, el, services, swatch } from "./dom.js";
import { count, dateTime, duration, number, time } from "./format.js";

const pageSize = 100;

// tracesView is the list, newest first.
export function tracesView(app) {
  const q = app.query();
  document.title = q ? q + " · clew" : "Traces · clew";
  const facets = el("div", { className: "facets", role: "group", "aria-label": "Filters" });
  const list = el("div", { className: "list", "aria-label": "Traces" });
  const older = el("button", { type: "button", className: "older", hidden: true, onclick: loadOlder }, "Show older traces");
  const empty = el("div", { className: "empty", hidden: true });
  app.main.append(facets, list, empty, older);

  const rows = new Map(); // trace id -> { element, state }
  let shown = [];
  let first = true;
  let busy = false;
  let again = false;

  async function refresh() {
    if (busy) {
      again = true; // one more look, after this one
      return;
    }
    busy = true;
    const limit = Math.min(1000, Math.max(pageSize, shown.length));
    const data = await app.load(`/api/traces?limit=${limit}&q=${encodeURIComponent(q)}`);
    busy = false;
    if (data) {
      shown = data.traces;
      render(data.more);
    }
    if (again) {
      again = false;
      refresh();
    }
  }

  async function loadOlder() {
    const before = shown.at(-1).sequence;
    const data = await app.load(`/api/traces?limit=${pageSize}&before=${before}&q=${encodeURIComponent(q)}`);
    if (!data) return;
    shown = shown.concat(data.traces);
    render(data.more && shown.length < 1000);
  }

  function render(more) {
    const longest = Math.max(1, ...shown.map((t) => t.duration));
    const keep = new Set();
    let at = null; // the element before the next
    for (const trace of shown) {
      keep.add(trace.id);
      const state = JSON.stringify(trace);
      let row = rows.get(trace.id);
      if (!row || row.state !== state) {
        const element = rowOf(trace);
        if (!row && !first) element.classList.add("new");
        if (row) {
          const focused = row.element === document.activeElement;
          row.element.replaceWith(element);
          if (focused) element.focus();
        }
        row = { element, state };
        rows.set(trace.id, row);
      }
      row.element.querySelector(".bar").style.width = (100 * trace.duration) / longest + "%";
      const next = at ? at.nextSibling : list.firstChild;
      if (next !== row.element) list.insertBefore(row.element, next);
      at = row.element;
    }
    for (const [id, row] of rows) {
      if (!keep.has(id)) {
        row.element.remove();
        rows.delete(id);
      }
    }
    first = false;
    older.hidden = !more;
    renderFacets();
    renderEmpty();
  }

  function renderFacets() {
    const active = document.activeElement?.dataset.term;
    const terms = [["error", "errors"], ["duration>100ms", "over 100 ms"], ["duration>1s", "over 1 s"]].map(([term, label]) => chip(term, label));
    facets.replaceChildren(...terms, ...services().slice(0, 40).map((name) => chip("service=" + quote(name), name, swatch(name))));
    if (active) [...facets.children].find((c) => c.dataset.term === active)?.focus();
  }

  function chip(term, label, mark) {
    const words = (" " + q + " ").includes(" " + term + " ");
    const toggled = words ? (" " + q + " ").replace(" " + term + " ", " ").trim() : (q + " " + term).trim();
    return el("button", { type: "button", className: "chip", "aria-pressed": String(words), "data-term": term, onclick: () => app.search(toggled) }, mark, label);
  }

  function renderEmpty() {
    empty.hidden = shown.length > 0;
    if (shown.length) return;
    if (q) {
      empty.replaceChildren(el("p", {}, "No trace fits "), el("code", {}, q));
      return;
    }
    empty.replaceChildren(
      el("p", {}, "Waiting for traces. Send some:"),
      el("pre", {}, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 your-program"),
    );
  }

  function move(step) {
    const links = [...list.children];
    const now = links.indexOf(document.activeElement);
    links[Math.max(0, Math.min(links.length - 1, now + step))]?.focus();
  }

  refresh();
  return {
    refresh,
    key(event) {
      switch (event.key) {
        case "j":
        case "ArrowDown":
          move(1);
          return true;
        case "k":
        case "ArrowUp":
          move(-1);
          return true;
        case "Escape":
          if (q) app.search("");
          return true;
      }
      return false;
    },
  };
}

const quote = (value) => (/[\s"]/.test(value) ? '"' + value.replaceAll('"', "") + '"' : value);

function rowOf(t) {
  const errors = t.errors ? el("span", { className: "bad", title: count(t.errors, "failed span") }, "✕ " + number(t.errors)) : el("span");
  return el(
    "a",
    { className: "row", href: "/trace/" + t.id, "data-trace": t.id },
    el("span", { className: "when", title: dateTime(t.start) }, time(t.start)),
    el("span", { className: "what" }, swatch(t.service), el("b", {}, t.service || "unknown service"), " ", el("span", { className: "name" }, t.name), t.partial && el("em", { title: "the root span was not received" }, " part")),
    el("span", { className: "long" }, el("i", { className: "bar " + colour(t.service) }), el("span", {}, duration(t.duration))),
    errors,
    el("span", { className: "amount" }, count(t.spans, "span")),
    el("span", { className: "who", title: t.services.map((s) => s.service + " " + s.spans).join("\n") }, ...t.services.slice(0, 8).map((s) => swatch(s.service)), t.services.length > 8 && "+" + (t.services.length - 8)),
    el("code", { className: "id" }, t.id.slice(0, 8)),
  );
}
