// The roles of a user, as boxes to tick.
import { html } from "../vendor/ui.js";

/** @type {[string, string][]} */
const ROLES = [
  ["user", "answers questions"],
  ["officer", "asks, and works on applications"],
  ["service", "asks, and may have API keys"],
  ["admin", "may do everything"],
];

/** @param {{chosen: string[], change: (roles: string[]) => void}} props */
export function Roles({ chosen, change }) {
  const set = (/** @type {string} */ role, /** @type {boolean} */ on) =>
    change(on ? [...chosen, role] : chosen.filter((one) => one !== role));
  return html`<fieldset class="choices">
    <legend>Roles</legend>
    ${
    ROLES.map(([role, words]) =>
      html`
        <label><input type="checkbox" checked=${chosen.includes(role)}
          onChange=${(/** @type {{currentTarget: HTMLInputElement}} */ event) =>
            set(role, event.currentTarget.checked)} />
          <span><strong>${role}</strong> ${words}</span></label>
      `
    )
  }
  </fieldset>`;
}
