// The ledger: every payment in order, each chained to the one before; and a check of the whole chain.
import { html, useState } from "../vendor/ui.js";
import { ask, Problem } from "../api.js";
import { usePoll } from "../live.js";
import { money } from "../money.js";
import { href, route } from "../route.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";

/** @typedef {{seq: number, at: string, kind: string, applicationId: string, amountMinor: number, currency: string,
 *   previousHash: string, hash: string}} Entry */
/** @typedef {{ok: boolean, entries: number, headHash: string, firstBrokenSeq: number | null,
 *   nextCursor: string | null}} Verified */

const HASH_SHOWN = 10;

export function Ledger() {
  const { cursor = "" } = route.value.query;
  const search = new URLSearchParams({ limit: "50", ...(cursor ? { cursor } : {}) });
  const path = `api/ledger?${search}`;
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => "seldom");
  return html`
    <h1>Ledger</h1>
    <${Verify} />
    <${Loaded} polled=${polled}>${(
      /** @type {{items: Entry[], nextCursor: string | null}} */ data,
    ) =>
      data.items.length
        ? html`<${Rows} items=${data.items} cursor=${cursor} next=${data.nextCursor} />`
        : html`
          <${Empty} title="No payment yet">
            <p>An administrator pays out an approved application, and the payment stands here for ever.</p>
            <//>
        `}<//>
  `;
}

/** @param {{items: Entry[], cursor: string, next: string | null}} props */
function Rows({ items, cursor, next }) {
  return html`
    <table>
      <thead>
        <tr>
          <th scope="col" class="end">No.</th>
          <th scope="col">Application</th>
          <th scope="col" class="end">Amount</th>
          <th scope="col">Paid</th>
          <th scope="col">Hash</th>
          <th scope="col">Hash of the entry before</th>
        </tr>
      </thead>
      <tbody>${items.map((entry) =>
        html`
          <tr key=${entry.seq}>
            <td data-label="No." class="end">${entry.seq}</td>
            <td class="wide"><a href=${href("applications", entry.applicationId)}><code>${entry
              .applicationId}</code></a></td>
            <td data-label="Amount" class="end">${money(entry.amountMinor, entry.currency)}</td>
            <td data-label="Paid">
              <${Time} at=${entry.at} />
            </td>
            <td data-label="Hash"><code title=${entry.hash}>${entry.hash.slice(
              0,
              HASH_SHOWN,
            )}</code></td>
            <td data-label="Before"><code title=${entry.previousHash}>${entry.previousHash.slice(
              0,
              HASH_SHOWN,
            )}</code></td>
          </tr>
        `
      )}</tbody>
    </table>
    ${(cursor || next) && html`
      <nav class="pages" aria-label="Rest of the list">
        ${cursor && html`<a class="button" href=${href("ledger")}>First page</a>`}
        ${next &&
          html`<a class="button" href=${href("ledger", "", { cursor: next })}>Next page</a>`}
      </nav>
    `}
  `;
}

/** The check of the chain, a thousand entries with each call. */
function Verify() {
  const [state, setState] = useState({
    checking: false,
    found: /** @type {Verified | null} */ (null),
    problem: "",
  });
  const verify = async () => {
    let cursor = "";
    setState({ checking: true, found: null, problem: "" });
    try {
      do {
        const search = new URLSearchParams(cursor ? { cursor } : {});
        /** @type {Verified} */
        const found = await ask("GET", `api/ledger/verify?${search}`, { deadlineMs: 30_000 });
        cursor = found.nextCursor ?? "";
        setState({ checking: !!cursor, found, problem: "" });
      } while (cursor);
    } catch (error) {
      const problem = error instanceof Problem ? error.message : String(error);
      setState((before) => ({ ...before, checking: false, problem }));
    }
  };
  return html`
    <div class="actions">
      <button type="button" disabled=${state.checking} onClick=${verify}>${state.checking
        ? "Verifying…"
        : "Verify the chain"}</button>
      <span role="status">${state.found &&
        html`<${Outcome} found=${state.found} checking=${state.checking} />`}</span>
    </div>
    ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}
  `;
}

/** @param {{found: Verified, checking: boolean}} props */
function Outcome({ found, checking }) {
  const entries = `${new Intl.NumberFormat("en").format(found.entries)} ${
    found.entries === 1 ? "entry" : "entries"
  }`;
  if (found.firstBrokenSeq !== null) {
    return html`<strong class="bad">Broken at number ${found.firstBrokenSeq}, after ${entries}.</strong>`;
  }
  if (checking) return html`${entries} intact so far`;
  return found.ok
    ? html`Intact: ${entries}, up to hash <code>${found.headHash.slice(0, HASH_SHOWN)}</code>`
    : html`<strong class="bad">The end of the chain is missing, after ${entries}.</strong>`;
}
