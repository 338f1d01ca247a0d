// Files that are opened or dropped, as text.
import { Problem } from "./api.js";

const LARGEST = 4_000_000;

/** The text of a file, or a Problem that says why it has none. */
export async function textOf(file) {
  if (file.size > LARGEST) {
    throw new Problem(`'${file.name}' has ${file.size.toLocaleString("en")} bytes; ten examples are enough, and 4 MB the most.`);
  }
  const bytes = await file.arrayBuffer().catch(() => {
    throw new Problem(`'${file.name}' cannot be read: a file is wanted, and no folder.`);
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Problem(`'${file.name}' is not UTF-8 text; save it as UTF-8.`);
  }
}

/** Whether the end of a file's name tells how its rows are read. */
export const telling = (name) => /\.(jsonl|ndjson|json|csv|tsv)$/i.test(name);
