import { colour, copy, el, get, put, say, swatch } from "./dom.js";
import { count, dateTime, duration, number } from "./format.js";
import { spanDetail } from "./span.js";
import { waterfall } from "./waterfall.js";

// traceView is one trace: /trace/<id>?span=<id>.
export function traceView(app) {
  const id = location.pathname.split("/")[2];
  document.title = id.slice(0, 8) + " · clew";
  const head = el("div", { className: "head" });
  const split = el("div", { className: "split" });
  app.main.append(head, split);
  const detail = el("aside", { className: "detail", hidden: true, "aria-label": "Span" });
  let trace;
  let fall;
  let busy = false;

  async function refresh() {
    if (busy) return;
    busy = true;
    const data = await app.load("/api/traces/" + id);
    busy = false;
    if (!data || data.version === trace?.version) return;
    const firstTime = !trace;
    trace = data;
    renderHead();
    if (firstTime) {
      fall = waterfall(trace, { select, open: () => detail.querySelector("h2")?.focus() });
      split.append(fall.element, detail);
      const wanted = new URLSearchParams(location.search).get("span");
      fall.start(wanted);
      requestAnimationFrame(() => performance.mark("trace-shown"));
    } else {
      fall.update(trace);
    }
  }

  function renderHead() {
    document.title = trace.name + " · clew";
    const root = trace.rows.find((r) => r.parent < 0) ?? trace.rows[0];
    const errors = trace.errors ? el("span", { className: "bad" }, "✕ " + count(trace.errors, "error")) : null;
    put(
      head,
      el("h1", {}, swatch(trace.service), el("b", {}, trace.service || "unknown service"), " ", trace.name),
      el(
        "div",
        { className: "facts" },
        el("button", { type: "button", className: "id", title: "Copy the trace id", onclick: () => copy(trace.id, "Trace id") }, trace.id),
        el("span", {}, dateTime(trace.start)),
        el("strong", {}, duration(trace.duration)),
        el("span", {}, count(trace.spans, "span")),
        errors,
        trace.partial && root.orphan && el("span", { className: "warn" }, "the root span was not received"),
        trace.dropped > 0 && el("span", { className: "warn" }, number(trace.dropped) + " dropped: the trace is too large"),
        el("span", { className: "legend" }, ...trace.services.slice(0, 12).map((s) => el("span", {}, swatch(s.service), s.service))),
        el("span", { className: "legend" }, el("i", { className: "critical-key" }), "critical path"),
        el("button", { type: "button", onclick: copyJSON, title: "Copy as OTLP JSON (c)" }, "Copy JSON"),
      ),
      trace.free_logs.length > 0 && freeLogs(trace.free_logs),
    );
  }

  async function select(row) {
    if (!row) {
      detail.hidden = true;
      app.replace("/trace/" + id);
      return;
    }
    app.replace(`/trace/${id}?span=${row.id}`);
    try {
      const data = await get(`/api/traces/${id}/spans/${row.id}`);
      if (fall.selected()?.id !== row.id) return;
      detail.replaceChildren(...spanDetail(row, trace.names[row.service], data, () => fall.deselect()));
      detail.className = "detail " + colour(trace.names[row.service]);
      detail.scrollTop = 0;
      detail.hidden = false;
      fall.reveal();
    } catch (error) {
      say(error.message);
    }
  }

  async function copyJSON() {
    try {
      await copy(JSON.stringify(await get(`/api/traces/${id}/otlp`), null, 2), "Trace");
    } catch (error) {
      say(error.message);
    }
  }

  refresh();
  return {
    refresh,
    close: () => fall?.close(),
    key(event) {
      if (event.key === "c") {
        copyJSON();
        return true;
      }
      if (event.key === "Escape") {
        if (fall?.escape()) return true;
        app.go("/");
        return true;
      }
      return fall?.key(event) ?? false;
    },
  };
}

function freeLogs(lines) {
  return el("details", { className: "free" }, el("summary", {}, count(lines.length, "log line") + " outside any span"), ...lines.slice(0, 200).map((l) => el("div", { className: "log" }, el("b", {}, l.severity), " ", l.body)));
}
