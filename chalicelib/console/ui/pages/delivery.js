// One delivery: where it goes, each attempt with its answer, and the body that is signed; replay, or try again now.
import { html, useRef, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem } from "../api.js";
import { refresh, usePoll } from "../live.js";
import { href, route } from "../route.js";
import { ShowCall } from "../parts/call.js";
import { Due, isMoving } from "../parts/deliveries.js";
import { Mark, State } from "../parts/icon.js";
import { Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { toast } from "../parts/toast.js";
import { exact, length } from "../time.js";
import { FAILURES, REASONS } from "../words.js";

/** @typedef {{at: string, trigger: string, status: number | null, error: string | null, latencyMs: number | null,
 *   answer: string}} Attempt */
/** @typedef {import("../parts/deliveries.js").Delivery & {body: string, hops: number, causedBy: string,
 *   calls: Attempt[]}} Delivery */

/** @type {Record<string, string>} */
const TRIGGERS = { schedule: "by schedule", manual: "asked for", recover: "by recovery" };

export function DeliveryPage() {
  const path = `api/deliveries/${encodeURIComponent(route.value.id)}`;
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), isMoving);
  return html`
    <p class="back"><a href=${href("deliveries", "", {
      webhookId: polled.data?.webhookId ?? "",
    })}>Deliveries</a></p>
    ${polled.data === null && html`<h1>Delivery</h1>`}
    <${Loaded} polled=${polled}>${(/** @type {Delivery} */ found) =>
      html`<${Found} delivery=${found} />`}<//>
  `;
}

/** @param {{delivery: Delivery}} props */
function Found({ delivery }) {
  const { type, status, reason, calls, body } = delivery;
  return html`
    <div class="title">
      <h1>${type}</h1>
      <${State} state=${status} />
    </div>
    ${reason && html`<p class="note bad">${REASONS[reason] ?? reason}</p>`}
    <${Actions} delivery=${delivery} />
    <${Facts} delivery=${delivery} />
    <section aria-label="Attempts">
      <h2>Attempts</h2>
      ${calls.length
        ? html`
          <ol class="timeline attempts">${calls.map((call, index) =>
            html`
              <${Call} key=${index} call=${call}
                open=${status === "in-flight" && index === calls.length - 1} />
            `
          )}</ol>
        `
        : html`<p class="quiet">The receiver was not called yet.</p>`}
    </section>
    <section aria-label="Body">
      <h2>Body</h2>
      <pre tabindex="0">${body}</pre>
      <p class="hint">The signature is of this text.</p>
    </section>
  `;
}

/** @param {{delivery: Delivery}} props */
function Actions({ delivery }) {
  const [state, setState] = useState({ sending: "", problem: "" });
  const keys = useRef(/** @type {Record<string, string>} */ ({}));
  const base = `api/webhooks/${
    encodeURIComponent(delivery.webhookId)
  }/deliveries/${delivery.deliveryId}`;
  const send = async (/** @type {string} */ verb, /** @type {string} */ done) => {
    setState({ sending: verb, problem: "" });
    try {
      await act(verb, "POST", `${base}/${verb}`, { key: keys.current[verb] ??= newKey() });
      // Another click is another call of the receiver.
      delete keys.current[verb];
      toast(done);
      setState({ sending: "", problem: "" });
    } catch (error) {
      setState({ sending: "", problem: error instanceof Problem ? error.message : String(error) });
    }
    refresh();
  };
  const button = (
    /** @type {string} */ verb,
    /** @type {string} */ words,
    /** @type {string} */ done,
  ) =>
    html`
      <span class="pair"><button type="button" disabled=${!!state.sending ||
        delivery.status === "in-flight"}
        onClick=${() => send(verb, done)}>${state.sending === verb ? "Sending…" : words}</button>
      <${ShowCall} name=${verb} would=${{ method: "POST", path: `${base}/${verb}` }} /></span>
    `;
  return html`
    <div class="actions">
      ${delivery.status === "due" &&
        button("retry-now", "Retry now", "The next attempt is due now")}
      ${button("replay", "Replay", "The delivery is sent once more")}
    </div>
    ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}
  `;
}

/** @param {{delivery: Delivery}} props */
function Facts({ delivery }) {
  const { webhookId, deliveryId, sequence, createdAt, finishedAt, dueAt, causedBy, hops } =
    delivery;
  /** @type {[string, unknown][]} */
  const facts = [
    ["Webhook", html`<a href=${href("webhooks", webhookId)}><code>${webhookId}</code></a>`],
    ["Delivery", html`<code>${deliveryId}</code>`],
    ["Sequence", sequence ?? "none, as this is a test"],
    ["Made", exact(createdAt)],
    ["Finished", finishedAt && exact(finishedAt)],
    ["Next attempt", dueAt && html`<${Due} at=${dueAt} />`],
    ["Caused by", causedBy && html`<code>${causedBy}</code>`],
    ["Hops", hops || null],
  ];
  return html`
    <section class="card" aria-label="Facts">
      <dl class="pairs">${facts.filter(([, shown]) => shown).map(([word, shown]) =>
        html`
          <div key=${word}>
            <dt>${word}</dt>
            <dd>${shown}</dd>
          </div>
        `
      )}</dl>
    </section>
  `;
}

/** @param {{call: Attempt, open: boolean}} props *open*: the receiver is being called */
function Call({ call: { at, trigger, status, error, latencyMs, answer }, open }) {
  return html`
    <li>
      <span class="attempt">
        <${Outcome} status=${status} error=${error} open=${open} />
        <span class="quiet">${[
          TRIGGERS[trigger] ?? trigger,
          ...(latencyMs === null ? [] : [length(latencyMs)]),
        ].join(", ")}</span>
        ${error && html`<span>${FAILURES[error]}</span>`}
        ${answer && html`
          <details>
            <summary>Answer</summary>
            <pre tabindex="0">${answer}</pre>
          </details>
        `}
      </span>
      <span class="quiet"><${Time} at=${at} /></span>
    </li>
  `;
}

/** Without an answer and an error the call is open, or its worker died.
 * @param {{status: number | null, error: string | null, open: boolean}} props */
function Outcome({ status, error, open }) {
  if (status !== null) {
    const taken = status >= 200 && status < 300;
    return html`<${Mark} tone=${taken ? "good" : "bad"} word="answered ${status}" />`;
  }
  if (error) return html`<${Mark} tone="bad" word="no answer: ${error}" />`;
  return open
    ? html`<${Mark} tone="busy" word="no answer yet" />`
    : html`<${Mark} tone="warn" word="outcome unknown" />`;
}
