// What the server was last asked to teach: at work, waiting, or ended.
import { $, fill, h } from "./dom.js";
import { ago } from "./words.js";

const STATES = {
  queued: ["", "waiting"],
  running: ["accent", "at work"],
  succeeded: ["good", "taught"],
  failed: ["bad", "did not work"],
  cancelled: ["warn", "cancelled"],
};

/** The one at work, or the next to be; undefined: all have ended. */
export const atWork = (jobs) => jobs.findLast((it) => it.finished_at === null);

/** What a job's adapter is called, as far as the server tells. */
export const nameOf = (it) => it.user_provided_suffix ?? it.fine_tuned_model ?? it.id;

/** List jobs, the newest first; `look` is told the one that is chosen. */
export function drawJobs(jobs, look) {
  const held = $("jobs-list").contains(document.activeElement) ? document.activeElement.dataset.job : null;
  $("jobs").hidden = !jobs.length;
  fill(
    $("jobs-list"),
    jobs.map((it) => item(it, look)),
  );
  if (held) $("jobs-list").querySelector(`[data-job="${held}"]`)?.focus();
}

function item(it, look) {
  const [name, [kind, state]] = [nameOf(it), STATES[it.status] ?? ["", it.status]];
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", class: "small", onclick: () => look(it), "data-job": it.id, "aria-label": `Look at ${name}, ${state}` },
      name,
    ),
    h("span", { class: `badge ${kind}` }, state),
    h("span", { class: "hint" }, ago(it.created_at)),
  );
}
