// One answer as it grows, and how fast it grew.
import { call, events } from "./api.js";
import { fill, h } from "./dom.js";
import { many } from "./words.js";
import { marked } from "./report.js";

/** A column: `place` is its element, `ask` fills it, `mark` marks what differs from another's. */
export function column(value, label, model, before) {
  const [text, foot] = [h("p", { class: "text" }), h("p", { class: "foot" }, "waiting")];
  const place = h(
    "article",
    { class: "card answer", "aria-busy": "true", "aria-label": `Answer of ${label}` },
    h("h2", {}, label),
    text,
    foot,
  );
  const it = { value, label, place, text: "", failed: "" };

  async function grow(answer, since) {
    let [first, tokens, reason] = [0, 0, ""];
    for await (const event of events(answer)) {
      if (event.data === "[DONE]") break;
      const told = JSON.parse(event.data);
      if (told.error) throw new Error(told.error.message);
      const choice = told.choices[0];
      if (choice?.delta?.content) {
        first ||= performance.now();
        it.text += choice.delta.content;
        text.textContent = it.text;
        foot.textContent = "writing …";
      }
      reason = choice?.finish_reason ?? reason;
      tokens = told.usage?.completion_tokens ?? tokens;
    }
    const [end, waited] = [performance.now(), ((first || performance.now()) - since) / 1000];
    const pace = first && tokens > 1 ? ` · ${((tokens - 1) / Math.max(0.001, (end - first) / 1000)).toFixed(1)} tokens a second` : "";
    const cut = reason === "length" ? " · cut off" : "";
    foot.textContent = `${many(tokens, "token")}${pace} · first after ${waited.toFixed(1)}\u00a0s${cut}`;
  }

  it.ask = async (question, settings, signal) => {
    const messages = [...before, { role: "user", content: question }];
    const since = performance.now();
    try {
      const json = { model, messages, stream: true, stream_options: { include_usage: true }, ...settings };
      await grow(await call("/v1/chat/completions", { method: "POST", json, signal }), since);
      if (!it.text) text.textContent = "(nothing)";
    } catch (error) {
      it.failed = error.name === "AbortError" ? "stopped" : error.message;
      foot.textContent = it.failed;
      foot.classList.toggle("wrong", error.name !== "AbortError");
    } finally {
      place.setAttribute("aria-busy", "false");
    }
  };

  it.mark = (other) => {
    if (!it.text) return;
    if (!other?.text) text.textContent = it.text;
    else fill(text, marked(it.text, other.text));
  };
  return it;
}
