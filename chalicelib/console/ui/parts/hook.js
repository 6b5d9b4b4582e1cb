// A webhook in words: its state, its events and its address, and the fields of its form.
import { html } from "../vendor/ui.js";
import { Choice, Field, refusal } from "./fields.js";
import { State } from "./icon.js";

/** @typedef {{webhookId: string, url: string, events: string[], description: string, rateLimitPerMinute: number,
 *   maxInFlight: number, priority: string, enabled: boolean, disabledReason: string | null, paused: boolean,
 *   rotatedAt: string | null, version: number, createdAt: string, createdBy: string, updatedAt: string,
 *   updatedBy: string}} Webhook */
/** *others* are events that have no box, separated by commas.
 * @typedef {{url: string, events: string[], others: string, description: string, rateLimitPerMinute: string,
 *   maxInFlight: string, priority: string}} Form */

const ALL = "*";
/** The events of this release. Others are written by hand. */
const KNOWN = [
  ["application", "created updated deleted submitted approved rejected disbursed"],
  ["approval", "resolved timeout"],
  ["webhook", "disabled"],
].flatMap(([kind, names = ""]) => names.split(" ").map((name) => `${kind}.${name}`));

/** @type {Form} */
export const EMPTY = {
  url: "",
  events: [],
  others: "",
  description: "",
  rateLimitPerMinute: "60",
  maxInFlight: "5",
  priority: "normal",
};

/** @param {Webhook} webhook
 * @returns {Form} */
export function formOf(webhook) {
  const { url, events, description, rateLimitPerMinute, maxInFlight, priority } = webhook;
  const boxed = (/** @type {string} */ event) => event === ALL || KNOWN.includes(event);
  return {
    url,
    events: events.filter(boxed),
    others: events.filter((event) => !boxed(event)).join(", "),
    description,
    rateLimitPerMinute: String(rateLimitPerMinute),
    maxInFlight: String(maxInFlight),
    priority,
  };
}

/** The body of a request.
 * @param {Form} form
 * @returns {Record<string, unknown>} */
export function bodyOf({ url, events, others, description, priority, ...numbers }) {
  const further = others.split(",").map((event) => event.trim()).filter(Boolean);
  return {
    url: url.trim(),
    events: events.includes(ALL) ? [ALL] : [...new Set([...events, ...further])],
    description,
    rateLimitPerMinute: Number(numbers.rateLimitPerMinute),
    maxInFlight: Number(numbers.maxInFlight),
    priority,
  };
}

/** @param {{webhook: Webhook}} props */
export function HookState({ webhook }) {
  const state = !webhook.enabled ? "disabled" : webhook.paused ? "paused" : "enabled";
  return html`<${State} state=${state} />`;
}

/** The events of a webhook. All events look like no other events.
 * @param {{events: string[]}} props */
export function Events({ events }) {
  if (events.includes(ALL)) return html`<span class="stage">all events</span>`;
  return events.join(", ");
}

/** An address without its scheme, and without the parts that receivers use as passwords.
 * @param {string} url */
export function place(url) {
  return url.replace(/^https?:\/\//, "").replace(/[?#].*/, "");
}

/** @param {{form: Form, change: (fields: Partial<Form>) => void, problem: import("../api.js").Problem | null,
 *   children?: import("../vendor/ui.js").Child}} props *children* stand below the address */
export function HookFields({ form, change, problem, children }) {
  const field = (/** @type {keyof Form} */ name, /** @type {object} */ props) =>
    html`
      <${Field} name=${name} value=${form[name]} problem=${refusal(problem, name)}
        change=${(/** @type {string} */ value) => change({ [name]: value })} ...${props} />
    `;
  return html`
    ${field("url", {
      label: "Address",
      hint: "Every event is sent there as a signed POST.",
      inputMode: "url",
      autocomplete: "off",
      required: true,
    })}
    ${children}
    <${EventBoxes} form=${form} change=${change} problem=${refusal(problem, "events")} />
    ${field("description", { label: "Description" })}
    <div class="row">
      ${field("rateLimitPerMinute", { label: "Calls a minute", type: "number", min: 1 })}
      ${field("maxInFlight", { label: "Calls at once", type: "number", min: 1, max: 50 })}
    </div>
    <${Choice} label="Priority" value=${form.priority} change=${(/** @type {string} */ priority) =>
      change({ priority })} options=${[["normal", "normal"], [
      "high",
      "high: a queue and workers of its own",
    ]]} />
  `;
}

/** @param {{form: Form, change: (fields: Partial<Form>) => void, problem?: string}} props */
function EventBoxes({ form: { events, others }, change, problem }) {
  const all = events.includes(ALL);
  const box = (/** @type {string} */ event, /** @type {string} */ words) =>
    html`
      <label key=${event}><input type="checkbox" checked=${events.includes(event)}
        onChange=${(
          /** @type {{currentTarget: HTMLInputElement}} */ { currentTarget: { checked } },
        ) =>
          change({
            events: checked ? [...events, event] : events.filter((one) => one !== event),
          })} />
        <span>${words}</span></label>
    `;
  return html`
    <fieldset class="choices">
      <legend>Events</legend>
      ${box(ALL, "All events, also those of later releases")}
      ${!all && html`
        <div class="boxes">${KNOWN.map((event) => box(event, event))}</div>
        <${Field} label="Other events" name="others" value=${others} autocomplete="off"
          hint="Separated by commas. application.* means all events of applications."
          change=${(/** @type {string} */ value) => change({ others: value })} />
      `}
      ${problem && html`<p class="hint bad">${problem}</p>`}
    </fieldset>
  `;
}
