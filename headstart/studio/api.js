// The server, by its public API: the key, what went wrong in words, and streams of events.

const KEPT = "headstart-key";
const listeners = new Set();
let asked = null;
let askKey = async () => null;

/** Told `true` when the server answers and `false` when it does not. */
export const onContact = (listener) => listeners.add(listener);
const contact = (is) => listeners.forEach((listener) => listener(is));

/** How the key is asked for: a function that gives it, told whether the last one was wrong. */
export const askedBy = (ask) => {
  askKey = ask;
};

/** What the server refused, or that it does not answer (`status` 0). */
export class Problem extends Error {
  constructor(message, status = 0, param = null) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

/** Whether a key can be sent: a header holds printable ASCII alone. */
export const sendable = (key) => /^[\x20-\x7e]+$/.test(key);

/** The key that this tab keeps; null: none that can be sent. */
function keyOf() {
  const key = sessionStorage.getItem(KEPT);
  return key && sendable(key) ? key : null;
}

async function renewed(wrong) {
  // Several requests may be refused at once, and one question is enough.
  asked ??= askKey(wrong).finally(() => {
    asked = null;
  });
  sessionStorage.setItem(KEPT, await asked);
}

async function sent(path, { method = "GET", json, form, signal, headers = {} } = {}) {
  const key = keyOf();
  const body = form ?? (json === undefined ? undefined : JSON.stringify(json));
  const all = {
    ...headers,
    ...(key ? { Authorization: `Bearer ${key}` } : {}),
    ...(json === undefined ? {} : { "Content-Type": "application/json" }),
  };
  try {
    const answer = await fetch(path, { method, body, signal, headers: all, cache: "no-store", credentials: "omit" });
    contact(true);
    return [answer, key];
  } catch (error) {
    if (error.name === "AbortError") throw error;
    contact(false);
    throw new Problem("The server does not answer. If it was stopped, start it again with `headstart serve`; this page goes on by itself.");
  }
}

/** A request; its answer, or a Problem. Where the key is wanted it is asked for, and the request made again. */
export async function call(path, options) {
  for (;;) {
    const [answer, key] = await sent(path, options);
    if (answer.status === 401) {
      // While it was on its way another may have asked already.
      if (key === keyOf()) await renewed(key !== null);
      continue;
    }
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => null);
    const error = told?.error ?? {};
    throw new Problem(error.message ?? `The server answered with ${answer.status}.`, answer.status, error.param ?? null);
  }
}

export const get = async (path, options) => (await call(path, options)).json();
export const post = async (path, json = {}, options = {}) => (await call(path, { method: "POST", json, ...options })).json();
export const drop = async (path) => (await call(path, { method: "DELETE" })).json();

/** The name of a thing as a part of a path. */
export const at = (name) => encodeURIComponent(name);

/** Server-sent events of an answer, each as {id, event, data}. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      kept += value;
      const whole = kept.split("\n\n");
      kept = whole.pop();
      for (const block of whole) {
        const it = { id: null, event: "message", data: "" };
        for (const line of block.split("\n")) {
          const [name, ...rest] = line.split(": ");
          if (name in it) it[name] = rest.join(": ");
        }
        if (it.data) yield it;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Save an answer as a file. */
export async function download(path, name) {
  const file = URL.createObjectURL(await (await call(path)).blob());
  const link = document.createElement("a");
  link.href = file;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(file), 10_000);
}
