// How a webhook fares: its calls of the last days, how long answers took, and what waits.
import { html } from "../vendor/ui.js";
import { ask } from "../api.js";
import { usePoll } from "../live.js";
import { Loaded } from "./states.js";
import { Time } from "./time.js";
import { length } from "../time.js";
import { upTo } from "../words.js";

/** @typedef {{days: number, answered: number, failed: number,
 *   latencyMs: {p50: number, p90: number, p99: number} | null, waiting: number, nextDueAt: string | null}} Statistics */

/** Counts end here. */
const MOST_WAITING = 1_000;
const NUMBER = new Intl.NumberFormat("en");

/** @param {{path: string}} props *path* of the webhook */
export function Figures({ path }) {
  const asked = `${path}/statistics`;
  const polled = usePoll(
    asked,
    (gone) => ask("GET", asked, { signal: gone }),
    (/** @type {Statistics} */ { waiting }) => waiting > 0,
  );
  return html`
    <section class="card" aria-label="Statistics">
      <h2>The last 7 days</h2>
      <${Loaded} polled=${polled}>${(/** @type {Statistics} */ found) =>
        html`
          <dl class="pairs">
            <div><dt>Calls</dt><dd>${calls(found)}</dd></div>
            ${found.latencyMs && html`
              <div>
                <dt>Answers within</dt>
                <dd>${length(found.latencyMs.p50)} (half), ${length(
                  found.latencyMs.p90,
                )} (90 %), ${length(found.latencyMs.p99)} (99 %)</dd>
              </div>
            `}
            <div>
              <dt>Waiting</dt>
              <dd>${upTo(found.waiting, MOST_WAITING)}${found.nextDueAt &&
                html`, the next due <${Time} at=${found.nextDueAt} />`}</dd>
            </div>
          </dl>
        `}<//>
    </section>
  `;
}

/** @param {Statistics} found */
function calls({ answered, failed }) {
  const all = answered + failed;
  if (!all) return "none yet";
  const percent = Math.floor(answered * 100 / all);
  return `${NUMBER.format(answered)} taken, ${NUMBER.format(failed)} failed: ${percent} % taken`;
}
