// The overview: is it well, what waits, what was given up; and the first steps of a new deployment.
import { html, useEffect, useRef } from "../vendor/ui.js";
import { ask } from "../api.js";
import { part, refresh, usePoll } from "../live.js";
import { firstSteps } from "../preferences.js";
import { href } from "../route.js";
import { nameOf, readiness } from "../stores.js";
import { Bar } from "../parts/bar.js";
import { Shape, State } from "../parts/icon.js";
import { place } from "../parts/hook.js";
import { FirstSteps, look, NOTHING } from "../parts/steps.js";
import { dated, Tile } from "../parts/tile.js";
import { length } from "../time.js";
import { counted, upTo } from "../words.js";

/** @typedef {import("../stores.js").Readiness} Readiness */
/** @typedef {import("./queues.js").Figures} Figures */
/** @typedef {Figures & {queues: Record<string, Figures>}} Stats */
/** @typedef {import("./approvals.js").Counts} Counts */
/** @typedef {import("../parts/hook.js").Webhook} Webhook */
/** @template T
 * @typedef {import("../live.js").Polled<T>} Polled */
/** @typedef {{counts: Polled<Counts>, stats: Polled<Stats>, hooks: Polled<{items: Webhook[]}>,
 *   steps: import("../parts/steps.js").Found}} Work */
/** @typedef {{to: string, words: string}} Failing */

/** The stores are cheap to ask. Counting a queue takes three round trips, so the rest is asked for every 30 s. */
const [STORES_MS, DOWN_MS] = [12_000, 5_000];
/** Counts end here. */
const [MOST_QUESTIONS, MOST_DEAD] = [500, 1_000];
const BY_HAND = "by an administrator";
const PARTS = /** @type {const} */ (["pending", "processing", "dead"]);

/** @type {Polled<any>} */
const UNKNOWN = { data: null, problem: null, atMs: 0 };

export function Overview() {
  const stores = usePoll(
    "stores",
    readiness,
    ({ status }) => status === "ready" ? STORES_MS : DOWN_MS,
  );
  const { counts, stats, hooks, steps } = useWork();
  useRefreshAtChange(stores.problem ? "none" : stores.data?.status ?? "");
  return html`
    <div class="title">
      <h1>Overview</h1>
      ${firstSteps.value === "skipped" &&
        html`<button type="button" onClick=${showSteps}>Show the first steps</button>`}
    </div>
    <${Verdict} stores=${stores} stats=${stats} hooks=${hooks} />
    <div class="overview">
      <div>
        <section class="tiles" aria-label="State">
          <${Stores} polled=${stores} />
          <${Questions} polled=${counts} />
          <${Unanswered} polled=${counts} />
          <${Dead} polled=${stats} />
        </section>
        <${Queues} polled=${stats} />
      </div>
      <${FirstSteps} found=${steps} callbacks=${stats.data?.queues.callback?.completed ?? 0} />
    </div>
  `;
}

function showSteps() {
  firstSteps.value = "";
  refresh();
}

/** What needs a session, each part for itself: a store that is down leaves the other's data.
 * @returns {Work} */
function useWork() {
  const last = useRef(
    /** @type {Work} */ ({
      counts: UNKNOWN,
      stats: UNKNOWN,
      hooks: UNKNOWN,
      steps: NOTHING,
    }),
  );
  usePoll("work", async (gone) => {
    const get = (/** @type {string} */ path) => () => ask("GET", path, { signal: gone });
    const [counts, stats, hooks] = await Promise.all([
      part(last.current.counts, get("api/pending-responses/counts")),
      part(last.current.stats, get("api/admin/queue-stats")),
      part(last.current.hooks, get("api/webhooks")),
    ]);
    last.current = { ...last.current, counts, stats, hooks };
    const mark = JSON.stringify([counts.data, stats.data?.completed]);
    if (!firstSteps.peek()) {
      const steps = await look(last.current.steps, mark, gone);
      last.current = { ...last.current, steps };
    }
    return last.current;
  }, ({ counts, stats, hooks }) =>
    // A store that is back may refuse once more.
    counts.problem || stats.problem || hooks.problem ? DOWN_MS : "seldom");
  return last.current;
}

/** Ask for everything again as soon as a store is down, or is back.
 * @param {string} status */
function useRefreshAtChange(status) {
  const before = useRef("");
  useEffect(() => {
    if (before.current && status) refresh();
    if (status) before.current = status;
  }, [status]);
}

/** What is failing now, each with the page that shows it.
 * @param {Readiness | null} stores
 * @param {Stats | null} stats
 * @param {Webhook[]} [hooks]
 * @returns {Failing[]} */
export function failing(stores, stats, hooks = []) {
  const down = Object.entries(stores?.stores ?? {}).filter(([, { ok }]) => !ok);
  const dead = Object.entries(stats?.queues ?? {}).filter(([, figures]) => figures.dead);
  return [
    ...down.map(([store]) => ({
      to: href("cluster"),
      words: `${nameOf(store)} does not answer`,
    })),
    ...dead.map(([queue, figures]) => ({
      to: href("queues", queue),
      words: `${counted(figures.dead, "dead letter")} in ${queue}`,
    })),
    // What an administrator has disabled does not fail.
    ...hooks.filter(({ enabled, disabledReason }) => !enabled && disabledReason !== BY_HAND).map(
      ({ webhookId, url }) => ({
        to: href("webhooks", webhookId),
        words: `The webhook to ${place(url)} is disabled`,
      }),
    ),
  ];
}

/** @param {{stores: Polled<Readiness>, stats: Polled<Stats>, hooks: Polled<{items: Webhook[]}>}} props */
function Verdict({ stores, stats, hooks }) {
  const found = failing(stores.data, stats.data, hooks.data?.items);
  if (found.length) {
    return html`
      <section class="verdict" aria-label="What is failing">
        <${Shape} tone="bad" />
        <ul>${found.map(({ to, words }) =>
          html`<li key=${words}><a href=${to}>${words}</a></li>`
        )}</ul>
      </section>
    `;
  }
  const [tone, words] = !stores.data || !stats.data
    ? ["mute", "Asking the stores…"]
    : stores.problem || stats.problem
    ? ["mute", "All was well when last asked"]
    : ["good", "All is well"];
  return html`<p class="verdict ${tone}"><${Shape} tone=${tone} />${words}</p>`;
}

/** @param {{polled: Polled<Readiness>}} props */
function Stores({ polled }) {
  return html`
    <a class="card tile ${polled.problem ? "old" : ""}" href=${href("cluster")}>
      <span class="name">Stores</span>
      ${Object.entries(polled.data?.stores ?? { mongodb: null, dynamodb: null }).map((
        [store, reach],
      ) =>
        html`
          <span class="store" key=${store}>${reach
            ? html`<${State} state=${reach.ok ? "ok" : "down"} />`
            : "–"}<span>${nameOf(store)}</span>${reach?.ok &&
            html`<span class="quiet">${length(reach.latencyMs)}</span>`}</span>
        `
      )}
      ${polled.problem && html`<span class="quiet">${dated(polled)}</span>`}
    </a>
  `;
}

/** @param {{polled: Polled<Counts>}} props */
function Questions({ polled }) {
  return html`
    <${Tile} to=${href("approvals", "", {
      status: "pending",
    })} name="Open questions" polled=${polled}
      words="wait for an answer">${upTo(polled.data?.pending ?? 0, MOST_QUESTIONS)}<//>
  `;
}

/** @param {{polled: Polled<Counts>}} props */
function Unanswered({ polled }) {
  return html`
    <${Tile} to=${href("approvals", "", { status: "timeout" })} name="Timed out" polled=${polled}
      words="in the last 24 hours">${upTo(polled.data?.timeout ?? 0, MOST_QUESTIONS)}<//>
  `;
}

/** Leads to the queue with the most dead letters.
 * @param {{polled: Polled<Stats>}} props */
function Dead({ polled }) {
  const queues = Object.entries(polled.data?.queues ?? {}).filter(([, { dead }]) => dead);
  const [most = ""] = queues.sort(([, a], [, b]) => b.dead - a.dead)[0] ?? [];
  const dead = queues.reduce((sum, [, figures]) => sum + figures.dead, 0);
  const words = queues.length > 1
    ? `in ${queues.length} queues`
    : most
    ? `in ${most}`
    : "no work given up";
  return html`
    <${Tile} to=${href("queues", most)} name="Dead letters" polled=${polled} words=${words}
      tone=${dead ? "bad" : ""}>${upTo(dead, MOST_DEAD)}<//>
  `;
}

/** @param {{polled: Polled<Stats>}} props */
function Queues({ polled }) {
  const queues = Object.entries(polled.data?.queues ?? {});
  const whole = Math.max(1, ...queues.map(([, figures]) => sum(figures)));
  return html`
    <section class="card ${polled.problem ? "old" : ""}" aria-label="Queues">
      <header>
        <h2><a href=${href("queues")}>Queues</a></h2>
        ${polled.problem && html`<span class="quiet">${dated(polled)}</span>`}
      </header>
      <ul class="bars">${queues.map(([queue, figures]) =>
        html`
          <li key=${queue}>
            <a href=${href("queues", queue)}>${queue}</a>
            <${Bar} whole=${whole} parts=${PARTS.map((name) => ({ name, count: figures[name] }))} />
            <span class="quiet">${words(figures)}</span>
          </li>
        `
      )}</ul>
    </section>
  `;
}

/** @param {Figures} figures */
function sum(figures) {
  return PARTS.reduce((all, name) => all + figures[name], 0);
}

/** @param {Figures} figures */
function words(figures) {
  const some = PARTS.filter((name) => figures[name]);
  if (!some.length) return "empty";
  return some.map((name) => `${new Intl.NumberFormat("en").format(figures[name])} ${name}`)
    .join(", ");
}
