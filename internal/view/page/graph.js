import { colour, el, svg, swatch } from "./dom.js";
import { count, duration, number, percent } from "./format.js";

const box = { width: 190, height: 62, across: 150, down: 26 };

// graphView is who calls whom, as a picture and as a table.
export function graphView(app) {
  document.title = "Services · clew";
  const picture = el("div", { className: "picture scroll" });
  const table = el("div", { className: "scroll" });
  app.main.append(el("h1", {}, "Services"), picture, table);
  let last = "";

  async function refresh() {
    const data = await app.load("/api/graph?q=" + encodeURIComponent(app.query()));
    if (!data) return;
    const state = JSON.stringify(data);
    if (state === last) return;
    last = state;
    const nodes = data.nodes ?? [];
    const edges = data.edges ?? [];
    picture.replaceChildren(nodes.length ? draw(nodes, edges) : el("p", { className: "note" }, "No spans yet."));
    table.replaceChildren(edges.length ? tableOf(edges) : "");
  }
  refresh();
  return { refresh };
}

// layout puts each service one column to the right of its callers, and orders
// the columns so that callers and callees are near each other. An edge over
// several columns holds a place in each, so that it does not cross a service.
function layout(nodes, edges) {
  const byName = new Map(nodes.map((n) => [n.service, { ...n, column: 0 }]));
  const forward = withoutCircles(byName, edges);
  for (let round = 0, moved = true; moved && round < byName.size; round++) {
    moved = false;
    for (const [from, to] of forward) {
      if (to.column <= from.column) {
        to.column = from.column + 1;
        moved = true;
      }
    }
  }
  const columns = [];
  const add = (n) => {
    (columns[n.column] ??= []).push(n);
    n.left = [];
    n.right = [];
    n.row = columns[n.column].length;
    return n;
  };
  byName.forEach(add);
  const between = new Map(); // edge -> the places it holds
  for (const [from, to, edge] of forward) {
    const places = [];
    for (let column = from.column + 1; column < to.column; column++) places.push(add({ column, place: true }));
    between.set(edge, places);
    const chain = [from, ...places, to];
    chain.slice(1).forEach((n, i) => (chain[i].right.push(n), n.left.push(chain[i])));
  }
  const tallest = Math.max(...columns.map((c) => c.length));
  const mean = (list, row) => (list.length ? list.reduce((sum, n) => sum + n.row, 0) / list.length : row);
  for (let round = 0; round < 8; round++) {
    const side = round % 2 ? "right" : "left";
    for (const column of round % 2 ? columns.toReversed() : columns) {
      column.sort((a, b) => mean(a[side], a.row) - mean(b[side], b.row));
      column.forEach((n, i) => (n.row = i + (tallest - column.length) / 2));
    }
  }
  for (const n of columns.flat()) {
    n.x = 10 + n.column * (box.width + box.across);
    n.y = 10 + n.row * (box.height + box.down);
  }
  return { byName, between, columns: columns.length, rows: tallest };
}

// withoutCircles returns the edges with their nodes, without those that lead
// back to where a walk came from.
function withoutCircles(byName, edges) {
  const out = new Map();
  for (const e of edges) out.set(e.from, [...(out.get(e.from) ?? []), e]);
  const state = new Map();
  const kept = [];
  const walk = (name) => {
    state.set(name, "open");
    for (const e of out.get(name) ?? []) {
      if (state.get(e.to) === "open") continue;
      kept.push([byName.get(name), byName.get(e.to), e]);
      if (!state.has(e.to)) walk(e.to);
    }
    state.set(name, "done");
  };
  const called = new Set(edges.map((e) => e.to));
  const names = [...byName.keys()];
  for (const name of [...names.filter((n) => !called.has(n)), ...names]) if (!state.has(name)) walk(name);
  return kept;
}

function draw(nodes, edges) {
  const { byName, between, columns, rows } = layout(nodes, edges);
  const width = columns * (box.width + box.across) - box.across + 20;
  const height = rows * (box.height + box.down) - box.down + 20;
  const most = Math.max(1, ...edges.map((e) => e.calls));
  const root = svg("svg", { viewBox: `0 0 ${width} ${height + 20}`, width, height: height + 20, role: "img", "aria-label": "Graph of services; the table below holds the same" });
  for (const e of edges) root.append(edgeOf(e, byName.get(e.from), byName.get(e.to), between.get(e), most));
  for (const n of byName.values()) root.append(nodeOf(n));
  return root;
}

function edgeOf(e, from, to, places, most) {
  const middle = (n) => n.y + box.height / 2;
  let line, label;
  if (places) {
    const points = [[from.x + box.width, middle(from)], ...places.flatMap((p) => [[p.x, middle(p)], [p.x + box.width, middle(p)]]), [to.x, middle(to)]];
    line = "M" + points[0].join(" ");
    for (let i = 1; i < points.length; i++) {
      const [[x1, y1], [x2, y2]] = [points[i - 1], points[i]];
      line += i % 2 ? `C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}` : `L${x2} ${y2}`;
    }
    // Beside the end where fewer edges meet.
    label = to.left.length >= from.right.length ? { x: points[0][0] + 8, y: points[0][1] - 7, class: "edge-label start" } : { x: to.x - 12, y: middle(to) - 7, class: "edge-label" };
  } else {
    const [x1, y1, x2, y2, drop] = [from.x + box.width, middle(from), to.x, middle(to), box.height];
    line = `M${x1} ${y1}C${x1 + 90} ${y1 + drop} ${x2 - 90} ${y2 + drop} ${x2} ${y2}`;
    label = { x: (x1 + x2) / 2, y: (y1 + y2) / 2 + drop * 0.75 - 6, class: "edge-label" };
  }
  const [x, y] = [to.x, middle(to)];
  return svg(
    "g",
    { class: e.errors ? "edge bad" : "edge" },
    svg("title", {}, `${e.from} → ${e.to}\n${count(e.calls, "call")}, ${percent(e.errors, e.calls)} errors\np50 ${duration(e.p50)}, p95 ${duration(e.p95)}`),
    svg("path", { d: line, "stroke-width": 1.25 + 2.5 * Math.sqrt(e.calls / most) }),
    svg("path", { d: `M${x - 8} ${y - 4.5}L${x} ${y}L${x - 8} ${y + 4.5}`, class: "tip" }),
    svg("text", label, number(e.calls) + " · " + duration(e.p50)),
  );
}

function nodeOf(n) {
  const name = n.service.length > 22 ? n.service.slice(0, 21) + "…" : n.service || "unknown";
  const q = `service="${n.service.replaceAll('"', "")}"`;
  const link = svg("a", { href: "/?q=" + encodeURIComponent(q) });
  const group = svg(
    "g",
    { class: "service " + (n.external ? "external" : colour(n.service)), transform: `translate(${n.x} ${n.y})` },
    svg("title", {}, `${n.service}${n.external ? " (sends no spans)" : ""}\n${count(n.calls, "call")}, ${percent(n.errors, n.calls)} errors\np50 ${duration(n.p50)}, p95 ${duration(n.p95)}`),
    svg("rect", { width: box.width, height: box.height, rx: 6 }),
    svg("rect", { width: 5, height: box.height, rx: 2, class: "stripe" }),
    svg("text", { x: 16, y: 24, class: "service-name" }, name),
    svg("text", { x: 16, y: 45, class: n.errors ? "bad" : "" }, `${count(n.calls, "call")} · ${percent(n.errors, n.calls)} err`),
  );
  if (n.external) return group;
  link.append(group);
  return link;
}

function tableOf(edges) {
  const cell = (text, className = "") => el("td", { className }, text);
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...["From", "To", "Calls", "Errors", "p50", "p95", "Max"].map((h) => el("th", { scope: "col", className: h === "To" ? "left" : "" }, h)))),
    el(
      "tbody",
      {},
      ...edges.map((e) =>
        el("tr", {}, el("th", { scope: "row" }, swatch(e.from), e.from), el("td", { className: "left" }, swatch(e.to), e.to), cell(number(e.calls)), cell(percent(e.errors, e.calls), e.errors ? "bad" : "dim"), cell(duration(e.p50)), cell(duration(e.p95)), cell(duration(e.max))),
      ),
    ),
  );
}
