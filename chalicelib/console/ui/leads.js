// Leads from pasted or dropped text: CSV with or without a heading, or one address in each line.

/** @typedef {{email: string, name: string}} Lead */
/** *twice* counts the lines whose address an earlier line has.
 * @typedef {{leads: Lead[], twice: number}} Read */

/** As many leads as one activation takes. */
export const MOST_LEADS = 10_000;

/** Read leads. A heading names the columns `email` and `name`; without one, they are the first two.
 * @param {string} text
 * @returns {Read} */
export function leadsOf(text) {
  const rows = cells(text).filter((row) => row.some((cell) => cell));
  const heading = (rows[0] ?? []).map((cell) => cell.toLowerCase());
  const named = heading.includes("email");
  const email = named ? heading.indexOf("email") : 0;
  const name = named ? heading.indexOf("name") : 1;
  /** @type {Map<string, Lead>} */
  const found = new Map();
  const lines = rows.slice(named ? 1 : 0).filter((row) => row[email]);
  for (const row of lines) {
    const key = (row[email] ?? "").toLowerCase();
    if (!found.has(key)) found.set(key, { email: row[email] ?? "", name: row[name] ?? "" });
  }
  return { leads: [...found.values()], twice: lines.length - found.size };
}

/** The cells of each line (RFC 4180), with commas or semicolons, without spaces around.
 * @param {string} text
 * @returns {string[][]} */
function cells(text) {
  /** @type {string[][]} */
  const rows = [[]];
  const cell = /("(?:[^"]|"")*"|[^",;\r\n]*)[ \t]*(,|;|\r\n|\n|\r|$)/gy;
  cell.lastIndex = text.startsWith("\ufeff") ? 1 : 0;
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text);
    // A quote in the middle of a cell: the rest of the line is no CSV.
    if (!match) return rows;
    const [, value = "", end = ""] = match;
    const plain = value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value;
    rows.at(-1)?.push(plain.trim());
    if (end !== "," && end !== ";") rows.push([]);
  }
  return rows;
}
