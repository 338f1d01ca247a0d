// Ask: one question, several answers at once. Each column is a request of its own; the engine makes one batch of them.
import { at, get, Problem } from "./api.js";
import { column } from "./column.js";
import { $, announce, fill, h } from "./dom.js";
import { QUESTION, SAMPLE } from "./sample.js";

/** A browser holds six connections to one server; one is left for everything else. */
const MOST = 5;
const CHOSEN = "headstart-who";
const BASE = "base:";
const PROMPT = "prompt:";
const DRAFT = "the rows on the Teach page";

let page = { base: "" };
let sources = [];
let columns = [];
let asking = null;
/** Who can be asked, on its way. */
let offered = Promise.resolve();

export const ask = {
  begin(given) {
    page = given;
    $("ask-form").addEventListener("submit", (event) => {
      event.preventDefault();
      go();
    });
    $("ask-stop").addEventListener("click", () => asking?.abort());
    $("prompt").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        go();
      }
    });
    $("compare").addEventListener("change", mark);
  },

  show(given, [name]) {
    offered = look(name);
  },
};

async function look(name) {
  try {
    const adapters = (await get("/v1/adapters")).data.filter((it) => !it.problem);
    offer(adapters, name);
    if (name && !$("prompt").value && sessionStorage.getItem("headstart-draft") === SAMPLE) $("prompt").value = QUESTION;
    $("ask-wrong").textContent = "";
  } catch (problem) {
    $("ask-wrong").textContent = problem.message;
  }
}

function remembered() {
  try {
    return new Set(JSON.parse(sessionStorage.getItem(CHOSEN)) ?? []);
  } catch {
    return new Set();
  }
}

function offer(adapters, name) {
  // Beside all that was ticked before, the adapter that one comes for could be one more than are asked at once.
  const chosen = name ? new Set() : remembered();
  if (!chosen.size) [BASE, PROMPT, name ?? adapters[0]?.id].filter(Boolean).forEach((it) => chosen.add(it));
  sources = [...(page.rows ? [DRAFT] : []), ...adapters.filter((it) => it.prefix).map((it) => it.id)];
  let chips = 0;
  const chip = (value, label, more, disabled) => {
    const id = `who-${chips++}`;
    const box = h("input", {
      type: "checkbox",
      id,
      name: "who",
      value,
      checked: chosen.has(value) && !disabled,
      disabled,
      onchange: chose,
    });
    return h("span", { class: "chip" }, box, h("label", { for: id }, label), more);
  };
  const from = sources.length
    ? h(
        "select",
        { id: "from", "aria-label": "Which examples", onchange: chose },
        sources.map((it) => h("option", { value: it, selected: it === name }, it)),
      )
    : null;
  fill(
    $("who"),
    chip(BASE, "base"),
    chip(PROMPT, from ? "base with the examples of" : "base with examples (no adapter here keeps any)", from, !from),
    adapters.map((it) => chip(it.id, it.id)),
  );
  chose();
}

const picked = () => [...document.querySelectorAll("#who input:checked")].map((it) => it.value);

function label(value) {
  if (value === BASE) return "base";
  return value === PROMPT ? `base, examples of ${$("from").value === DRAFT ? "the Teach page" : $("from").value}` : value;
}

function chose() {
  const now = picked();
  sessionStorage.setItem(CHOSEN, JSON.stringify(now));
  const full = now.length >= MOST;
  for (const box of document.querySelectorAll("#who input")) {
    if (!box.checked && !(box.value === PROMPT && !sources.length)) box.disabled = full;
  }
  $("who-hint").textContent = full ? `${MOST} at most are asked at once.` : now.length ? "" : "Choose who is asked.";
  const before = $("compare").value;
  fill(
    $("compare"),
    h("option", { value: "" }, "nothing"),
    now.map((it) => h("option", { value: it }, label(it))),
  );
  const adapter = now.find((it) => it !== BASE && it !== PROMPT);
  $("compare").value = now.includes(before) ? before : now.length > 1 ? (adapter ?? "") : "";
  mark();
}

async function examples() {
  const name = $("from").value;
  const pairs =
    name === DRAFT
      ? page.rows.map((row) => [
          { role: "user", content: row.prompt },
          { role: "assistant", content: row.completion },
        ])
      : (await get(`/v1/adapters/${at(name)}`)).before;
  // One system message at most, and that first.
  return pairs.flatMap((messages, i) => messages.filter((it) => i === 0 || it.role !== "system"));
}

async function go() {
  await offered;
  if (asking) return;
  const [question, who] = [$("prompt").value.trim(), picked()];
  $("ask-wrong").textContent = question ? (who.length ? "" : "Choose who is asked.") : "Write a question.";
  $("prompt").setAttribute("aria-invalid", String(!question));
  if (!question) $("prompt").focus();
  if (!question || !who.length) return;
  const control = (asking = new AbortController());
  busy(true);
  try {
    const before = who.includes(PROMPT) ? await examples() : [];
    columns = who.map((it) => column(it, label(it), it === BASE || it === PROMPT ? page.base : it, it === PROMPT ? before : []));
    fill(
      $("answers"),
      columns.map((it) => it.place),
    );
    const settings = { max_tokens: Math.max(1, Number($("most").value) || 96), temperature: Number($("warmth").value) || 0 };
    announce(`Asking ${who.length}.`);
    await Promise.all(columns.map((it) => it.ask(question, settings, control.signal)));
    announce(columns.map((it) => `${it.label}: ${it.text.slice(0, 200) || it.failed}`).join(". "));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    $("ask-wrong").textContent = problem.message;
  } finally {
    asking = null;
    busy(false);
    mark();
  }
}

function busy(is) {
  $("ask-go").disabled = is;
  $("ask-stop").hidden = !is;
}

function mark() {
  if (asking) return;
  const other = columns.find((it) => it.value === $("compare").value);
  for (const it of columns) it.mark(other && other !== it ? other : null);
}
