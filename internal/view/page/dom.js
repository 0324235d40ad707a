// el makes an element. Properties are set as such, data-*, aria-* and role as
// attributes; children are nodes or text. Text never becomes markup.
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// put replaces what a node holds.
export function put(node, ...children) {
  node.replaceChildren(...children.filter(present));
}

const present = (child) => child !== null && child !== undefined && child !== false;

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter(present));
  return node;
}

// The palette has this many colours; style.css defines .c0, .c1 and so on.
const palette = 12;
let colours = {};

export function setColours(all) {
  colours = all;
}

export function colour(service) {
  return service in colours ? "c" + (colours[service] % palette) : "";
}

export function services() {
  return Object.keys(colours).sort((a, b) => colours[a] - colours[b]);
}

export const swatch = (service) => el("i", { className: "swatch " + colour(service) });

export async function get(path) {
  const response = await fetch(path);
  if (!response.ok) {
    const error = new Error((await response.text()).trim());
    error.status = response.status;
    throw error;
  }
  return response.json();
}

// say tells the user what happened, for a moment.
let silence;
export function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.classList.add("shown");
  clearTimeout(silence);
  silence = setTimeout(() => said.classList.remove("shown"), 2500);
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(what + " copied");
  } catch {
    say("the browser does not let this page copy");
  }
}
