// The rows as the server reads them: what is taught, and in its place what cannot be.
import { fill, h, sheet } from "./dom.js";
import { cut, many } from "./words.js";

const MOST = 200;

/** Show rows; `go` is told the line that a bad row stands on. */
export function showRows(place, told, go) {
  if (!told.rows.length) return fill(place);
  const bad = told.rows.filter((row) => row.problem);
  // Bad rows first where there are more rows than are shown.
  const shown = told.rows.length <= MOST ? told.rows : [...bad, ...told.rows.filter((row) => !row.problem)].slice(0, MOST);
  const rows = shown.map((row) => (row.problem ? badRow(row, go) : goodRow(row)));
  const heads = ["Line", "Prompt", "Completion"].map((name) => [name, ""]);
  const more = told.rows.length - shown.length;
  fill(
    place,
    sheet("Rows as they were read", heads, rows, "The rows as they were read", "examples"),
    more ? h("p", { class: "hint" }, `and ${many(more, "row")} more`) : null,
    told.shown_once.length && !bad.length ? once(told.shown_once) : null,
  );
}

/** What was read, in a sentence. */
export function saidRows(told) {
  const bad = told.rows.length - told.good;
  const format = told.format.toUpperCase();
  if (!bad) return `${many(told.good, "example")} read as ${format}.`;
  return `${many(bad, "row")} of ${told.rows.length} cannot be used (read as ${format}). Mend or remove ${bad === 1 ? "it" : "them"}.`;
}

function goodRow(row) {
  const turns = row.turns > 2 ? h("span", { class: "hint" }, ` (the last of ${row.turns} turns)`) : null;
  return h(
    "tr",
    {},
    h("th", { scope: "row", class: "num line" }, String(row.line)),
    h("td", {}, cut(row.prompt, 300), turns),
    h("td", { class: "mono" }, cut(row.completion, 300)),
  );
}

function badRow(row, go) {
  const line = h(
    "button",
    { type: "button", class: "small danger", onclick: () => go(row.line), "aria-label": `Go to line ${row.line}` },
    String(row.line),
  );
  return h("tr", { class: "bad" }, h("th", { scope: "row", class: "num line" }, line), h("td", { colspan: 2, class: "why" }, row.problem));
}

function once(words) {
  const named = words.slice(0, 8).flatMap((word, i) => [i ? ", " : "", h("code", {}, word)]);
  const more = words.length > 8 ? ` and ${words.length - 8} more` : "";
  return h(
    "p",
    { class: "hint" },
    "Shown once: ",
    named,
    more,
    ". What is shown once is learned worst; an example more of each helps most.",
  );
}
