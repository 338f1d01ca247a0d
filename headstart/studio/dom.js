// Elements out of names and texts. Nothing here reads markup: what people write stays text.

export const $ = (id) => document.getElementById(id);

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "max"]);

function dressed(node, given, children) {
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name) && name in node) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((it) => it !== null && it !== undefined && it !== false));
  return node;
}

/** An HTML element: `h("p", {class: "hint"}, "text", another)`. */
export const h = (tag, given, ...children) => dressed(document.createElement(tag), given, children);

/** An element of SVG. */
export const svg = (tag, given, ...children) => dressed(document.createElementNS("http://www.w3.org/2000/svg", tag), given, children);

/** Put these in the place of all that an element holds. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((it) => it !== null && it !== undefined && it !== false));
}

/** As `fill`, and what stays is not touched: whoever is typing in it goes on. */
export function arrange(node, wanted) {
  for (const it of [...node.childNodes]) if (!wanted.includes(it)) it.remove();
  wanted.forEach((it, i) => {
    if (node.childNodes[i] !== it) node.insertBefore(it, node.childNodes[i] ?? null);
  });
}

/** A table that scrolls within itself, by keyboard too: [head, class of its column] pairs, rows, and for who cannot see it a caption. */
export function sheet(label, heads, rows, caption = label, kind = null) {
  const head = heads.map(([name, of]) => h("th", { scope: "col", class: of || null }, name));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: kind }, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
  );
}

/** Have a screen reader say something that is seen elsewhere on the page. */
export function announce(text) {
  const live = $("live");
  live.textContent = "";
  // A moment later, as the same text twice would not be said again.
  setTimeout(() => {
    live.textContent = text;
  }, 50);
}

/** The last call of several in a row, so many milliseconds after it. */
export function settled(work, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

/** A share as a bar; the number stands beside it. */
export function share(part) {
  return svg(
    "svg",
    { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: 100, height: 6, rx: 1 }),
    svg("rect", { width: Math.max(0, Math.min(100, 100 * part)), height: 6, rx: 1 }),
  );
}
