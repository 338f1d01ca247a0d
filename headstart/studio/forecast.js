// What a job will take, in the words of the planner.
import { fill, h } from "./dom.js";
import { bytes, range } from "./words.js";

const WORDS = { fits: ["good", "fits"], tight: ["warn", "tight"], no: ["bad", "does not fit"] };

/** The verdict of a forecast as a badge. */
export function verdictBadge(verdict) {
  const [kind, text] = WORDS[verdict] ?? ["", verdict];
  return h("span", { class: `badge ${kind}` }, text);
}

/** Seconds, memory and whether it fits; or why nothing can be told. */
export function drawForecast(place, told) {
  if (told.unplanned) {
    const lack = "How long it takes and how much memory is not told beforehand.";
    return fill(place, h("p", {}, lack), h("p", { class: "hint" }, told.unplanned));
  }
  if (!told.cost) {
    const lack =
      told.good === 1
        ? "One good row so far; two are the least, five to ten work well."
        : "No good row yet; two are the least, five to ten work well.";
    return fill(place, h("p", {}, lack));
  }
  const { cost } = told;
  fill(
    place,
    h(
      "p",
      { class: "spread" },
      h("span", { class: "big" }, range(cost.ready_least_seconds, cost.ready_most_seconds)),
      verdictBadge(cost.verdict),
    ),
    h("p", {}, `until it answers; ${range(cost.least_seconds, cost.most_seconds)} with its report`),
    h("p", {}, `${bytes(cost.bytes)} of memory, of ${bytes(cost.free_bytes)} that are free`),
    cost.verdict === "no" ? h("p", { class: "wrong" }, "Fewer or shorter rows take less; so does closing other programs.") : null,
    cost.verdict === "tight" ? h("p", { class: "hint" }, "Memory is short: it is taught in less, which takes longer.") : null,
    told.good < 5 ? h("p", { class: "hint" }, "Five to ten rows work better.") : null,
    told.starts.length > 1 ? h("p", { class: "hint" }, "The more starts are near, the longer.") : null,
  );
}
