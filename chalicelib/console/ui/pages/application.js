// One application: its state with the legal moves, its fields, its history; payment by an administrator.
import { html, useRef, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem, session } from "../api.js";
import { refresh, usePoll } from "../live.js";
import { money } from "../money.js";
import { href, route } from "../route.js";
import { ShowCall } from "../parts/call.js";
import { Confirm } from "../parts/confirm.js";
import { LABELS, shown, Terms } from "../parts/terms.js";
import { State } from "../parts/icon.js";
import { Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { toast } from "../parts/toast.js";
import { APPLICATION_MOVES } from "../words.js";

/** @typedef {import("./applications.js").Application} Application */
/** @typedef {{field: string, before: unknown, after: unknown}} FieldChange */
/** @typedef {{version: number, at: string | null, by: string | null, deleted: boolean, lost: boolean,
 *   changes: FieldChange[]}} Version */

/** @param {string} id */
export function applicationPath(id) {
  return `api/applications/${encodeURIComponent(id)}`;
}

export function ApplicationPage() {
  const path = applicationPath(route.value.id);
  const seen = useRef(/** @type {Application | null} */ (null));
  const polled = usePoll(path, async (gone) => {
    // The server answers without a body while the version is the one that is shown.
    const version = seen.current?.applicationId === route.value.id ? seen.current.version : 0;
    const found = await ask("GET", path, { signal: gone, version });
    return (seen.current = found ?? /** @type {Application} */ (seen.current));
  }, () => false);
  return html`<p class="back"><a href=${href("applications")}>Applications</a></p>
    ${polled.data === null && html`<h1>Application</h1>`}
    <${Loaded} polled=${polled}>${(/** @type {Application} */ found) =>
    html`<${Found} key=${found.applicationId} found=${found} />`}<//>`;
}

/** @param {{found: Application}} props */
function Found({ found }) {
  return html`
    <div class="title">
      <h1>${found.applicantName}</h1>
      <${State} state=${found.status} />
    </div>
    <${Moves} found=${found} />
    <div class="columns">
      <${Terms} found=${found} />
      <${Facts} found=${found} />
    </div>
    <${History} found=${found} />
  `;
}

/** @param {{found: Application}} props */
function Moves({ found }) {
  const [state, setState] = useState({ sending: "", problem: "", paying: false });
  const path = applicationPath(found.applicationId);
  const move = async (/** @type {string} */ status) => {
    setState({ sending: status, problem: "", paying: false });
    try {
      await act("move", "PUT", path, { body: { status, version: found.version } });
      setState({ sending: "", problem: "", paying: false });
      toast(`Moved to ${status}`);
    } catch (error) {
      const problem = error instanceof Problem ? error.message : String(error);
      setState({ sending: "", problem, paying: false });
    }
    refresh();
  };
  const moves = APPLICATION_MOVES[found.status] ?? [];
  const pays = found.status === "approved" && session.value?.roles.includes("admin");
  if (!moves.length && !pays && !state.problem) return null;
  return html`
    <div class="actions" role="group" aria-label="Move">
      ${moves.map(([status, verb], index) =>
        html`
          <button type="button" class=${index === 0 ? "main" : ""} disabled=${!!state.sending}
            onClick=${() => move(status)}>${state.sending === status ? "Sending…" : verb}</button>
        `
      )}
      ${pays &&
        html`<button type="button" class="main" onClick=${() =>
          setState({ ...state, paying: true })}>Disburse</button>`}
      <${ShowCall} name=${pays ? "disburse" : "move"} would=${pays
        ? { method: "POST", path: `${path}/disburse` }
        : { method: "PUT", path, body: { status: moves[0]?.[0], version: found.version } }} />
    </div>
    ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}
    ${state.paying &&
      html`<${Disburse} found=${found} close=${() => setState({ ...state, paying: false })} />`}
  `;
}

/** @param {{found: Application, close: () => void}} props */
function Disburse({ found, close }) {
  // One payment for as long as the dialog is open, however often it is clicked.
  const key = useRef(newKey());
  const amount = money(found.amountMinor, found.currency);
  const pay = async () => {
    const path = `${applicationPath(found.applicationId)}/disburse`;
    await act("disburse", "POST", path, { key: key.current, deadlineMs: 30_000 });
    toast(`Paid out ${amount} to ${found.applicantName}`);
    refresh();
  };
  return html`
    <${Confirm} title="Disburse ${amount}?" verb="Disburse ${amount}" word=${found.applicationId}
      act=${pay} close=${close}>
      <p>The money goes to ${found
        .applicantName}. The ledger keeps the payment, and nothing takes it back.</p>
      <//>
  `;
}

/** @param {{found: Application}} props */
function Facts({ found }) {
  return html`
    <section class="card" aria-label="Facts">
      <dl class="pairs">
        <div>
          <dt>Version</dt>
          <dd>${found.version}</dd>
        </div>
        <div>
          <dt>Changed</dt>
          <dd><${Time} at=${found.updatedAt} /> by ${found.updatedBy}</dd>
        </div>
        <div>
          <dt>Made</dt>
          <dd><${Time} at=${found.createdAt} /> by ${found.createdBy}</dd>
        </div>
        <div>
          <dt>Application</dt>
          <dd><code>${found.applicationId}</code></dd>
        </div>
      </dl>
    </section>
  `;
}

/** @param {{found: Application}} props */
function History({ found }) {
  const path = `${applicationPath(found.applicationId)}/history?limit=50`;
  // A version is written right after its change: until it is there, the page asks more often.
  const polled = usePoll(
    `${path} ${found.version}`,
    (gone) => ask("GET", path, { signal: gone }),
    (data) => data.items[0]?.version !== found.version || "seldom",
  );
  return html`
    <section aria-label="History">
      <h2>History</h2>
      <${Loaded} polled=${polled}>${(/** @type {{items: Version[]}} */ data) =>
        html`<ol class="timeline">${
          withCurrencies(data.items, found.currency).map(
            ({ version, before, after }) =>
              html`<li key=${version.version}>
              <span>${said(version)}${
                version.changes.length > 0 &&
                html`<ul class="names">${
                  version.changes.map((change) => html`<li>${told(change, before, after)}</li>`)
                }</ul>`
              }</span>
              ${version.at && html`<span class="quiet"><${Time} at=${version.at} /></span>`}
            </li>`,
          )
        }</ol>`}<//>
    </section>
  `;
}

/** Each version with the currency before and after it. The versions come newest first, down from the present currency.
 * @param {Version[]} versions
 * @param {string} currency */
function withCurrencies(versions, currency) {
  let after = currency;
  return versions.map((version) => {
    const change = version.changes.find(({ field }) => field === "currency");
    const found = { version, after, before: String(change?.before ?? after) };
    after = found.before;
    return found;
  });
}

/** @param {Version} version */
function said({ version, by, deleted, lost }) {
  if (lost) return `Version ${version}: nothing else is known`;
  if (deleted) return `${by} deleted the application`;
  return version === 1 ? `${by} made the application` : `${by} saved version ${version}`;
}

/** @param {FieldChange} change
 * @param {string} before
 * @param {string} after the currencies */
function told({ field, before: was, after: is }, before, after) {
  const now = shown(field, is, { currency: after });
  const label = LABELS[field] ?? field;
  return was === null
    ? `${label}: ${now}`
    : `${label}: ${shown(field, was, { currency: before })} → ${now}`;
}
