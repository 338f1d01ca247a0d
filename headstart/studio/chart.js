// Loss, a line a phase; the phase at work in the accent.
import { fill, h, svg } from "./dom.js";

const [WIDE, HIGH, EDGE] = [320, 120, 8];

/** Draw phases, each {what, losses}; what is seen is said in words too. */
export function drawLoss(place, phases) {
  const all = phases.flatMap((it) => it.losses);
  if (!all.length) return fill(place, h("p", { class: "hint" }, "Told from the first step on."));
  const [most, longest] = [Math.max(...all), Math.max(...phases.map((it) => Math.max(it.losses.length, it.steps ?? 0)))];
  const x = (i) => EDGE + ((WIDE - 2 * EDGE) * i) / Math.max(1, longest - 1);
  const y = (loss) => HIGH - EDGE - ((HIGH - 2 * EDGE) * loss) / most;
  const line = (it, i) =>
    svg("path", {
      class: i === phases.length - 1 ? "now" : null,
      d: it.losses.map((loss, k) => `${k ? "L" : "M"}${x(k).toFixed(1)} ${y(loss).toFixed(1)}`).join("") || null,
    });
  const last = phases.at(-1).losses;
  const said = `Loss ${last.at(-1).toFixed(3)} nats a token, from ${last[0].toFixed(3)}`;
  const old = place.querySelector("svg");
  const drawn = svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": said },
    [0, 0.5, 1].map((part) => svg("line", { x1: EDGE, x2: WIDE - EDGE, y1: y(part * most), y2: y(part * most) })),
    phases.map(line),
    svg("circle", { cx: x(last.length - 1), cy: y(last.at(-1)), r: 4 }),
  );
  if (old) {
    old.replaceWith(drawn);
    place.querySelector("p").textContent = said;
  } else {
    fill(place, drawn, h("p", { class: "hint" }, said));
  }
}
