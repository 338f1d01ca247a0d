// This machine: memory piece by piece, what would fit, and what is wrong.
import { get, post } from "./api.js";
import { $, fill, h, settled, sheet, svg } from "./dom.js";
import { verdictBadge } from "./forecast.js";
import { bytes, seconds } from "./words.js";

const PIECES = [
  ["base", "base", "its weights, once"],
  ["adapters", "adapters in the bank", "those that were asked lately"],
  ["answers", "answers at work", "keys and values of rows that are being written"],
  ["prompts", "prompts kept", "keys and values of what was read before"],
  ["rest", "everything else", "program, tokenizers, and copies of weights for speed"],
];
const PURPOSES = { serve: "serve it", adapt: "teach an adapter", "meta-train": "meta-train a start", full: "fine-tune all of it" };
const FITS = ["card", "fit-examples", "fit-length", "fit-rows", "fit-context"];

export const machine = {
  begin() {
    for (const id of FITS) $(id).addEventListener("input", fit);
    $("fit-form").addEventListener("submit", (event) => {
      event.preventDefault();
      fit();
    });
  },

  async show() {
    if (!$("memory").children.length) fill($("memory"), h("p", { class: "hint" }, "Looking …"));
    try {
      const told = await get("/v1/machine");
      $("machine-wrong").textContent = "";
      memory(told.memory);
      doctor(told);
      if ($("card").options.length === 1) $("card").append(...told.cards.map((it) => h("option", { value: it }, it)));
    } catch (problem) {
      $("machine-wrong").textContent = problem.message;
    }
    fit();
  },
};

function memory(told) {
  const shown = PIECES.map(([name, title, why], i) => ({ title, why, size: told.pieces[name], kind: `p${i}` }));
  const other = Math.max(0, told.whole - told.free - told.process);
  shown.push({ title: "other programs", why: "on this machine", size: other, kind: "p5" });
  let from = 0;
  const bars = shown.map((it) => {
    const wide = (1000 * it.size) / told.whole;
    const bar = svg("rect", { class: it.kind, x: from, width: wide, height: 20 });
    from += wide;
    return bar;
  });
  const row = (it) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("span", { class: `swatch ${it.kind}`, "aria-hidden": "true" }), it.title),
      h("td", { class: "num" }, bytes(it.size)),
      h("td", { class: "hint" }, it.why),
    );
  fill(
    $("memory"),
    h(
      "p",
      { class: "spread" },
      h("span", {}, `${bytes(told.free)} free of ${bytes(told.whole)}`),
      h("span", { class: "hint" }, `this server holds ${bytes(told.process)}`),
    ),
    svg("svg", { class: "bar-chart", viewBox: "0 0 1000 20", preserveAspectRatio: "none", "aria-hidden": "true" }, bars),
    sheet(
      "Memory by piece",
      [
        ["Piece", ""],
        ["Bytes", "num"],
        ["What it is", ""],
      ],
      shown.map(row),
    ),
  );
}

const fit = settled(async () => {
  const number = (id, least) => Math.max(least, Math.round(Number($(id).value)) || least);
  const asked = {
    card: $("card").value || null,
    examples: number("fit-examples", 1),
    length: number("fit-length", 2),
    rows: number("fit-rows", 1),
    context: Number($("fit-context").value) >= 1 ? number("fit-context", 1) : null,
  };
  try {
    const told = await post("/v1/plan", asked);
    const row = ([name, it]) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, PURPOSES[name] ?? name),
        h("td", { class: "num" }, bytes(it.peak_bytes)),
        h("td", {}, verdictBadge(it.verdict)),
        h("td", { class: "hint" }, it.moment),
      );
    const heads = [
      ["To", ""],
      ["Peak", "num"],
      ["Verdict", ""],
      ["When that is", ""],
    ];
    const time = told.seconds ? timed(told.seconds) : null;
    fill(
      $("fit"),
      sheet("What would fit", heads, Object.entries(told.purposes).map(row), `${told.model} on ${told.memory.name}`),
      h("p", { class: "hint" }, `Forecast of the whole peak, the base included, in ${bytes(told.memory.bytes)}.`, time ? ` ${time}` : ""),
      told.change.length
        ? h("p", {}, `To teach in less: ${told.change.map((it) => `${it.what} (${bytes(it.peak)}, ${it.verdict})`).join("; ")}.`)
        : null,
    );
  } catch (problem) {
    fill($("fit"), h("p", { class: "wrong" }, problem.message));
  }
}, 250);

function timed({ adapt, report, answers, token, source }) {
  const pace = `one answer gets ${(1 / token).toFixed(0)} tokens a second`;
  return `An adapter takes about ${seconds(adapt)}, its report ${seconds(report + answers)}; ${pace} (${source}).`;
}

function doctor(told) {
  const level = (it) => h("span", { class: `badge ${{ ok: "good", note: "warn", problem: "bad" }[it.level]}` }, it.level);
  const item = (it) =>
    h(
      "li",
      { class: { note: "note-level", problem: "problem" }[it.level] ?? null },
      h("div", { class: "title" }, level(it), it.about),
      h("p", {}, it.what),
      it.why ? h("p", { class: "hint" }, it.why) : null,
      it.mend ? h("p", {}, "Mend: ", h("code", {}, it.mend)) : null,
    );
  const [bad, good] = [told.findings.filter((it) => it.level !== "ok"), told.findings.filter((it) => it.level === "ok")];
  bad.sort((a, b) => (a.level === b.level ? 0 : a.level === "problem" ? -1 : 1));
  fill(
    $("doctor"),
    h(
      "p",
      {},
      told.problems ? `${told.problems} will fail; the mend is beside ${told.problems === 1 ? "it" : "each"}.` : "Nothing here will fail.",
    ),
    bad.length ? h("ul", { class: "findings" }, bad.map(item)) : null,
    h("details", {}, h("summary", {}, `${good.length} that are well`), h("ul", { class: "findings" }, good.map(item))),
  );
}
