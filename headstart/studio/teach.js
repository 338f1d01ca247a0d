// Teach: rows in, what they will cost, a job.
import { at, call, get, post, Problem } from "./api.js";
import { $, fill, h, settled } from "./dom.js";
import { found, keep, kept, usable } from "./draft.js";
import { telling, textOf } from "./files.js";
import { drawForecast } from "./forecast.js";
import { watch } from "./job.js";
import { atWork, drawJobs } from "./jobs.js";
import { saidRows, showRows } from "./rows.js";
import { SAMPLE } from "./sample.js";

const JOB = "headstart-job";
/** Jobs that are listed. */
const RECENT = 8;

let page = { base: "" };
let filename = null;
/** Rows that others were put in the place of, and their file's name. */
let before = null;
let starts = [];
let looking = null;
/** What was foretold of just what stands in the form. */
let ready = null;
/** Whether a job is being asked for. */
let going = false;

export const teach = {
  begin(given) {
    page = given;
    $("rows").value = kept();
    $("rows").addEventListener("input", () => {
      filename = null;
      changed();
    });
    $("sample").addEventListener("click", () => put(SAMPLE, null));
    $("back").addEventListener("click", () => {
      put(...before);
      // Where nothing stood there it is not to be had back.
      if ($("back").hidden) $("rows").focus();
    });
    $("choose").addEventListener("click", () => $("file").click());
    $("file").addEventListener("change", () => open($("file").files[0]));
    for (const id of ["start", "scratch", "alone"])
      $(id).addEventListener("change", () => {
        why();
        changed();
      });
    $("teach-form").addEventListener("submit", (event) => {
      event.preventDefault();
      go(false);
    });
    $("name").addEventListener("input", () => wrongName(""));
    dropping();
  },

  async show() {
    try {
      starts = (await get("/v1/starts")).data.filter((it) => it.fits && !it.problem);
      $("teach-wrong").textContent = "";
    } catch (problem) {
      $("teach-wrong").textContent = problem.message;
      return;
    }
    const chosen = $("start").value || "auto";
    const option = (value, text) => h("option", { value, selected: value === chosen }, text);
    fill(
      $("start"),
      option("auto", "auto"),
      starts.map((it) => option(it.id, it.id)),
      option("none", "none"),
    );
    why();
    changed();
    await recall();
  },
};

function why() {
  const chosen = $("start").value;
  const names = starts.map((it) => it.id).join(", ");
  $("start-why").textContent =
    chosen === "auto"
      ? names
        ? `Reads your rows once under ${names}; those that read them badly are dropped, the rest and none are tried on rows held out.`
        : "No start fits this base, so none."
      : chosen === "none"
        ? "From scratch: as good where no start was trained on anything like your task, and worse elsewhere."
        : `Trained on ${starts.find((it) => it.id === chosen)?.about ?? "?"}.`;
}

/** Rows in the place of those that stand there, which can be had back: a field whose value is set forgets what it could undo. */
function put(text, name) {
  if ($("rows").value !== text) before = $("rows").value.trim() ? [$("rows").value, filename] : null;
  $("back").hidden = !before;
  filename = name;
  $("rows").value = text;
  $("rows").scrollTop = 0;
  changed();
}

async function open(file) {
  $("file").value = "";
  if (!file) return;
  try {
    put(await textOf(file), telling(file.name) ? file.name : null);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    $("rows-said").textContent = problem.message;
  }
}

/** Files are opened where they are dropped; text goes where the browser puts it. */
function dropping() {
  const place = $("drop");
  const over = (is) => (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    place.classList.toggle("over", is);
  };
  place.addEventListener("dragover", over(true));
  place.addEventListener("dragleave", over(false));
  place.addEventListener("drop", over(false));
  place.addEventListener("drop", (event) => open(event.dataTransfer.files[0]));
}

/** What was read and foretold is not of what stands there now. */
function changed() {
  keep($("rows").value);
  looking?.abort();
  ready = null;
  enable();
  look();
}

const enable = () => {
  $("teach-go").disabled = going || !ready;
};

const look = settled(async () => {
  const text = $("rows").value;
  if (!text.trim()) {
    $("rows-said").textContent = "";
    $("rows").removeAttribute("aria-invalid");
    fill($("rows-table"));
    return fill($("forecast"), h("p", { class: "hint" }, "Seconds and memory are told here before anything is begun."));
  }
  const mine = (looking = new AbortController());
  const waits = setTimeout(() => fill($("forecast"), h("p", { class: "hint" }, "Measuring this machine …")), 400);
  try {
    const asked = { text, filename, start: $("start").value || "auto", scratch: $("scratch").checked, prefix: !$("alone").checked };
    const told = await post("/v1/fine_tuning/forecast", asked, { signal: mine.signal });
    if (!mine.signal.aborted) read(told);
  } catch (problem) {
    if (problem.name !== "AbortError") {
      fill($("rows-table"));
      fill($("forecast"));
      $("rows-said").textContent = problem.message;
    }
  } finally {
    clearTimeout(waits);
  }
}, 300);

function read(told) {
  const bad = told.rows.length - told.good;
  $("rows-said").textContent = saidRows(told);
  $("rows").setAttribute("aria-invalid", String(bad > 0));
  showRows($("rows-table"), told, goTo);
  drawForecast($("forecast"), told);
  ready = usable(told) ? told : null;
  found(ready?.rows ?? null);
  enable();
}

function goTo(line) {
  const rows = $("rows");
  const lines = rows.value.split("\n");
  const from = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  rows.focus();
  rows.setSelectionRange(from, from + (lines[line - 1] ?? "").length);
  rows.scrollTop = (line - 3) * (rows.scrollHeight / Math.max(1, lines.length));
}

function wrongName(text, more = null) {
  fill($("name-wrong"), text, more);
  $("name").setAttribute("aria-invalid", String(Boolean(text)));
}

async function go(replace) {
  if (!ready || going) return;
  const [foretold, text, called] = [ready, $("rows").value, filename];
  const name = $("name").value.trim();
  wrongName("");
  $("teach-wrong").textContent = "";
  if (!name) {
    wrongName("Give the adapter a name.");
    $("name").focus();
    return;
  }
  const metadata = {
    start: $("start").value,
    replace: String(replace),
    scratch: String($("scratch").checked),
    prefix: String(!$("alone").checked),
  };
  const { base } = page;
  going = true;
  enable();
  try {
    await page.stand();
    if (page.base !== base) throw new Problem("Another base is served now, and what was foretold is not of it. Look again, then teach.");
    const form = new FormData();
    form.append("purpose", "fine-tune");
    form.append("file", new File([text], called ?? `${name}.${foretold.format}`));
    const file = await (await call("/v1/files", { method: "POST", form })).json();
    const job = await post("/v1/fine_tuning/jobs", { model: page.base, training_file: file.id, suffix: name, metadata });
    follow(job, { cost: foretold.cost, led: true });
    await listed();
  } catch (problem) {
    refused(problem);
  } finally {
    going = false;
    enable();
  }
}

function wrong(problem) {
  if (!(problem instanceof Problem)) throw problem;
  $("teach-wrong").textContent = problem.message;
}

function refused(problem) {
  if (problem.param !== "suffix") return wrong(problem);
  const taken = problem.status === 409 && problem.message.includes("already");
  const again = h("button", { type: "button", class: "small", onclick: () => go(true) }, "Put the new one in its place");
  wrongName(taken ? `There is an adapter '${$("name").value.trim()}' already. ` : problem.message, taken ? again : null);
  $("name").focus();
}

/** The jobs that are there, listed. */
async function listed() {
  const jobs = (await get(`/v1/fine_tuning/jobs?limit=${RECENT}`)).data;
  drawJobs(jobs, (it) => follow(it, { led: true }));
  return jobs;
}

/** Have the job at work in sight, this tab's own before others', or else the one that this tab had last. */
async function recall() {
  try {
    const [jobs, last] = [await listed(), sessionStorage.getItem(JOB)];
    const own = last ? (jobs.find((job) => job.id === last) ?? (await known(last))) : null;
    const it = own?.finished_at === null ? own : (atWork(jobs) ?? own);
    if (it) follow(it);
  } catch (problem) {
    wrong(problem);
  }
}

/** A job that is none of the newest; null: another server's, or one that is gone. */
async function known(id) {
  try {
    return await get(`/v1/fine_tuning/jobs/${at(id)}`);
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    sessionStorage.removeItem(JOB);
    return null;
  }
}

function follow(it, how = {}) {
  sessionStorage.setItem(JOB, it.id);
  // Of a job that went well the report is shown again when the page is; others have nothing more to tell.
  const ended = (well) => {
    if (!well) sessionStorage.removeItem(JOB);
    listed().catch(wrong);
  };
  // What it waited for has ended.
  const begun = () => listed().catch(wrong);
  watch(it, { ...how, begun, ended });
}
