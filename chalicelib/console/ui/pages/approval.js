// One question: what was asked, who answered, what is still to come; answer or cancel it.
import { html, useState } from "../vendor/ui.js";
import { act, ask, Problem, session } from "../api.js";
import { refresh, usePoll } from "../live.js";
import { href, route } from "../route.js";
import { Answer } from "../parts/answer.js";
import { ShowCall } from "../parts/call.js";
import { Dialog } from "../parts/dialog.js";
import { State } from "../parts/icon.js";
import { Reached } from "../parts/reached.js";
import { Loaded } from "../parts/states.js";
import { Countdown, Time } from "../parts/time.js";
import { toast } from "../parts/toast.js";
import { exact, length, serverNow } from "../time.js";
import { approvals, Question } from "./inbox.js";

/** @typedef {import("./approvals.js").Approval} Approval */

export function ApprovalPage() {
  const id = route.value.id;
  const path = `api/pending-responses/${encodeURIComponent(id)}`;
  // Not a held call: that answers at the end alone, and each of several approvals must be seen.
  const polled = usePoll(
    path,
    (gone) => ask("GET", path, { signal: gone }),
    (found) => found.status === "pending",
  );
  return html`<p class="back"><a href=${href("approvals")}>Approvals</a></p>
    ${polled.data === null && html`<h1>Question</h1>`}
    <${Loaded} polled=${polled}>${(/** @type {Approval} */ found) =>
    html`<${Found} approval=${found} />`}<//>`;
}

/** @param {{approval: Approval}} props */
function Found({ approval }) {
  const me = session.value?.username ?? "";
  const admin = !!session.value?.roles.includes("admin");
  const pending = approval.status === "pending";
  const answered = approval.answers.some((answer) => answer.by === me || answer.username === me);
  const mine = approval.approvers.includes(me);
  return html`
    <div class="title">
      <h1>${approval.title || "Question without a title"}</h1>
      <${State} state=${approval.status} />
    </div>
    <div class="columns">
      <section class="card" aria-label="Question">
            <${Question} approval=${approval} />
            ${pending && html`
              <p>
                <${Countdown} at=${approval.expiresAt} />
              </p>
            `}
            ${pending && (mine || admin) && !answered && html`
              ${!mine &&
                html`<p class="note">You answer for ${approval.username}, as an administrator. The answer names you.</p>`}
              <${Answer} approval=${approval} done=${refresh} />
            `}
            ${pending && (admin || approval.createdBy === me) &&
              html`<${Cancel} approval=${approval} />`}
          </section>
      <${Facts} approval=${approval} />
    </div>
    <${Reached} deliveries=${approval.deliveries} pending=${pending} />
    <${Timeline} approval=${approval} />
  `;
}

/** @param {{approval: Approval}} props */
function Facts({ approval }) {
  return html`
    <section class="card" aria-label="Facts">
      <dl class="pairs">
        <div><dt>For</dt><dd>${approval.approvers.join(", ")}</dd></div>
        <div><dt>Approvals</dt><dd>${approvals(approval)} of ${approval.required}</dd></div>
        ${approval.action && html`
          <div>
            <dt>Outcome</dt>
            <dd>${approval.action}</dd>
          </div>
        `}
        ${approval.responseMs !== null && html`
          <div>
            <dt>Answered within</dt>
            <dd>${length(approval.responseMs)}</dd>
          </div>
        `}
        <div><dt>Asked</dt><dd>${exact(approval.createdAt)}</dd></div>
        <div><dt>Ends</dt><dd>${exact(approval.expiresAt)}</dd></div>
        <div><dt>Request</dt><dd><code>${approval.requestId}</code></dd></div>
        ${through(approval).map(([word, instance]) =>
          html`
            <div>
              <dt>${word}</dt>
              <dd>instance <code>${instance}</code></dd>
            </div>
          `
        )}
      </dl>
    </section>
  `;
}

/** The instances of a question, each with what the instance did.
 * @param {Approval} approval
 * @returns {[string, string][]} */
export function through(approval) {
  const done = approval.status === "cancelled" ? "Cancelled on" : "Answered on";
  const heard = approval.status === "pending" ? "Waits on" : "Heard on";
  return [
    ...(approval.askedBy ? [pair("Asked on", approval.askedBy)] : []),
    ...(approval.resolvedThrough ? [pair(done, approval.resolvedThrough)] : []),
    ...(approval.heardBy ? [pair(heard, approval.heardBy)] : []),
  ];
}

/** @param {string} word
 * @param {string} instance
 * @returns {[string, string]} */
function pair(word, instance) {
  return [word, instance];
}

/** @param {{approval: Approval}} props */
function Timeline({ approval }) {
  const start = Date.parse(approval.createdAt);
  const waiting = approval.status === "pending";
  /** @type {[string, string][]} */
  const steps = [
    [approval.createdAt, `${approval.createdBy} asked ${approval.approvers.join(", ")}`],
    ...approval.answers.map((
      answer,
    ) => /** @type {[string, string]} */ ([answer.at, said(answer)])),
    ...(waiting ? approval.escalateTo : []).map((step) => /** @type {[string, string]} */ ([
      new Date(start + step.afterMs).toISOString(),
      start + step.afterMs < serverNow()
        ? `${step.username} was asked too`
        : `${step.username} will be asked too, if the question is still pending`,
    ])),
  ];
  if (approval.resolvedAt && approval.status !== "resolved") {
    steps.push([
      approval.resolvedAt,
      approval.status === "timeout" ? "The time was up" : cancelled(approval),
    ]);
  }
  steps.sort(([a], [b]) => a.localeCompare(b));
  return html`
    <section aria-label="Timeline">
      <h2>Timeline</h2>
      <ol class="timeline">${steps.map(([at, words]) =>
        html`<li><span>${words}</span><span class="quiet"><${Time} at=${at} /></span></li>`
      )}</ol>
    </section>
  `;
}

/** @param {Approval} approval */
function cancelled({ resolvedBy }) {
  return resolvedBy ? `${resolvedBy} cancelled the question` : "Cancelled";
}

/** @param {{username: string, by: string, action: string}} answer */
function said({ username, by, action }) {
  return by === username
    ? `${by} answered: ${action}`
    : `${by} answered for ${username}: ${action}`;
}

/** @param {{approval: Approval}} props */
function Cancel({ approval }) {
  const [open, setOpen] = useState(false);
  const [problem, setProblem] = useState("");
  const path = `api/pending-responses/${encodeURIComponent(approval.requestId)}/cancel`;
  const cancel = async () => {
    try {
      await act("cancel", "POST", path);
      toast("Question cancelled");
      setOpen(false);
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
    }
    refresh();
  };
  return html`
    <div class="actions">
      <button type="button" class="danger" onClick=${() => setOpen(true)}>Cancel question</button>
      <${ShowCall} name="cancel" would=${{ method: "POST", path }} />
    </div>
        ${open && html`<${Dialog} title="Cancel this question?" close=${() => setOpen(false)}>
      <p>Nobody can answer “${
          approval.title || approval.requestId
        }” afterwards. The caller that waits is told so.</p>
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
      <div class="actions"><button type="button" class="danger main" onClick=${cancel}>Cancel question</button></div>
    <//>`}
  `;
}
