// Shelf: adapters and starts with what is known of them; nothing that is removed is gone at once.
import { at, call, drop, get, post } from "./api.js";
import { adapterCard, startCard } from "./cards.js";
import { $, announce, fill, h } from "./dom.js";
import { many } from "./words.js";

let adapters = [];

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
  if (shown.length)
    return fill(
      $("adapters"),
      shown.map((it) => adapterCard(it, acts)),
    );
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
  fill($("adapters"), h("li", { class: "empty" }, empty));
}

function undoBar(last) {
  const bar = $("undo");
  bar.hidden = !last;
  if (!last) return fill(bar);
  const undo = h(
    "button",
    { type: "button", class: "small", id: "undo-go", onclick: () => act(() => post("/v1/removed/restore"), `${last.id} is back.`) },
    "Undo",
  );
  const purge = h(
    "button",
    { type: "button", class: "small quiet danger", onclick: () => act(() => drop("/v1/removed"), `${last.id} is gone for good.`) },
    "Delete for good",
  );
  fill(bar, h("span", {}, `'${last.id}' was removed. It can be had back until the next is removed.`), undo, purge);
}

/** Do something, tell it, and show the shelf as it is then. */
async function act(work, told) {
  try {
    await work();
    announce(told);
  } catch (problem) {
    await load();
    wrong(problem);
    return;
  }
  await load();
}

const acts = {
  rename: (it, to) => act(() => post(`/v1/adapters/${at(it.id)}/rename`, { to }), `${it.id} is ${to} now.`),
  async remove(it) {
    await act(() => drop(`/v1/adapters/${at(it.id)}`), `${it.id} was removed.`);
    $("undo-go")?.focus();
  },
  load: (it) => act(() => seat("load", it.id), `${it.id} is in memory.`),
  unload: (it) => act(() => seat("unload", it.id), `${it.id} is out of memory.`),
  failed: wrong,
};

const seat = (verb, name) => call(`/v1/${verb}_lora_adapter`, { method: "POST", json: { lora_name: name } });
