// The shapes of charts as numbers: parts of a bar, points of a line, and what a line says in words. Draws nothing.

/** What was measured at one moment, in a fixed order.
 * @typedef {{atMs: number, values: number[]}} Sample */

/** As many moments as a line keeps. */
export const MOST = 300;
/** A line shows this time at least, so that it grows from its end and is not stretched. */
const SPAN_MS = 300_000;
/** The room of a line's own width, at each edge. */
const EDGE = 2;

/** The parts of a bar in percent of *whole*. A part that is not 0 has *least* percent, and all parts fit into 100.
 * @param {number[]} parts
 * @param {number} whole
 * @param {number} [least]
 * @returns {number[]} */
export function shares(parts, whole, least = 3) {
  const wanted = parts.map((part) => part > 0 ? Math.max(least, part / whole * 100) : 0);
  const over = wanted.reduce((sum, share) => sum + share, 0) - 100;
  if (over <= 0) return wanted;
  const widest = wanted.indexOf(Math.max(...wanted));
  return wanted.map((share, index) => index === widest ? share - over : share);
}

/** The samples with one more, the oldest dropped beyond 300.
 * @param {Sample[]} samples
 * @param {Sample} sample
 * @returns {Sample[]} */
export function added(samples, sample) {
  return [...samples, sample].slice(-MOST);
}

/** The points of one line in a box, as an SVG's polyline takes them. The last moment is at the right edge, 0 at the
 * bottom, the greatest of all values at the top. A single moment is a short line.
 * @param {Sample[]} samples
 * @param {number} index
 * @param {number} width
 * @param {number} height */
export function points(samples, index, width, height) {
  const lastMs = samples.at(-1)?.atMs ?? 0;
  const spanMs = Math.max(SPAN_MS, lastMs - (samples[0]?.atMs ?? 0));
  const top = Math.max(1, ...samples.flatMap(({ values }) => values));
  const at = (/** @type {number} */ ms, /** @type {number} */ value) => {
    const x = width - EDGE - (lastMs - ms) / spanMs * (width - 2 * EDGE);
    const y = height - EDGE - value / top * (height - 2 * EDGE);
    return `${round(x)},${round(y)}`;
  };
  const drawn = samples.map(({ atMs, values }) => at(atMs, values[index] ?? 0));
  if (samples.length === 1) drawn.unshift(at(lastMs - spanMs / 50, samples[0]?.values[index] ?? 0));
  return drawn.join(" ");
}

/** The lines in words: "pending 0 to 5, now 3; dead 0".
 * @param {Sample[]} samples
 * @param {readonly string[]} names
 * @param {string} [unit]
 * @returns {string} */
export function told(samples, names, unit = "") {
  return names.map((name, index) => {
    const values = samples.map((sample) => sample.values[index] ?? 0);
    const [least, most, now] = [Math.min(...values), Math.max(...values), values.at(-1) ?? 0];
    const words = least === most
      ? `${now}${unit}`
      : `${least} to ${most}${unit}, now ${now}${unit}`;
    return name ? `${name} ${words}` : words;
  }).join("; ");
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
