// How a question has reached its people: by device, what was pushed, received and opened.
import { html } from "../vendor/ui.js";
import { Mark } from "./icon.js";
import { Time } from "./time.js";

/** A device without an id stands for the open connections of a person.
 * @typedef {{username: string, deviceId: string | null, pushed: string | null, received: string | null,
 *   opened: string | null}} Delivery */

const STEPS = /** @type {const} */ (["opened", "received", "pushed"]);

/** @param {{deliveries: Delivery[], pending: boolean}} props */
export function Reached({ deliveries, pending }) {
  if (!deliveries.length) {
    return pending && html`
      <p class="quiet">No device has got this question yet. It waits in the inbox.</p>
    `;
  }
  return html`
    <section aria-label="Reached">
      <h2>Reached</h2>
      <ul>${deliveries.map((one) => {
        const step = STEPS.find((name) => one[name]) ?? "pushed";
        return html`
          <li key=${one.username + one.deviceId}>
            <${Mark} tone=${step === "pushed" ? "busy" : "good"} word=${step} />
            ${" "}${one.username}, ${one.deviceId
              ? html`device <code>${one.deviceId}</code>`
              : "open connections"}
            <span class="quiet">, <${Time} at=${one[step] ?? ""} /></span>
          </li>
        `;
      })}</ul>
    </section>
  `;
}
