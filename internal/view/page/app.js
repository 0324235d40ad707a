import { get, say, setColours } from "./dom.js";
import { bytes, count, number } from "./format.js";
import { graphView } from "./graph.js";
import { operationsView } from "./operations.js";
import { traceView } from "./trace.js";
import { tracesView } from "./traces.js";

// A view is an object with any of: refresh() when the data may have changed,
// key(event) which reports whether it used the key, close().
const views = { traces: tracesView, graph: graphView, operations: operationsView, trace: traceView };

const main = document.getElementById("main");
const input = document.getElementById("q");
const problem = document.getElementById("problem");
const live = document.getElementById("live");

let current = {};
let currentName;
let visit = 0; // counts navigations: what an earlier one fetched is not shown

const app = {
  main,
  query: () => new URLSearchParams(location.search).get("q") ?? "",
  go(path) {
    history.pushState(null, "", path);
    show();
  },
  replace(path) {
    history.replaceState(null, "", path);
  },
  // search shows the traces that fit.
  search(q) {
    app.go((["graph", "operations"].includes(currentName) ? location.pathname : "/") + (q ? "?q=" + encodeURIComponent(q) : ""));
  },
  // load gets JSON for the present view, or undefined if it was left meanwhile
  // or the request failed; then the problem is on the page.
  async load(path) {
    const mine = visit;
    try {
      const data = await get(path);
      if (mine !== visit) return undefined;
      if (data.colours) setColours(data.colours);
      problem.textContent = "";
      input.removeAttribute("aria-invalid");
      return data;
    } catch (error) {
      if (mine !== visit) return undefined;
      problem.textContent = error.status ? error.message : "clew view does not answer";
      if (error.status === 400) input.setAttribute("aria-invalid", "true");
      return undefined;
    }
  },
};

function route() {
  const path = location.pathname;
  if (path.startsWith("/trace/")) return "trace";
  return { "/graph": "graph", "/operations": "operations" }[path] ?? "traces";
}

function show() {
  current.close?.();
  visit++;
  currentName = route();
  problem.textContent = "";
  input.value = app.query();
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.view === (currentName === "trace" ? "traces" : currentName);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.replaceChildren();
  main.className = currentName;
  current = views[currentName](app);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const url = new URL(link.getAttribute("href"), location); // of an SVG link too
  if (url.origin !== location.origin || url.hash) return;
  event.preventDefault();
  app.go(url.pathname + url.search);
});
window.addEventListener("popstate", show);

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  app.search(input.value.trim());
});
input.addEventListener("search", () => {
  if (input.value === "" && app.query() !== "") app.search("");
});

// Changes.

let following = true;
let pending = false;

function setFollowing(on) {
  following = on;
  live.setAttribute("aria-pressed", String(on));
  live.lastElementChild.textContent = on ? "live" : "paused";
  if (on && pending) refresh();
}

// refresh looks again, one time after the other. What takes long is done less
// often: a full ring must not be summed up all the time.
let refreshing = false;
async function refresh() {
  pending = !following || document.hidden || refreshing;
  if (pending) return;
  refreshing = true;
  const from = performance.now();
  try {
    await current.refresh?.();
  } finally {
    setTimeout(() => {
      refreshing = false;
      if (pending) refresh();
    }, 3 * (performance.now() - from));
  }
}

function connect() {
  const stream = new EventSource("/api/changes");
  let last = "";
  stream.onmessage = (event) => {
    live.classList.remove("lost");
    const stats = JSON.parse(event.data);
    showStats(stats);
    const state = event.data;
    if (state !== last && last !== "") refresh();
    last = state;
  };
  stream.onerror = () => {
    live.classList.add("lost");
    live.lastElementChild.textContent = "not connected";
    stream.addEventListener("open", () => setFollowing(following), { once: true });
  };
}

function showStats(s) {
  const parts = [count(s.traces, "trace"), count(s.spans, "span"), bytes(s.bytes) + " of " + bytes(s.limit)];
  if (s.evicted) parts.push(number(s.evicted) + " older traces made room");
  if (s.dropped) parts.push(number(s.dropped) + " spans and log lines dropped: their traces are too large");
  document.getElementById("stats").textContent = parts.join("  ·  ");
}

document.addEventListener("visibilitychange", () => pending && refresh());
live.addEventListener("click", () => setFollowing(!following));

// Theme.

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}
document.getElementById("theme").addEventListener("click", toggleTheme);

// Keys.

const help = document.getElementById("keys");
const openHelp = () => help.showModal();
document.getElementById("help").addEventListener("click", openHelp);

const keys = {
  "/": () => (input.focus(), input.select()),
  "?": openHelp,
  t: toggleTheme,
  p: () => setFollowing(!following),
  1: () => app.go("/" + location.search),
  2: () => app.go("/graph" + location.search),
  3: () => app.go("/operations" + location.search),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") {
      event.preventDefault(); // or the browser empties the field
      event.target.blur();
    }
    if (event.key === "ArrowDown" && event.target === input) (input.blur(), current.key?.(event));
    return;
  }
  if (current.key?.(event)) event.preventDefault();
  else if (keys[event.key]) {
    event.preventDefault();
    keys[event.key](event);
  }
});

window.addEventListener("error", () => say("something went wrong on this page"));

show();
connect();
