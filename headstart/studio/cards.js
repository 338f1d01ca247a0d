// One adapter, or one start, on the shelf.
import { at, download, get } from "./api.js";
import { fill, h, sheet } from "./dom.js";
import { wayName } from "./report.js";
import { bytes, many, percent, seconds } from "./words.js";

const FORMS = [
  ["peft", "PEFT"],
  ["gguf", "GGUF (llama.cpp)"],
  ["ollama", "Ollama"],
];

const fact = (name, value) =>
  value === null || value === undefined || value === "" ? null : h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** A card that `acts` on its adapter: rename, remove, load, unload; each is given what tells in the card why it failed. */
export function adapterCard(it, acts) {
  const title = h("h3", { id: `card-${it.id}`, tabindex: "-1" }, it.id);
  const said = h("p", { class: "wrong", role: "alert" });
  const tell = (problem) => fill(said, problem?.message);
  const more = h("div", { class: "stack" });
  const badge = it.problem
    ? h("span", { class: "badge bad" }, "cannot be served")
    : it.verdict
      ? h(
          "span",
          { class: `badge ${it.verdict === "adapter" ? "good" : "warn"}` },
          it.verdict === "adapter" ? "use it" : `${it.verdict} does better`,
        )
      : null;
  const here = it.loaded
    ? h("span", { class: "badge accent" }, `in memory, ${bytes(it.loaded_bytes)}`)
    : it.problem
      ? null
      : h("span", { class: "badge" }, "on disk");
  return h(
    "li",
    { class: `card ${it.problem ? "broken" : ""}`, "aria-labelledby": `card-${it.id}` },
    h("div", { class: "title" }, title, badge, here),
    it.problem ? h("p", { class: "wrong" }, it.problem) : null,
    h(
      "dl",
      { class: "facts" },
      fact("held out", scores(it)),
      fact("from", it.examples ? many(it.examples, "example") : null),
      fact("begun from", it.start),
      fact("size", bytes(it.bytes)),
      fact("base", it.base.split("/").pop()),
      fact("made", h("span", { "data-made": it.created })),
    ),
    h("div", { class: "actions" }, buttons(it, acts, more, tell)),
    said,
    more,
  );
}

function scores(it) {
  const told = Object.entries(it.scores ?? {})
    .filter(([, score]) => score)
    .sort(([a], [b]) => (a === "adapter" ? -1 : b === "adapter" ? 1 : 0));
  return told.map(([way, score]) => `${way} ${percent(score.exact_match)}`).join(" · ");
}

function buttons(it, acts, more, tell) {
  const small = (text, work, given = {}) =>
    h("button", { type: "button", class: "small", onclick: work, "aria-label": `${text} ${it.id}`, "data-act": text, ...given }, text);
  const remove = small("Remove", () => acts.remove(it, tell), { class: "small danger" });
  if (it.problem) return [remove];
  const again = small("Rename", () => opened(more, "rename", async () => renaming(it, acts, closed, tell)));
  const closed = () => {
    close(more);
    again.focus();
  };
  return [
    h("a", { class: "button small", href: `#/ask/${at(it.id)}`, "aria-label": `Ask ${it.id}` }, "Ask"),
    small("Details", () => opened(more, "details", () => details(it, tell))),
    small("Download", () => opened(more, "download", async () => downloads(it, tell))),
    again,
    it.loaded ? small("Unload", () => acts.unload(it, tell)) : small("Load", () => acts.load(it, tell)),
    remove,
  ];
}

function close(more) {
  more.dataset.shown = "";
  fill(more);
}

/** Show one thing below a card, or nothing where it is shown already. */
async function opened(more, name, make) {
  if (more.dataset.shown === name) return close(more);
  const made = await make();
  more.dataset.shown = name;
  fill(more, made);
  more.querySelector("input")?.select();
}

async function details(it, tell) {
  let told;
  try {
    told = await get(`/v1/adapters/${at(it.id)}`);
  } catch (problem) {
    tell(problem);
    return null;
  }
  const ways = Object.entries(told.ways ?? {}).filter(([, score]) => score);
  const row = ([way, score]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, wayName(way)),
      h("td", { class: "num" }, percent(score.exact_match)),
      h("td", { class: "num" }, score.loss.toFixed(3)),
    );
  const scored = ways.length
    ? sheet(
        "Held-out scores",
        [
          ["Way of asking", ""],
          ["Right", "num"],
          ["Loss", "num"],
        ],
        ways.map(row),
      )
    : null;
  const made = Object.entries(told.versions ?? {})
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
  return [
    told.advice ? h("p", {}, told.advice) : null,
    scored,
    h(
      "dl",
      { class: "facts" },
      fact("steps", told.steps),
      fact("adapting took", told.seconds ? seconds(told.seconds) : null),
      fact("made with", made),
    ),
    told.before.length
      ? h(
          "details",
          {},
          h("summary", {}, `${many(told.before.length, "example")} kept in front of every prompt`),
          h("ul", { class: "pairs" }, told.before.map(kept)),
        )
      : null,
  ];
}

const kept = (messages) =>
  h(
    "li",
    {},
    h(
      "dl",
      { class: "side-by-side" },
      messages.map((it) => h("div", {}, h("dt", {}, h("span", {}, it.role)), h("dd", {}, it.content))),
    ),
  );

function downloads(it, tell) {
  const get_ = (form) => async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      await download(`/v1/adapters/${at(it.id)}/export/${form}`, `${it.id}-${form}.zip`);
    } catch (problem) {
      tell(problem);
    }
    button.disabled = false;
  };
  return h(
    "div",
    { class: "actions", role: "group", "aria-label": `Download ${it.id} for` },
    h("span", { class: "hint" }, "For"),
    FORMS.map(([form, name]) => h("button", { type: "button", class: "small", onclick: get_(form) }, name)),
  );
}

function renaming(it, acts, closed, tell) {
  const id = `rename-${it.id}`;
  const name = h("input", { type: "text", id, value: it.id, maxlength: 64, spellcheck: "false" });
  const give = (event) => {
    event.preventDefault();
    if (name.value.trim() && name.value.trim() !== it.id) acts.rename(it, name.value.trim(), tell);
    else closed();
  };
  return h(
    "form",
    { class: "inline", onsubmit: give },
    h("div", { class: "field" }, h("label", { for: id }, "New name"), name),
    h("button", { type: "submit", class: "main" }, "Rename"),
  );
}

/** A start: what it was trained on, and how well that did. */
export function startCard(it) {
  const badge = it.problem
    ? h("span", { class: "badge bad" }, "cannot be read")
    : it.fits
      ? h("span", { class: "badge good" }, "fits this base")
      : h("span", { class: "badge" }, "another base's");
  const score = it.score ? `${percent(it.score.mean)} on unseen tasks` : null;
  return h(
    "li",
    { class: `card ${it.problem ? "broken" : ""}` },
    h("div", { class: "title" }, h("h3", {}, it.id), badge),
    it.problem ? h("p", { class: "wrong" }, it.problem) : h("p", { class: "hint" }, `Trained on ${it.about}.`),
    h(
      "dl",
      { class: "facts" },
      fact("right", score),
      fact("steps", it.steps),
      fact("size", bytes(it.bytes)),
      fact("base", it.base.split("/").pop()),
    ),
  );
}
