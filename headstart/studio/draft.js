// The rows on the Teach page: kept in the tab as text, and as the server has read them.
import { post, Problem } from "./api.js";

const KEPT = "headstart-draft";

/** Rows that can be taught; null: the text holds none; undefined: it has not been read yet. */
let rows;

export const kept = () => sessionStorage.getItem(KEPT) ?? "";

/** Keep a text; what was known of the one before says nothing of it. */
export function keep(text) {
  sessionStorage.setItem(KEPT, text);
  rows = undefined;
}

/** What the server has read in the text that is kept. */
export const found = (read) => {
  rows = read;
};

/** Whether there may be rows. */
export const drafted = () => rows !== null && Boolean(kept().trim());

/** The rows, each as its messages. */
export async function drafts() {
  if (rows === undefined) {
    const told = await post("/v1/fine_tuning/forecast", { text: kept() });
    rows = usable(told) ? told.rows : null;
  }
  if (!rows) throw new Problem("The rows on the Teach page cannot be used as they are; there it is told why.");
  return rows.map((row) => row.messages);
}

/** Whether what was read can be taught: two rows at the least, and none that is wrong. */
export const usable = (told) => told.good >= 2 && told.good === told.rows.length;
