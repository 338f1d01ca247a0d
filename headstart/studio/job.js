// A job as it goes: phases, loss, held-out scores; through lost connections and restarts of the server.
import { at, call, events, post, Problem } from "./api.js";
import { drawLoss } from "./chart.js";
import { $, announce, fill, h } from "./dom.js";
import { nameOf } from "./jobs.js";
import { showReport, wayName } from "./report.js";
import { percent, range, seconds } from "./words.js";

/** The job in sight, at work or ended. */
let current = null;
const AWAY = "The server does not answer; the job goes on when it is back";
const BUSY = "The server has no time to tell; it is asked again";

/** Whether a job's events are being read, which takes one of the browser's few connections to the server. */
export const watching = () => Boolean(current?.clock);

/**
 * Show a job, as the server tells of it, until it has ended; of one that ended before, how it ended.
 *
 * `cost` is what was foretold, `led` whether somebody asked to see it, `begun` is called when its turn has come, and `ended` is told
 * whether it succeeded.
 */
export function watch(it, { cost = null, led = false, begun = () => {}, ended = () => {} } = {}) {
  if (current?.id === it.id) return led ? $($("report").hidden ? "job-title" : "report-title").focus() : null;
  if (current) leave(current);
  const job = (current = {
    id: it.id,
    name: nameOf(it),
    cost,
    begun,
    over: it.finished_at !== null,
    led: led || it.finished_at === null,
    last: null,
    phases: [],
    scores: {},
    report: null,
    ready: null,
    checking: false,
    notes: [],
    since: null,
    now: () => 0,
    control: new AbortController(),
    lost: "",
  });
  $("report").hidden = true;
  frame(job);
  $("job").hidden = job.over;
  if (led && !job.over) {
    $("job").scrollIntoView({ block: "start" });
    $("job-title").focus({ preventScroll: true });
  }
  job.clock = setInterval(() => tick(job), 500);
  follow(job)
    .then((last) => end(job, last, ended))
    .catch((problem) => fail(job, problem, ended));
}

/** Let go of a job: its stream, and its clock. */
function leave(job) {
  clearInterval(job.clock);
  job.clock = 0;
  job.control.abort();
}

const rest = (milliseconds) =>
  new Promise((done) => {
    setTimeout(done, milliseconds);
  });

async function follow(job) {
  const { signal } = job.control;
  for (;;) {
    await lookedAt();
    signal.throwIfAborted();
    const headers = job.last ? { "Last-Event-ID": job.last } : {};
    const inSight = whileLookedAt(signal);
    try {
      const answer = await patient(job, inSight, () =>
        call(`/v1/fine_tuning/jobs/${at(job.id)}/events?stream=true`, { headers, signal: inSight }),
      );
      const [there, here] = [Date.parse(answer.headers.get("date")) || Date.now(), performance.now()];
      job.now = () => (there + performance.now() - here) / 1000;
      for await (const it of events(answer)) {
        signal.throwIfAborted();
        if (it.event === "end") return JSON.parse(it.data);
        job.last = it.id ?? job.last;
        take(job, JSON.parse(it.data));
      }
    } catch (problem) {
      if (problem instanceof Problem && !inSight.aborted) throw problem;
      // The stream broke off, or nobody looks: what is missing is asked for.
    }
    signal.throwIfAborted();
    await rest(300);
  }
}

/** Once the page is in sight: a browser has few connections to a server for all its tabs, and each that watches takes one. */
const lookedAt = async () => {
  while (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
};

/** Aborted with another signal, or when the page goes out of sight. */
function whileLookedAt(signal) {
  const control = new AbortController();
  document.addEventListener("visibilitychange", () => control.abort(), { once: true, signal });
  return AbortSignal.any([signal, control.signal]);
}

/** The same request until the server answers: it may have been stopped, or be busy, and the job goes on all the same. */
async function patient(job, signal, ask) {
  for (;;) {
    signal.throwIfAborted();
    try {
      const answer = await ask();
      lost(job, "");
      return answer;
    } catch (problem) {
      if (!(problem instanceof Problem) || !passes(problem.status)) throw problem;
      lost(job, problem.status ? BUSY : AWAY);
      await rest(1000);
    }
  }
}

/** Whether what was refused in this way may be granted a moment later. */
const passes = (status) => status === 0 || status === 429 || status >= 500;

function lost(job, why) {
  if (job.lost === why) return;
  job.lost = why;
  draw(job);
}

function take(job, event) {
  const { data } = event;
  if (data.scores) job.report = data;
  else if (data.ready) ready(job, data.ready);
  else if (data.what) step(job, data);
  else if (event.level !== "info") job.notes.push(event.message);
  if (event.message.includes("begun again")) Object.assign(job, { phases: [], scores: {}, checking: false, since: null });
  // Before its first event it waited for others.
  if (job.since === null && !job.over) job.begun();
  job.since ??= event.created_at;
  if (!job.over) draw(job);
}

/** It answers from here on; what follows is its report. */
function ready(job, name) {
  Object.assign(job, { ready: name, name, checking: true });
  fill(
    $("job-ready"),
    h("p", { class: "note" }, `${name} is taught and can be asked. What follows tells what it is worth. `),
    h("a", { class: "button", href: `#/ask/${at(name)}`, id: "job-ask" }, "Ask it now"),
  );
  if (!job.over) announce(`${name} is taught and can be asked.`);
}

function step(job, { what, step: done, steps, figures }) {
  let phase = job.phases.at(-1);
  if (phase?.what !== what) {
    job.phases.push((phase = { what, losses: [] }));
    if (!job.over) announce(words(what));
  }
  Object.assign(phase, { done, steps });
  if (figures.loss !== undefined) phase.losses.push(figures.loss);
  else if (what.startsWith("asking"))
    Object.assign(job.scores, what.includes("scratch") ? { scratch: figures.prefixed ?? figures.weights } : figures);
}

const words = (what) => what[0].toUpperCase() + what.slice(1);

function frame(job) {
  const stop = h("button", { type: "button", class: "danger", id: "job-cancel", onclick: () => cancel(job, stop) });
  fill(
    $("job"),
    h("div", { class: "card-head" }, h("h2", { id: "job-title", tabindex: "-1" }), stop),
    h("p", { class: "spread" }, h("span", { id: "job-now" }, "Waiting for its turn"), h("span", { class: "hint", id: "job-clock" })),
    h("progress", { id: "job-bar", "aria-label": "This phase", max: 1 }),
    h("div", { class: "actions", id: "job-ready" }),
    h("div", { id: "job-notes" }),
    h(
      "div",
      { class: "running" },
      h(
        "div",
        {},
        h("h3", {}, "Loss"),
        h("div", { id: "job-loss" }),
        h("ol", { class: "phases", id: "job-phases", "aria-label": "Phases" }),
      ),
      h("div", {}, h("h3", {}, "Right so far, held out"), h("div", { id: "job-scores" })),
    ),
  );
  draw(job);
  tick(job);
}

function tick(job) {
  const about = job.cost ? `about ${range(job.cost.least_seconds, job.cost.most_seconds)}` : "";
  const gone = job.since === null ? "" : seconds(Math.max(0, job.now() - job.since));
  $("job-clock").textContent = gone && about ? `${gone} of ${about}` : gone || about;
}

const begun = (job) => (job.since === null ? "Waiting for its turn" : "Beginning");

function draw(job) {
  if (job !== current) return;
  const now = job.phases.at(-1);
  $("job-title").textContent = `${job.checking ? "Checking" : "Teaching"} ${job.name ?? ""}`;
  $("job-cancel").textContent = job.checking ? "Stop the check" : "Cancel";
  $("job-now").textContent = job.lost || (now ? `${words(now.what)}: ${now.done} of ${now.steps}` : begun(job));
  const bar = $("job-bar");
  if (now) Object.assign(bar, { max: now.steps, value: now.done });
  else bar.removeAttribute("value");
  fill(
    $("job-notes"),
    job.notes.map((it) => h("p", { class: "hint" }, it)),
  );
  const steps = (it) =>
    h(
      "li",
      { "aria-current": it === now ? "step" : null },
      h("span", {}, words(it.what)),
      h("span", {}, it === now ? `${it.done} of ${it.steps}` : "done"),
    );
  fill($("job-phases"), job.phases.map(steps));
  drawLoss(
    $("job-loss"),
    job.phases.filter((it) => it.losses.length),
  );
  const ways = Object.entries(job.scores);
  const row = ([way, part]) => h("tr", {}, h("th", { scope: "row" }, wayName(way)), h("td", { class: "num" }, percent(part)));
  fill(
    $("job-scores"),
    ways.length
      ? h(
          "table",
          {},
          h("thead", { class: "unseen" }, h("tr", {}, h("th", { scope: "col" }, "way"), h("th", { scope: "col" }, "right"))),
          h("tbody", {}, ways.map(row)),
        )
      : h("p", { class: "hint" }, "Each row is held out once, and asked of an adapter that has not seen it."),
  );
}

async function cancel(job, button) {
  button.disabled = true;
  try {
    await post(`/v1/fine_tuning/jobs/${at(job.id)}/cancel`);
  } catch (problem) {
    if (!job.clock) return;
    button.disabled = false;
    // It may have ended in the same moment, and then the end is told anyway.
    job.notes.push(problem.message);
    draw(job);
  }
}

function end(job, it, ended) {
  leave(job);
  if (job !== current) return;
  ended(it.status === "succeeded");
  if (it.status === "succeeded" && job.report) {
    const taken = job.led && (job.over || unheld());
    $("job").hidden = true;
    showReport({ ...job.report, name: it.fine_tuned_model }, it.finished_at - job.since, job.led, taken);
  } else if (it.status === "cancelled") {
    const left = job.ready ? `${job.ready} stays on the shelf, without a report.` : "Nothing was put on the shelf.";
    over(job, "Cancelled", `The job was cancelled. ${left}`, "note");
  } else {
    over(job, "It did not work", it.error?.message ?? "The job ended without a report.", "note bad");
  }
}

function fail(job, problem, ended) {
  if (job !== current) return;
  leave(job);
  ended(false);
  over(job, "It did not work", problem.message, "note bad");
}

/** Whether nobody does anything elsewhere on the page that a change of focus would end. */
const unheld = () => document.activeElement === document.body || $("job").contains(document.activeElement);

function over(job, title, text, kind) {
  const taken = job.over || unheld();
  fill($("job"), h("h2", { id: "job-title", tabindex: "-1" }, title), h("p", { class: kind }, text));
  $("job").hidden = false;
  if (!job.led) return;
  if (taken) $("job-title").focus();
  announce(`${title}. ${text}`);
}
