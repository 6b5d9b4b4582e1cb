// Money: whole numbers of a currency's smallest unit, shown and typed in the currency's own digits.

/** How many digits follow the decimal point of a currency (ISO 4217): JPY 0, EUR 2, KWD 3.
 * @param {string} currency */
export function digits(currency) {
  try {
    return format(currency).resolvedOptions().maximumFractionDigits ?? 2;
  } catch {
    // No currency code (yet): somebody is typing it.
    return 2;
  }
}

/** An amount as people read it, such as "EUR 1,250.00".
 * @param {number} minor
 * @param {string} currency */
export function money(minor, currency) {
  try {
    return `${currency} ${number(typed(minor, currency), digits(currency))}`;
  } catch {
    return `${currency} ${typed(minor, currency)}`;
  }
}

/** An amount as it is typed into a field: "1250.00".
 * @param {number} minor
 * @param {string} currency */
export function typed(minor, currency) {
  const places = digits(currency);
  const text = String(minor).padStart(places + 1, "0");
  return places ? `${text.slice(0, -places)}.${text.slice(-places)}` : text;
}

/** The amount in the smallest unit that *text* says, or null if it says none. Spaces and commas between digits are
 * ignored, as people copy amounts from elsewhere; the decimal point is a point.
 * @param {string} text
 * @param {string} currency
 * @returns {number | null} */
export function minor(text, currency) {
  const places = digits(currency);
  const found = /^(\d+)(?:\.(\d*))?$/.exec(text.replace(/[\s,]/g, ""));
  if (!found || (found[2] ?? "").length > places) return null;
  const value = Number(`${found[1]}${(found[2] ?? "").padEnd(places, "0")}`);
  return Number.isSafeInteger(value) ? value : null;
}

/** @param {string} text exact decimal digits
 * @param {number} places */
function number(text, places) {
  const [whole = "0", rest] = text.split(".");
  const grouped = new Intl.NumberFormat("en").format(BigInt(whole));
  return places ? `${grouped}.${rest}` : grouped;
}

/** @param {string} currency */
function format(currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency });
}
