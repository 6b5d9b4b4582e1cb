// The cluster: whether each store answers and how quickly, and which instances answered this page.
import { html } from "../vendor/ui.js";
import { once } from "../api.js";
import { instances } from "../instances.js";
import { usePoll } from "../live.js";
import { nameOf, readiness } from "../stores.js";
import { State } from "../parts/icon.js";
import { Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { Trend, useSamples } from "../parts/trend.js";
import { left, length } from "../time.js";
import { counted } from "../words.js";

/** @typedef {{version: string, instanceId: string, uptimeSeconds: number}} Health */
/** @typedef {{health: Health, readiness: import("../stores.js").Readiness}} Look */

/** Two calls each time. */
const PAUSE_MS = 10_000;

export function Cluster() {
  const polled = usePoll("cluster", async (gone) => {
    const [health, ready] = await Promise.all([
      once("GET", "health", { signal: gone }),
      readiness(gone),
    ]);
    return { health, readiness: ready };
  }, () => PAUSE_MS);
  const samples = useSamples(
    polled,
    (data) =>
      Object.fromEntries(
        Object.entries(data.readiness.stores).map(([store, reach]) => [store, [reach.latencyMs]]),
      ),
  );
  return html`
    <h1>Cluster</h1>
    <${Loaded} polled=${polled}>${(/** @type {Look} */ { health, readiness }) =>
      html`
        <${Stores} readiness=${readiness} samples=${samples} />
        <section aria-label="Process">
          <h2>Process</h2>
          <dl class="pairs">
            <div>
              <dt>Version</dt>
              <dd>${health.version}</dd>
            </div>
            <div>
              <dt>Instance</dt>
              <dd><code>${health.instanceId}</code>, up for ${left(
                health.uptimeSeconds * 1000,
              )}</dd>
            </div>
          </dl>
          <p class="hint">The process that answered last.</p>
        </section>
      `}<//>
    <${Instances} />
  `;
}

/** @param {{readiness: import("../stores.js").Readiness,
 *   samples: Record<string, import("../chart.js").Sample[]>}} props */
function Stores({ readiness, samples }) {
  return html`
    <section aria-label="Stores">
      <h2>Stores</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Store</th>
            <th scope="col">State</th>
            <th scope="col" class="end">Latency</th>
            <th scope="col" class="end">While this page is open</th>
          </tr>
        </thead>
        <tbody>${Object.entries(readiness.stores).map(([store, reach]) =>
          html`
            <tr key=${store}>
              <td class="wide">${nameOf(store)}</td>
              <td data-label="State">
                <${State} state=${reach.ok ? "ok" : "down"} />
              </td>
              <td data-label="Latency" class="end">${reach.ok
                ? length(reach.latencyMs)
                : "no answer"}</td>
              <td data-label="Lately" class="end">
                <${Trend} title="Latency of ${nameOf(store)}" samples=${samples[store] ?? []}
                  names=${[""]} unit=" ms" />
              </td>
            </tr>
          `
        )}</tbody>
      </table>
    </section>
  `;
}

function Instances() {
  const all = Object.entries(instances.value);
  return html`
    <section aria-label="Instances">
      <h2>Instances</h2>
      <p>Answered by ${counted(all.length, "instance")} since the console was opened.</p>
      <table>
        <thead>
          <tr>
            <th scope="col">Instance</th>
            <th scope="col" class="end">Calls</th>
            <th scope="col" class="end">Last answer</th>
          </tr>
        </thead>
        <tbody>${all.map(([id, { calls, atMs }]) =>
          html`
            <tr key=${id}>
              <td class="wide"><code>${id}</code></td>
              <td data-label="Calls" class="end">${calls}</td>
              <td data-label="Last answer" class="end">
                <${Time} at=${new Date(atMs).toISOString()} />
              </td>
            </tr>
          `
        )}</tbody>
      </table>
    </section>
  `;
}
