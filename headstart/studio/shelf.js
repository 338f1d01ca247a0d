// Shelf: adapters and starts with what is known of them; nothing that is removed is gone at once.
import { at, call, drop, get, post } from "./api.js";
import { adapterCard, startCard } from "./cards.js";
import { $, announce, arrange, fill, h } from "./dom.js";
import { ago, many } from "./words.js";

let adapters = [];
/** A card for each, by all that is told of it: where that is as it was the card stays, and with it what is being typed there. */
let cards = new Map();
const factOf = JSON.stringify;

export const shelf = {
  begin() {
    $("search").addEventListener("input", draw);
  },

  async show(page, [name]) {
    if (name) $("search").value = name;
    await load();
    try {
      const starts = (await get("/v1/starts")).data;
      fill($("starts"), starts.length ? starts.map(startCard) : h("li", { class: "empty" }, "There are no starts here."));
    } catch (problem) {
      wrong(problem);
    }
  },
};

async function load() {
  try {
    const [all, removed] = await Promise.all([get("/v1/adapters"), get("/v1/removed")]);
    adapters = all.data.sort((a, b) => b.created - a.created);
    cards = new Map(adapters.map((it) => [factOf(it), cards.get(factOf(it)) ?? adapterCard(it, acts)]));
    wrong(null);
    draw();
    undoBar(removed.data[0]);
  } catch (problem) {
    wrong(problem);
  }
}

const wrong = (problem) => {
  $("shelf-wrong").textContent = problem?.message ?? "";
};

function found(it, words) {
  const text = [it.id, it.start, it.verdict, it.base, it.problem ? "broken problem" : ""].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function draw() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = adapters.filter((it) => found(it, words));
  const broken = adapters.filter((it) => it.problem).length;
  $("shelf-said").textContent = adapters.length
    ? `${many(shown.length, "adapter")}${words.length ? ` of ${adapters.length}` : ""}${broken ? `; ${broken} cannot be served` : ""}`
    : "";
  arrange($("adapters"), shown.length ? shown.map((it) => cards.get(factOf(it))) : [nothing()]);
  for (const it of $("adapters").querySelectorAll("[data-made]")) it.textContent = ago(Number(it.dataset.made));
}

function nothing() {
  const empty = adapters.length
    ? [
        h("strong", {}, "Nothing here goes by that."),
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              $("search").value = "";
              draw();
            },
          },
          "Show all",
        ),
      ]
    : [
        h("strong", {}, "The shelf is empty."),
        h("span", {}, "Ten examples make an adapter, in about a minute."),
        h("a", { class: "button", href: "#/teach" }, "Teach one"),
      ];
  return h("li", { class: "empty" }, empty);
}

function undoBar(last) {
  const bar = $("undo");
  bar.hidden = !last;
  if (!last) return fill(bar);
  const undo = h(
    "button",
    {
      type: "button",
      class: "small",
      id: "undo-go",
      onclick: () =>
        act(
          () => post("/v1/removed/restore", { id: last.id }),
          ({ id }) => `${id} is back.`,
          () => onCard(last.id),
          overList,
        ),
    },
    "Undo",
  );
  const purge = h(
    "button",
    {
      type: "button",
      class: "small quiet danger",
      onclick: () =>
        act(
          () => drop(`/v1/removed?id=${at(last.id)}`),
          ({ data }) => `${data.map((it) => it.id).join(", ")} is gone for good.`,
          () => $("shelf-title"),
          overList,
        ),
    },
    "Delete for good",
  );
  fill(bar, h("span", {}, `'${last.id}' was removed. It can be had back until the next is removed.`), undo, purge);
}

/** Do something, say it, show the shelf as it is then, and go on at an element of it; what fails is told and changes nothing. */
async function act(work, said, where, tell) {
  tell(null);
  let told;
  try {
    told = await work();
  } catch (problem) {
    return tell(problem);
  }
  announce(said(told));
  await load();
  // What was pressed is not there any more; who has gone elsewhere meanwhile stays there.
  if (document.activeElement === document.body) (where() ?? $("shelf-title")).focus();
}

/** Above the list, which is shown as it is now: somebody else may have had it back. */
async function overList(problem) {
  if (problem) await load();
  wrong(problem);
}

/** A button of a card by what it does, or else its heading; undefined where the card is not shown. */
function onCard(id, verb) {
  const title = $(`card-${id}`);
  const buttons = [...(title?.closest("li").querySelectorAll("[data-act]") ?? [])];
  return buttons.find((it) => it.dataset.act === verb) ?? title;
}

const acts = {
  rename: (it, to, tell) =>
    act(
      () => post(`/v1/adapters/${at(it.id)}/rename`, { to }),
      () => `${it.id} is ${to} now.`,
      () => onCard(to, "Rename"),
      tell,
    ),
  remove: (it, tell) =>
    act(
      () => drop(`/v1/adapters/${at(it.id)}`),
      () => `${it.id} was removed.`,
      () => $("undo-go"),
      tell,
    ),
  load: (it, tell) => seat("load", it, "in memory", "Unload", tell),
  unload: (it, tell) => seat("unload", it, "out of memory", "Load", tell),
};

/** `then` is what can be done next. */
const seat = (verb, { id }, now, then, tell) =>
  act(
    () => call(`/v1/${verb}_lora_adapter`, { method: "POST", json: { lora_name: id } }),
    () => `${id} is ${now}.`,
    () => onCard(id, then),
    tell,
  );
