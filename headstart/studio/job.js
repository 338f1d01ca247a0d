// A job as it goes: phases, loss, held-out scores; through lost connections and restarts of the server.
import { at, call, events, get, post, Problem } from "./api.js";
import { drawLoss } from "./chart.js";
import { $, announce, fill, h } from "./dom.js";
import { showReport, wayName } from "./report.js";
import { percent, range, seconds } from "./words.js";

let current = null;

/** Show a job until it has ended; `known` may hold its name and cost. */
export function watch(id, known, ended) {
  if (current?.id === id) return;
  if (current) current.gone = true;
  const job = (current = {
    id,
    known,
    last: null,
    phases: [],
    scores: {},
    report: null,
    ready: null,
    checking: false,
    notes: [],
    began: Date.now(),
    gone: false,
    lost: false,
  });
  $("report").hidden = true;
  frame(job);
  $("job").hidden = false;
  $("job").scrollIntoView({ block: "start" });
  job.clock = setInterval(() => tick(job), 500);
  follow(job)
    .then((it) => end(job, it, ended))
    .catch((problem) => fail(job, problem.message, ended));
}

async function follow(job) {
  const began = await patient(job, () => get(`/v1/fine_tuning/jobs/${at(job.id)}`));
  job.began = Math.min(job.began, began.created_at * 1000);
  job.known.name = began.user_provided_suffix;
  draw(job);
  for (;;) {
    const answer = await patient(job, () =>
      call(`/v1/fine_tuning/jobs/${at(job.id)}/events?stream=true`, { headers: job.last ? { "Last-Event-ID": job.last } : {} }),
    );
    try {
      for await (const it of events(answer)) {
        if (job.gone) return null;
        if (it.event === "end") return JSON.parse(it.data);
        job.last = it.id ?? job.last;
        take(job, JSON.parse(it.data));
      }
    } catch (error) {
      // The stream broke off: what is missing is asked for.
    }
    if (job.gone) return null;
    await new Promise((done) => {
      setTimeout(done, 300);
    });
  }
}

/** The same request until the server answers: it may have been stopped, and goes on with the job when it is back. */
async function patient(job, ask) {
  for (;;) {
    try {
      const answer = await ask();
      lost(job, false);
      return answer;
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 0) throw problem;
      lost(job, true);
      await new Promise((done) => {
        setTimeout(done, 1000);
      });
    }
  }
}

function lost(job, is) {
  if (job.lost === is) return;
  job.lost = is;
  draw(job);
}

function take(job, event) {
  const { data } = event;
  if (data.scores) job.report = data;
  else if (data.ready) ready(job, data.ready);
  else if (data.what) step(job, data);
  else if (event.level !== "info") job.notes.push(event.message);
  if (event.message.includes("begun again")) Object.assign(job, { phases: [], scores: {}, checking: false });
  draw(job);
}

/** It answers from here on; what follows is its report. */
function ready(job, name) {
  Object.assign(job, { ready: name, checking: true });
  fill(
    $("job-ready"),
    h("p", { class: "note" }, `${name} is taught and can be asked. What follows tells what it is worth. `),
    h("a", { class: "button", href: `#/ask/${encodeURIComponent(name)}`, id: "job-ask" }, "Ask it now"),
  );
  announce(`${name} is taught and can be asked.`);
}

function step(job, { what, step: done, steps, figures }) {
  let phase = job.phases.at(-1);
  if (phase?.what !== what) {
    job.phases.push((phase = { what, losses: [] }));
    announce(words(what));
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
    h("div", { class: "card-head" }, h("h2", { id: "job-title" }), stop),
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
  const { cost } = job.known;
  $("job-clock").textContent =
    `${seconds((Date.now() - job.began) / 1000)}${cost ? ` of about ${range(cost.least_seconds, cost.most_seconds)}` : ""}`;
}

function draw(job) {
  const now = job.phases.at(-1);
  $("job-title").textContent = `${job.checking ? "Checking" : "Teaching"} ${job.known.name ?? ""}`;
  $("job-cancel").textContent = job.checking ? "Stop the check" : "Cancel";
  $("job-now").textContent = job.lost
    ? "The server does not answer; the job goes on when it is back"
    : now
      ? `${words(now.what)}: ${now.done} of ${now.steps}`
      : "Waiting for its turn";
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
    button.disabled = false;
    // It may have ended in the same moment, and then the end is told anyway.
    job.notes.push(problem.message);
    draw(job);
  }
}

function end(job, it, ended) {
  clearInterval(job.clock);
  if (job.gone || !it) return;
  current = null;
  ended();
  if (it.status === "succeeded" && job.report) {
    $("job").hidden = true;
    showReport({ ...job.report, name: it.fine_tuned_model }, it.finished_at - it.created_at);
  } else if (it.status === "cancelled") {
    const left = job.ready ? `${job.ready} stays on the shelf, without a report.` : "Nothing was put on the shelf.";
    over("Cancelled", `The job was cancelled. ${left}`, "note");
  } else {
    over("It did not work", it.error?.message ?? "The job ended without a report.", "note bad");
  }
}

function fail(job, message, ended) {
  clearInterval(job.clock);
  if (job.gone) return;
  current = null;
  ended();
  over("It did not work", message, "note bad");
}

function over(title, text, kind) {
  fill($("job"), h("h2", { id: "job-title", tabindex: "-1" }, title), h("p", { class: kind }, text));
  $("job-title").focus();
  announce(`${title}. ${text}`);
}
