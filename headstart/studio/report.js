// The honest report: a sentence, a table, and the answers side by side.
import { at } from "./api.js";
import { $, announce, fill, h, share, sheet } from "./dom.js";
import { bytes, cut, differing, many, percent, seconds } from "./words.js";

const WAYS = ["base", "prompt", "scratch", "weights", "prefixed"];
const HEADS = { adapter: "Use the adapter", prompt: "Keep the examples in the prompt", base: "Use the base as it is" };

const NAMES = {
  base: "base",
  prompt: "base, examples in the prompt",
  scratch: "adapter from no start",
  weights: "adapter, weights alone",
  prefixed: "adapter, examples in front",
};

/** What a way of asking is called. */
export const wayName = (way) => NAMES[way] ?? way;

const same = (a, b) => a.trim() === b.trim();

/** Show what the job's last event told; where it is new that is said, and focused where that disturbs nobody. */
export function showReport(told, took, fresh, focused) {
  const used = told.prefix ? "prefixed" : "weights";
  const chosen = told.verdict === "adapter" ? used : told.verdict;
  const ways = WAYS.filter((way) => way in (told.ways ?? {}));
  fill(
    $("report"),
    h(
      "div",
      { class: "card-head" },
      h("h2", { id: "report-title", tabindex: "-1" }, `Report on ${told.name}`),
      told.verdict ? h("span", { class: `badge ${told.verdict === "adapter" ? "good" : "warn"}` }, told.verdict) : null,
    ),
    told.verdict ? h("p", { class: "verdict" }, `${HEADS[told.verdict]}.`) : null,
    told.advice ? h("p", { class: "prose" }, advice(told)) : null,
    table(told, ways, chosen, used),
    h("p", { class: "hint prose" }, facts(told, took)),
    h("p", { class: "hint prose" }, began(told)),
    h(
      "div",
      { class: "actions" },
      h("a", { class: "button", href: `#/ask/${at(told.name)}`, id: "report-ask" }, "Ask it something new"),
      h("a", { class: "button plain", href: `#/shelf/${at(told.name)}` }, "See it on the shelf"),
    ),
    answers(told, ways, used),
  );
  $("report").hidden = false;
  if (focused) $("report-title").focus();
  if (fresh) announce(`${told.name} is taught. ${told.verdict ? HEADS[told.verdict] : ""}`);
}

function table(told, ways, chosen, used) {
  const count = told.held_out?.length || told.examples;
  const row = (way) => {
    const score = told.ways[way];
    const mine = way === used ? h("span", { class: "hint" }, " as it is served") : null;
    return h(
      "tr",
      { class: way === chosen ? "chosen" : null },
      h("th", { scope: "row" }, wayName(way), mine),
      h("td", { class: "num" }, `${Math.round(score.exact_match * count)} of ${count}`),
      h("td", { class: "num" }, percent(score.exact_match), share(score.exact_match)),
      h("td", { class: "num" }, score.loss.toFixed(3)),
    );
  };
  const heads = [
    ["Way of asking", ""],
    ["Right", "num"],
    ["Share", "num"],
    ["Loss", "num"],
  ];
  return sheet("Held-out scores", heads, ways.map(row), `Held-out scores, ${many(count, "example")} in ${told.folds} folds`);
}

/** Behind the headline, which it begins with. */
function advice(told) {
  const rest = told.advice.startsWith(`${HEADS[told.verdict]}: `) ? told.advice.slice(HEADS[told.verdict].length + 2) : told.advice;
  return rest[0].toUpperCase() + rest.slice(1);
}

function facts(told, took) {
  const kept = told.prefix ? `keeps ${many(told.prefix, "example")} in front of every prompt` : "needs no examples in front";
  const held = `Every example was held out once, in ${many(told.folds, "fold")}.`;
  const mine = `The adapter took ${seconds(told.seconds)} (${many(told.steps, "step")}), all of it ${seconds(took)}; it ${kept}`;
  return `${held} ${mine}${told.adapter_bytes ? ` and has ${bytes(told.adapter_bytes)}` : ""}.`;
}

function began(told) {
  const glances = Object.entries(told.glances ?? {}).sort((a, b) => a[1] - b[1]);
  if (!glances.length) return `Begun from ${told.start}, as asked.`;
  const looked = glances.map(([name, loss]) => `${name} ${loss.toFixed(2)}`).join(", ");
  const tried = Object.entries(told.starts ?? {})
    .sort((a, b) => a[1] - b[1])
    .map(([name, loss]) => `${name} ${loss.toFixed(2)}`)
    .join(", ");
  const held = tried ? ` Tried on held-out rows: ${tried}. The lowest is taken.` : "";
  return `Begun from ${told.start}. Loss of the rows before any step: ${looked}.${held}`;
}

function answers(told, ways, used) {
  const rows = told.held_out ?? [];
  if (!rows.length) return null;
  const wrong = rows.filter((row) => !same(row.expected, row.got[used]));
  const list = h("ul", { class: "pairs" });
  const draw = (shown) =>
    fill(
      list,
      shown.map((row) => pair(row, ways)),
    );
  const choice = (id, text, shown, on) =>
    h(
      "span",
      { class: "chip" },
      h("input", { type: "radio", name: "answers-shown", id, checked: on, onchange: () => draw(shown) }),
      h("label", { for: id }, text),
    );
  draw(wrong.length ? wrong : rows);
  return [
    h("h3", {}, "Answers side by side"),
    h(
      "div",
      { class: "chips", role: "radiogroup", "aria-label": "Which answers are shown" },
      wrong.length ? choice("shown-wrong", `wrong with the adapter (${wrong.length})`, wrong, true) : null,
      choice("shown-all", `all (${rows.length})`, rows, !wrong.length),
    ),
    list,
  ];
}

function pair(row, ways) {
  const cell = (way) => {
    const [got, right] = [row.got[way], same(row.expected, row.got[way])];
    return h(
      "div",
      { class: right ? "right" : "amiss" },
      h("dt", {}, h("span", {}, wayName(way)), h("span", {}, right ? "✓ right" : "✗ wrong")),
      h("dd", {}, got.trim() ? marked(cut(got, 1200), row.expected) : "(nothing)"),
    );
  };
  return h(
    "li",
    {},
    h("p", {}, h("strong", {}, row.prompt)),
    h("dl", { class: "side-by-side" }, h("div", { class: "wanted" }, h("dt", {}, "wanted"), h("dd", {}, row.expected)), ways.map(cell)),
  );
}

/** Share of a text's words that another has to have for marks to help: where nearly all differ, marks only hide it. */
const ALIKE = 0.34;

/** A text with the words marked that are not in another. */
export function marked(text, other) {
  const told = differing(text, other);
  const words = told.filter(([piece]) => piece.trim());
  if (words.filter(([, is]) => is).length < ALIKE * words.length) return told.map(([piece]) => piece).join("");
  return told.map(([piece, is]) => (is ? piece : h("mark", {}, piece)));
}
