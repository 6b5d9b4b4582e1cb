// One activation: its numbers as they move, its leads with reasons, and pause, resume, cancel and retry.
import { html, useEffect, useState } from "../vendor/ui.js";
import { act, ask, Problem } from "../api.js";
import { follow } from "../follow.js";
import { usePoll } from "../live.js";
import { go, href, route } from "../route.js";
import { Bar } from "../parts/bar.js";
import { ShowCall } from "../parts/call.js";
import { Confirm } from "../parts/confirm.js";
import { Choice } from "../parts/fields.js";
import { Empty, Loaded } from "../parts/states.js";

/** @typedef {import("../follow.js").Snapshot} Snapshot */
/** @typedef {{email: string, name: string, outcome: string, mail: string | null, reason: string | null}} Lead */

/** @type {[string, keyof Snapshot & ("activated" | "skipped" | "failed" | "emailsSent" | "emailsFailed" |
 *   "emailsPending")][]} */
const BARS = [
  ["Activated", "activated"],
  ["Skipped", "skipped"],
  ["Failed", "failed"],
  ["Mails sent", "emailsSent"],
  ["Mails failed", "emailsFailed"],
  ["Mails pending", "emailsPending"],
];
/** @type {[string, string][]} */
const OUTCOMES = [
  ["", "all"],
  ["activated", "activated"],
  ["skipped", "skipped"],
  ["failed", "failed"],
  ["bounced", "bounced"],
  ["complained", "complained"],
];

export function ActivationPage() {
  const { id } = route.value;
  const [snapshot, setSnapshot] = useState(/** @type {Snapshot | null} */ (null));
  const [ended, setEnded] = useState("");
  useEffect(() => follow(id, setSnapshot, setEnded), [id]);
  return html`
    <p class="back"><a href=${href("activations")}>Activations</a></p>
    <h1>${id}</h1>
    ${snapshot && html`<${Numbers} snapshot=${snapshot} />`}
    ${!snapshot &&
      (ended
        ? html`<p>The progress has expired. The leads are kept longer.</p>`
        : html`<p class="quiet late" aria-busy="true">Loading…</p>`)}
    <${Actions} id=${id} over=${!snapshot || snapshot.completed} />
    <${Leads} id=${id} />
  `;
}

/** @param {{snapshot: Snapshot}} props */
function Numbers({ snapshot }) {
  const left = snapshot.etaSeconds === null ? "" : `, about ${snapshot.etaSeconds} s left`;
  return html`
    <section aria-label="Progress">
      <p role="status">${snapshot.completed
        ? `Completed${snapshot.msg ? `: ${snapshot.msg}` : ""}`
        : `${snapshot.percentage} %, ${snapshot.rate} a second${left}`}</p>
      <table class="whole">
        <tbody>${BARS.map(([title, name]) =>
          html`
            <tr key=${name}>
              <th scope="row">${title}</th>
              <td class="end">${snapshot[name]}</td>
              <td class="wide">
                <${Bar} parts=${[{
                  name: name.toLowerCase().includes("failed") ? "dead" : "pending",
                  count: snapshot[name],
                }]} whole=${snapshot.total} />
              </td>
            </tr>
          `
        )}</tbody>
      </table>
    </section>
  `;
}

/** @param {{id: string, over: boolean}} props */
function Actions({ id, over }) {
  const [problem, setProblem] = useState("");
  const [asking, setAsking] = useState(false);
  const path = (/** @type {string} */ step) => `activation/${encodeURIComponent(id)}/${step}`;
  const step = async (/** @type {string} */ name) => {
    setProblem("");
    try {
      const made = await act("activation", "POST", path(name));
      if (name === "retry-failed") go(href("activations", made.sessionId));
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
    }
  };
  return html`
    <div class="actions">
      <button type="button" disabled=${over} onClick=${() => step("pause")}>Pause</button>
      <button type="button" disabled=${over} onClick=${() => step("resume")}>Resume</button>
      <button type="button" disabled=${over} onClick=${() =>
        setAsking(true)}>Cancel the activation</button>
      <button type="button" onClick=${() => step("retry-failed")}>Retry failed</button>
      <${ShowCall} name="activation" would=${{ method: "POST", path: path("pause") }} />
    </div>
    ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
    ${asking && html`
      <${Confirm} title="Cancel the activation" verb="Cancel the activation" word=${id}
        act=${async () => {
          await act("activation", "POST", path("cancel"));
        }} close=${() => setAsking(false)}>
        <p>Leads that were not begun are dropped. Users that were made still get their mails.</p>
        <//>
    `}
  `;
}

/** @param {{id: string}} props */
function Leads({ id }) {
  const { outcome = "", cursor = "" } = route.value.query;
  const search = new URLSearchParams({
    limit: "50",
    ...(outcome ? { outcome } : {}),
    ...(cursor ? { cursor } : {}),
  });
  const path = `activation/${encodeURIComponent(id)}/leads?${search}`;
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => false);
  return html`
    <section aria-label="Leads">
      <h2>Leads</h2>
      <${Choice} label="Outcome" value=${outcome} options=${OUTCOMES}
        change=${(/** @type {string} */ value) =>
          go(href("activations", id, { outcome: value }))} />
      <${Loaded} polled=${polled}>${(
        /** @type {{items: Lead[], nextCursor: string | null}} */ data,
      ) =>
        data.items.length
          ? html`<${Rows} items=${data.items} />
            ${
            data.nextCursor && html`<a href=${
              href("activations", id, {
                outcome,
                cursor: data.nextCursor,
              })
            }>Next leads</a>`
          }`
          : html`<${Empty} title="No settled lead here" />`}<//>
    </section>
  `;
}

/** @param {{items: Lead[]}} props */
function Rows({ items }) {
  return html`
    <table class="whole">
      <thead>
        <tr>
          <th scope="col">Address</th>
          <th scope="col">Outcome</th>
          <th scope="col">Mail</th>
          <th scope="col">Reason</th>
        </tr>
      </thead>
      <tbody>${items.map((lead) =>
        html`
          <tr key=${lead.email}>
            <td class="wide">${lead.email}</td>
            <td data-label="Outcome">${lead.outcome}</td>
            <td data-label="Mail">${lead.mail ?? "–"}</td>
            <td data-label="Reason" class="text">${explained(lead.reason)}</td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

/** @param {string | null} reason */
function explained(reason) {
  if (reason !== "uncertain") return reason ?? "–";
  return "uncertain: nobody knows whether the mail was sent. It is not sent again by itself.";
}
