// The queues: how much work waits, is done and was given up; and the dead letters of one queue.
import { html, useRef, useState } from "../vendor/ui.js";
import { act, ask, newKey } from "../api.js";
import { refresh, usePoll } from "../live.js";
import { href, route } from "../route.js";
import { ShowCall } from "../parts/call.js";
import { Confirm } from "../parts/confirm.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { toast } from "../parts/toast.js";
import { Trend, useSamples } from "../parts/trend.js";
import { counted } from "../words.js";

/** @typedef {{pending: number, processing: number, completed: number, failed: number, dead: number}} Figures */
/** @typedef {{id: string, reason: string, attempts: number | null, causedBy: string, body: string,
 *   deadAt: string}} Letter */
/** @typedef {{items: Letter[], nextCursor: string | null}} Page */

/** The lines of each queue. */
const LINES = /** @type {const} */ (["pending", "dead"]);
const COLUMNS = /** @type {const} */ (["pending", "processing", "completed", "failed", "dead"]);
/** Counts end here, and say so. */
const COUNTED = 1_000;

export function Queues() {
  const path = "api/admin/queue-stats";
  const polled = usePoll(
    path,
    (gone) => ask("GET", path, { signal: gone }),
    (data) => data.pending + data.processing > 0,
  );
  const samples = useSamples(polled, drawn);
  return html`
    <h1>Queues</h1>
    <${Loaded} polled=${polled}>${(/** @type {{queues: Record<string, Figures>}} */ data) =>
      html`
        <table>
          <thead>
            <tr><th scope="col">Queue</th>${COLUMNS.map((name) =>
              html`<th scope="col" class="end">${name}</th>`
            )}<th scope="col" class="end">While this page is open</th></tr>
          </thead>
          <tbody>${Object.entries(data.queues).map(([queue, figures]) =>
            html`
              <tr key=${queue}>
                <td class="wide"><a href=${href("queues", queue)}>${queue}</a></td>
                ${COLUMNS.map((name) =>
                  html`<td data-label=${name} class="end ${
                    name === "dead" && figures.dead ? "bad" : ""
                  }">${shown(figures[name], name)}</td>`
                )}
                <td data-label="Lately" class="end">
                  <${Trend} title=${queue} samples=${samples[queue] ?? []} names=${LINES} />
                </td>
              </tr>
            `
          )}</tbody>
        </table>
        <p
          class="hint">Completed and failed are exact; the others are about right. Dead letters are kept for 14 days.
          The lines show pending, and dashed the dead letters.</p>
      `}<//>
  `;
}

/** @param {{queues: Record<string, Figures>}} data */
function drawn({ queues }) {
  return Object.fromEntries(
    Object.entries(queues).map(([queue, figures]) => [queue, LINES.map((name) => figures[name])]),
  );
}

/** @param {number} count
 * @param {string} name */
function shown(count, name) {
  const words = new Intl.NumberFormat("en").format(count);
  return name === "dead" && count >= COUNTED ? `${words} or more` : words;
}

export function DeadLetters() {
  const queue = route.value.id;
  const { cursor = "" } = route.value.query;
  const base = `api/admin/queues/${encodeURIComponent(queue)}/dead`;
  const path = `${base}?${new URLSearchParams({ limit: "50", ...(cursor ? { cursor } : {}) })}`;
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => false);
  return html`
    <p class="back"><a href=${href("queues")}>Queues</a></p>
    <h1>Dead letters of ${queue}</h1>
    <${Loaded} polled=${polled}>${(/** @type {Page} */ data) =>
      data.items.length
        ? html`<${Letters} key=${path} queue=${queue} base=${base} page=${data} />`
        : html`
          <${Empty} title="No dead letter">
            <p>Work of this queue that was given up would stand here with its reason.</p>
            <//>
        `}<//>
  `;
}

/** @param {{queue: string, base: string, page: Page}} props */
function Letters({ queue, base, page }) {
  const { cursor = "" } = route.value.query;
  const [chosen, setChosen] = useState(/** @type {string[]} */ ([]));
  const here = chosen.filter((id) => page.items.some((letter) => letter.id === id));
  const choose = (/** @type {string} */ id, /** @type {boolean} */ on) =>
    setChosen(on ? [...chosen, id] : chosen.filter((one) => one !== id));
  return html`
    <${Actions} queue=${queue} base=${base} chosen=${here} />
    <section class="cards" aria-label="Dead letters">${page.items.map((letter) =>
      html`
        <article class="card" key=${letter.id}>
          <header>
            <h2>${letter.reason}</h2>
            <label class="check"><input type="checkbox" aria-label="Choose ${letter.id}"
              checked=${here.includes(letter.id)}
              onChange=${(/** @type {{currentTarget: HTMLInputElement}} */ event) =>
                choose(letter.id, event.currentTarget.checked)} /></label>
          </header>
          <p class="quiet">Given up <${Time} at=${letter.deadAt} />${letter.attempts === null
            ? " by SQS"
            : `, after ${counted(letter.attempts, "attempt")}`}${letter.causedBy &&
            html`, caused by request <code>${letter.causedBy}</code>`}</p>
          <details>
            <summary>Message</summary>
            <pre tabindex="0">${letter.body}</pre>
          </details>
        </article>
      `
    )}</section>
    ${(cursor || page.nextCursor) && html`
      <nav class="pages" aria-label="Rest of the list">
        ${cursor && html`<a class="button" href=${href("queues", queue)}>Oldest</a>`}
        ${page.nextCursor &&
          html`<a class="button" href=${
            href("queues", queue, { cursor: page.nextCursor })
          }>Next page</a>`}
      </nav>
    `}
  `;
}

/** @param {{queue: string, base: string, chosen: string[]}} props */
function Actions({ queue, base, chosen }) {
  const [open, setOpen] = useState("");
  const key = useRef(newKey());
  const path = `${base}/redrive`;
  const body = chosen.length ? { ids: chosen } : {};
  const ready = (/** @type {string} */ name) => {
    key.current = newKey();
    setOpen(name);
  };
  const redrive = async () => {
    const { redriven, more } = await act("redrive", "POST", path, {
      body,
      key: key.current,
      deadlineMs: 30_000,
    });
    toast(`Sent back ${counted(redriven, "dead letter")}${more ? "; there are more" : ""}`);
    refresh();
  };
  const purge = async () => {
    const { purged, more } = await act(
      "purge",
      "DELETE",
      `${base}?confirm=${encodeURIComponent(queue)}`,
      { deadlineMs: 30_000 },
    );
    toast(`Threw away ${counted(purged, "dead letter")}${more ? "; there are more" : ""}`);
    refresh();
  };
  const what = chosen.length ? counted(chosen.length, "dead letter") : "all dead letters";
  return html`
    <div class="actions">
      <button type="button" onClick=${() => ready("redrive")}>Send back ${what}</button>
      <${ShowCall} name="redrive" would=${{ method: "POST", path, body }} />
      <button type="button" class="danger" onClick=${() => ready("purge")}>Throw all away</button>
    </div>
    ${open === "redrive" && html`
      <${Confirm} title="Send back ${what}?" verb="Send back ${what}" word=${queue}
        act=${redrive}
        close=${() => setOpen("")}>
        <p>The work of <strong>${queue}</strong> is tried again. What is done already is not done twice.</p>
        <//>
    `}
    ${open === "purge" && html`
      <${Confirm} title="Throw all dead letters away?" verb="Throw all away" word=${queue} always
        act=${purge}
        close=${() => setOpen("")}>
        <p>All dead letters of <strong>${queue}</strong> are deleted. Their work is never done.</p>
        <//>
    `}
  `;
}
