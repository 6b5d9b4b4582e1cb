// Lines of what was seen while the page is open. Each line differs by colour and dashes, and is told in words.
import { html, useRef } from "../vendor/ui.js";
import { added, points, told } from "../chart.js";
import { length } from "../time.js";

/** @typedef {import("../chart.js").Sample} Sample */

const [WIDTH, HEIGHT] = [120, 28];

/** The samples of each name, with one more after each answer of a poll.
 * @template T
 * @param {import("../live.js").Polled<T>} polled
 * @param {(data: T) => Record<string, number[]>} take
 * @returns {Record<string, Sample[]>} */
export function useSamples({ data, atMs }, take) {
  const kept = useRef({ atMs: 0, samples: /** @type {Record<string, Sample[]>} */ ({}) });
  if (data !== null && atMs !== kept.current.atMs) {
    const samples = Object.entries(take(data)).map(([name, values]) => [
      name,
      added(kept.current.samples[name] ?? [], { atMs, values }),
    ]);
    kept.current = { atMs, samples: Object.fromEntries(samples) };
  }
  return kept.current.samples;
}

/** *names* are the lines: the first is drawn through, the second dashed.
 * @param {{title: string, samples: Sample[], names: readonly string[], unit?: string}} props */
export function Trend({ title, samples, names, unit }) {
  const sinceMs = (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
  const words = `${title} in the last ${length(sinceMs)}: ${told(samples, names, unit)}`;
  // A line that was always 0 is the base line.
  const drawn = names.map((_, index) => samples.some(({ values }) => values[index]));
  return html`
    <svg class="trend" role="img" aria-label=${words} viewBox="0 0 ${WIDTH} ${HEIGHT}">
      <path class="base" d="M0 ${HEIGHT - 2}H${WIDTH}" />
      ${names.map((name, index) =>
        drawn[index] && html`
          <polyline key=${name} class="line${index}" points=${points(
            samples,
            index,
            WIDTH,
            HEIGHT,
          )} />
        `
      )}
    </svg>
  `;
}
