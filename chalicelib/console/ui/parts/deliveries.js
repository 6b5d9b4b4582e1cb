// Deliveries as rows, newest first, each a link to its page; and what their states mean.
import { html } from "../vendor/ui.js";
import { href } from "../route.js";
import { serverNow, tick } from "../time.js";
import { place } from "./hook.js";
import { State } from "./icon.js";
import { Time } from "./time.js";

/** @typedef {{deliveryId: string, webhookId: string, type: string, sequence: number | null, status: string,
 *   reason: string | null, createdAt: string, finishedAt: string | null, dueAt: string | null, attempts: number,
 *   lastStatus: number | null, lastError: string | null, lastAt: string | null}} Delivery */

const SOON_MS = 60_000;

/** Whether a delivery changes soon: its receiver is being called, or will be within a minute. A delivery that has waited
 * beyond its time for longer waits for its receiver to be well.
 * @param {Delivery} delivery */
export function isMoving({ status, dueAt }) {
  return status === "in-flight" || (!!dueAt && Math.abs(Date.parse(dueAt) - serverNow()) < SOON_MS);
}

/** The last answer of a receiver: a status, or the word for no answer.
 * @param {Delivery} delivery */
function lastAnswer({ lastStatus, lastError }) {
  return String(lastStatus ?? lastError ?? "");
}

/** *webhooks* gives rows the addresses of their webhooks; without it, all rows are of one webhook.
 * @param {{items: Delivery[], webhooks?: import("./hook.js").Webhook[]}} props */
export function Deliveries({ items, webhooks }) {
  const urls = new Map(webhooks?.map(({ webhookId, url }) => [webhookId, url]));
  return html`
    <table class="deliveries whole">
      <thead>
        <tr>
          <th scope="col">Event</th>
          ${webhooks && html`<th scope="col">To</th>`}
          <th scope="col">State</th>
          <th scope="col">Next attempt</th>
          <th scope="col">Attempts</th>
          <th scope="col">Last answer</th>
          <th scope="col">Made</th>
        </tr>
      </thead>
      <tbody>${items.map((delivery) =>
        html`
          <tr key=${delivery.deliveryId}>
            <td class="wide"><a href=${href("deliveries", delivery.deliveryId)}>${delivery.type}</a>
              ${delivery.sequence !== null && " "}${delivery.sequence !== null &&
                html`<span class="quiet">#${delivery.sequence}</span>`}</td>
            ${webhooks && html`
              <td data-label="To" class="text">${place(
                urls.get(delivery.webhookId) ?? "a deleted webhook",
              )}</td>
            `}
            <td data-label="State">
              <${State} state=${delivery.status} />
            </td>
            ${optional("Next attempt", delivery.dueAt && html`<${Due} at=${delivery.dueAt} />`)}
            <td data-label="Attempts">${delivery.attempts}</td>
            ${optional("Last answer", lastAnswer(delivery))}
            <td data-label="Made">
              <${Time} at=${delivery.createdAt} />
            </td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

/** When the next attempt follows. A delivery may wait beyond its time, for the rate or for a free worker.
 * @param {{at: string}} props */
export function Due({ at }) {
  tick.value;
  return Date.parse(at) > serverNow() ? html`<${Time} at=${at} />` : "now";
}

/** A cell that a phone leaves out while it is empty.
 * @param {string} label
 * @param {unknown} shown */
function optional(label, shown) {
  return shown ? html`<td data-label=${label}>${shown}</td>` : html`<td></td>`;
}
