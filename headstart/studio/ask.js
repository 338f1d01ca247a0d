// Ask: one question, several answers at once. Each column is a request of its own; the engine makes one batch of them.
import { at, get, Problem } from "./api.js";
import { column } from "./column.js";
import { $, announce, fill, h } from "./dom.js";
import { drafted, drafts, kept } from "./draft.js";
import { watching } from "./job.js";
import { QUESTION, SAMPLE } from "./sample.js";

/** A browser holds six connections to one server; one is left for everything else, and one for a job that is watched. */
const most = () => (watching() ? 4 : 5);
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

  async show(given, [name]) {
    offered = look(name);
    await offered;
  },
};

async function look(name) {
  try {
    const adapters = (await get("/v1/adapters")).data.filter((it) => !it.problem);
    const there = adapters.some((it) => it.id === name);
    offer(adapters, there ? name : undefined);
    if (there && !$("prompt").value && kept() === SAMPLE) $("prompt").value = QUESTION;
    const lack = name && !there;
    $("ask-wrong").textContent = lack ? `No adapter '${name}' can be asked: the shelf shows what is there, and what is wrong with it.` : "";
  } catch (problem) {
    $("ask-wrong").textContent = problem.message;
  }
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(CHOSEN)) ?? [];
  } catch {
    return [];
  }
}

/** Whose examples the base is to have beside an adapter: its own, or those it may be taught from next; null: nobody's here. */
const whose = (name) => [name, DRAFT].find((it) => sources.includes(it)) ?? null;

function offer(adapters, name) {
  sources = [...(drafted() ? [DRAFT] : []), ...adapters.filter((it) => it.prefix).map((it) => it.id)];
  const of = whose(name ?? adapters[0]?.id);
  // Beside all that was ticked before, the adapter that one comes for could be one more than are asked at once.
  const there = new Set([BASE, PROMPT, ...adapters.map((it) => it.id)]);
  const before = name ? [] : remembered().filter((it) => there.has(it)).slice(0, most());
  const chosen = new Set(before.length ? before : [BASE, of && PROMPT, name ?? adapters[0]?.id].filter(Boolean));
  const chosenFrom = [name ? null : $("from")?.value, of].find((it) => sources.includes(it));
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
        sources.map((it) => h("option", { value: it, selected: it === chosenFrom }, it)),
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
  const full = now.length >= most();
  for (const box of document.querySelectorAll("#who input")) {
    if (!box.checked && !(box.value === PROMPT && !sources.length)) box.disabled = full;
  }
  $("who-hint").textContent = full ? `${tooMany()}.` : now.length ? "" : "Choose who is asked.";
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

const tooMany = () => `${most()} at most are asked at once${watching() ? " while a job is watched" : ""}`;

async function examples() {
  const name = $("from").value;
  return chained(name === DRAFT ? await drafts() : (await get(`/v1/adapters/${at(name)}`)).before);
}

/** Examples as one conversation. It has room for one system message, and that first; of several each is told in its own question. */
function chained(all) {
  const told = new Set(all.filter(([first]) => first.role === "system").map(([first]) => first.content));
  if (told.size > 1) return all.flatMap(telling);
  const [system] = told;
  const turns = all.flat().filter((it) => it.role !== "system");
  return system === undefined ? turns : [{ role: "system", content: system }, ...turns];
}

function telling([first, ...turns]) {
  if (first.role !== "system") return [first, ...turns];
  return [{ ...turns[0], content: `${first.content}\n\n${turns[0].content}` }, ...turns.slice(1)];
}

async function go() {
  await offered;
  if (asking) return;
  const [question, who] = [$("prompt").value.trim(), picked()];
  const lack = who.length > most() ? `${tooMany()}: untick some.` : who.length ? "" : "Choose who is asked.";
  $("ask-wrong").textContent = question ? lack : "Write a question.";
  $("prompt").setAttribute("aria-invalid", String(!question));
  if (!question) $("prompt").focus();
  if (!question || lack) return;
  const control = (asking = new AbortController());
  busy(true);
  try {
    await page.stand();
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
