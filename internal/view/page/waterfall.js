import { colour, el } from "./dom.js";
import { duration, ticks } from "./format.js";

const rowHeight = 26; // pixels, as in style.css
const spare = 12; // rows drawn above and below what is seen

// waterfall shows the rows of a trace as a tree beside a timeline. Only the
// rows in sight are elements.
export function waterfall(trace, on) {
  const axis = el("div", { className: "axis" });
  const canvas = el("div", { className: "canvas" });
  const scroller = el("div", { className: "rows", tabIndex: 0, role: "tree", "aria-label": "Spans" }, canvas);
  const element = el("div", { className: "fall" }, axis, scroller);

  let visible = []; // indexes of rows that are not folded away
  let place = new Map(); // index -> position in visible
  let hasChildren = new Set();
  const folded = new Set(); // span ids
  let selected = -1; // index
  let range = null; // [from, to] in nanoseconds, or the whole trace
  let drawn = new Map(); // position in visible -> element

  function arrange() {
    hasChildren = new Set(trace.rows.map((r) => r.parent));
    visible = [];
    place = new Map();
    let below = Infinity; // depth of a folded row
    trace.rows.forEach((row, i) => {
      if (row.depth > below) return;
      below = folded.has(row.id) ? row.depth : Infinity;
      place.set(i, visible.length);
      visible.push(i);
    });
    canvas.style.height = visible.length * rowHeight + "px";
    redraw();
  }

  function redraw() {
    canvas.replaceChildren();
    drawn = new Map();
    draw();
    drawAxis();
  }

  // draw adds the rows that came into sight, and removes those that left it.
  function draw() {
    const top = Math.floor(scroller.scrollTop / rowHeight);
    const height = Math.ceil(scroller.clientHeight / rowHeight);
    const from = Math.max(0, top - spare);
    const to = Math.min(visible.length, top + height + spare);
    for (const [at, row] of drawn) {
      if (at >= from && at < to) continue;
      row.remove();
      drawn.delete(at);
    }
    const above = from < Math.min(...drawn.keys()); // or below: elements stay in order
    const added = [];
    for (let at = from; at < to; at++) {
      if (drawn.has(at)) continue;
      const row = drawRow(at);
      drawn.set(at, row);
      added.push(row);
    }
    if (above) canvas.prepend(...added);
    else canvas.append(...added);
    if (selected >= 0) scroller.setAttribute("aria-activedescendant", "s" + trace.rows[selected].id);
    else scroller.removeAttribute("aria-activedescendant");
  }

  const span = () => range ?? [0, Math.max(1, trace.duration)];
  const percent = (ns) => {
    const [from, to] = span();
    return (100 * (ns - from)) / (to - from);
  };
  const clamp = (p) => Math.max(0, Math.min(100, p));

  function drawRow(at) {
    const i = visible[at];
    const r = trace.rows[i];
    const service = trace.names[r.service];
    const open = !folded.has(r.id);
    const parent = hasChildren.has(i);
    const label = el("div", { className: "label" }, el("button", { type: "button", className: "fold", tabIndex: -1, hidden: !parent, "aria-label": open ? "Fold" : "Unfold" }, open ? "▾" : "▸"), el("i", { className: "swatch" }), r.error && el("span", { className: "bad", title: "error" }, "✕"), el("span", { className: "name" }, r.name), " ", el("span", { className: "service" }, service), r.orphan && el("em", { title: "its parent was not received" }, " ⤴"));
    label.style.paddingLeft = 6 + Math.min(r.depth, 40) * 12 + "px";
    const row = el(
      "div",
      { id: "s" + r.id, className: "span " + colour(service) + (i === selected ? " selected" : "") + (r.error ? " error" : ""), role: "treeitem", "aria-level": r.depth + 1, "aria-selected": String(i === selected), "aria-expanded": parent ? String(open) : null, "data-row": i },
      label,
      timeline(r),
    );
    row.style.top = at * rowHeight + "px";
    return row;
  }

  function timeline(r) {
    const from = clamp(percent(r.start));
    const to = clamp(percent(r.start + r.duration));
    const bar = el("i", { className: "bar" });
    bar.style.left = from + "%";
    bar.style.width = to - from + "%";
    const parts = [bar];
    for (const [start, end] of r.critical ?? []) {
      if (percent(end) < 0 || percent(start) > 100) continue;
      const mark = el("i", { className: "critical" });
      mark.style.left = clamp(percent(start)) + "%";
      mark.style.width = clamp(percent(end)) - clamp(percent(start)) + "%";
      parts.push(mark);
    }
    for (const when of (r.events ?? []).slice(0, 100)) {
      const p = percent(when);
      if (p < 0 || p > 100) continue;
      const dot = el("i", { className: "event" });
      dot.style.left = p + "%";
      parts.push(dot);
    }
    const text = el("span", { className: "took" }, duration(r.duration) + (r.logs ? "  ≡" + r.logs : "") + (r.links ? "  ⇄" + r.links : ""));
    text.style.left = to + "%";
    return el("div", { className: "line" }, ...parts, text);
  }

  function drawAxis() {
    const [from, to] = span();
    const wide = scroller.clientWidth || 1000;
    const marks = ticks(from, to, Math.max(2, Math.min(10, wide / 160))).map((at) => {
      const p = percent(at);
      const mark = el("span", {}, at === 0 ? "0" : duration(at));
      mark.style.left = p + "%";
      return mark;
    });
    axis.replaceChildren(el("div", {}, range ? el("button", { type: "button", onclick: () => zoom(null) }, "whole trace") : "Span"), el("div", { className: "line" }, ...marks));
  }

  function zoom(to) {
    range = to;
    redraw();
  }

  function select(i) {
    selected = i;
    redraw();
    reveal();
    on.select(i >= 0 ? trace.rows[i] : null);
  }

  // reveal scrolls the selected row into sight.
  function reveal() {
    const at = place.get(selected);
    if (at === undefined) return;
    const top = at * rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + rowHeight > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + rowHeight - scroller.clientHeight;
    draw();
  }

  function fold(i, yes) {
    if (yes) folded.add(trace.rows[i].id);
    else folded.delete(trace.rows[i].id);
    arrange();
  }

  function move(step) {
    const at = selected < 0 ? (step > 0 ? -1 : 0) : place.get(selected);
    select(visible[Math.max(0, Math.min(visible.length - 1, at + step))]);
  }

  // back folds the row, or goes to its parent if there is nothing to fold.
  function back() {
    if (selected < 0) return;
    const row = trace.rows[selected];
    if (hasChildren.has(selected) && !folded.has(row.id)) fold(selected, true);
    else if (row.parent >= 0) select(row.parent);
  }

  function forward() {
    if (selected < 0 || !hasChildren.has(selected)) return;
    if (folded.has(trace.rows[selected].id)) fold(selected, false);
    else move(1);
  }

  function toggleZoom() {
    if (range || selected < 0) return zoom(null);
    const r = trace.rows[selected];
    const margin = Math.max(1, r.duration * 0.05);
    zoom([r.start - margin, r.start + r.duration + margin]);
  }

  scroller.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  canvas.addEventListener("click", (event) => {
    const row = event.target.closest(".span");
    if (!row) return;
    const i = Number(row.dataset.row);
    if (event.target.closest(".fold")) fold(i, !folded.has(trace.rows[i].id));
    else select(i);
    scroller.focus({ preventScroll: true });
  });
  canvas.addEventListener("dblclick", (event) => event.target.closest(".line") && toggleZoom());
  const resized = new ResizeObserver(() => redraw());

  const moves = {
    ArrowDown: () => move(1),
    j: () => move(1),
    ArrowUp: () => move(-1),
    k: () => move(-1),
    PageDown: () => move(20),
    PageUp: () => move(-20),
    Home: () => select(visible[0]),
    End: () => select(visible.at(-1)),
    ArrowLeft: back,
    ArrowRight: forward,
    z: toggleZoom,
    Enter: () => (selected < 0 ? move(1) : on.open()),
  };

  return {
    element,
    reveal,
    selected: () => trace.rows[selected],
    deselect: () => select(-1),
    // start draws the rows once the element is in the page.
    start(id) {
      arrange();
      resized.observe(scroller);
      scroller.focus({ preventScroll: true });
      const i = id ? trace.rows.findIndex((r) => r.id === id) : -1;
      if (i >= 0) select(i);
    },
    update(next) {
      const id = trace.rows[selected]?.id;
      trace = next;
      selected = id ? trace.rows.findIndex((r) => r.id === id) : -1;
      arrange();
    },
    // escape undoes one thing, and reports whether there was any.
    escape() {
      if (range) zoom(null);
      else if (selected >= 0) select(-1);
      else return false;
      return true;
    },
    key(event) {
      if (event.target.closest?.("button, a, summary") && event.key === "Enter") return false;
      if (!moves[event.key]) return false;
      moves[event.key]();
      return true;
    },
    close: () => resized.disconnect(),
  };
}
