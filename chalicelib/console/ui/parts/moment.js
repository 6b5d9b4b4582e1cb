// A field for a date and a time, in the zone that this person has chosen.
import { html } from "../vendor/ui.js";
import { fromField, toField, zone } from "../time.js";
import { Field } from "./fields.js";

/** *value* is a time, or "". A time that nobody edits keeps its seconds.
 * @param {{label: string, name: string, value: string, change: (value: string) => void, required?: boolean,
 *   problem?: string, hint?: string}} props */
export function Moment({ label, value, change, ...given }) {
  return html`
    <${Field} label="${label}${zone.value === "utc" ? " (UTC)" : ""}" type="datetime-local"
      value=${toField(value)} change=${(/** @type {string} */ text) => change(fromField(text))}
      ...${given} />
  `;
}
