// Numbers and times as people read them, and which words of two texts differ.

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) {
    count /= 1000;
    at += 1;
  }
  return `${at && count < 100 ? count.toFixed(1) : Math.round(count)}\u00a0${units[at]}`;
}

export const percent = (part) => `${Math.round(100 * part)}\u00a0%`;

export const many = (count, one, more = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;

export function seconds(time) {
  if (time < 10) return `${time.toFixed(1)}\u00a0s`;
  if (time < 100) return `${Math.round(time)}\u00a0s`;
  return time < 5400 ? `${Math.round(time / 60)}\u00a0min` : `${(time / 3600).toFixed(1)}\u00a0h`;
}

/** From so long to so long, in as few words as say it. */
export function range(least, most) {
  const [a, b] = [Math.max(1, Math.round(least)), Math.max(1, Math.round(most))];
  if (b < 100) return a === b ? `${a}\u00a0s` : `${a} to ${b}\u00a0s`;
  return seconds(least) === seconds(most) ? seconds(least) : `${seconds(least)} to ${seconds(most)}`;
}

export function ago(epoch) {
  const past = Date.now() / 1000 - epoch;
  if (past < 60) return "just now";
  if (past < 3600) return many(Math.round(past / 60), "minute") + " ago";
  if (past < 86400) return many(Math.round(past / 3600), "hour") + " ago";
  return new Date(epoch * 1000).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

export const cut = (text, most = 400) => (text.length > most ? `${text.slice(0, most).trimEnd()} …` : text);

const pieces = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];

const MOST = 600;

/** The pieces of a text, each with whether it stands in the other too: the longest common run of words, in order. */
export function differing(text, other) {
  const [mine, theirs] = [pieces(text).slice(0, MOST), pieces(other).slice(0, MOST)];
  const far = Array.from({ length: mine.length + 1 }, () => new Uint16Array(theirs.length + 1));
  for (let i = mine.length - 1; i >= 0; i -= 1) {
    for (let j = theirs.length - 1; j >= 0; j -= 1) {
      far[i][j] = mine[i] === theirs[j] ? far[i + 1][j + 1] + 1 : Math.max(far[i + 1][j], far[i][j + 1]);
    }
  }
  const told = [];
  for (let i = 0, j = 0; i < mine.length;) {
    const same = j < theirs.length && mine[i] === theirs[j];
    if (!same && j < theirs.length && far[i][j + 1] > far[i + 1][j]) {
      j += 1;
      continue;
    }
    told.push([mine[i], same || !mine[i].trim()]);
    i += 1;
    if (same) j += 1;
  }
  const rest = pieces(text).slice(MOST).join("");
  return rest ? [...told, [rest, true]] : told;
}
