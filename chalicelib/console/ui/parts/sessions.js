// Open sessions as rows, each with a button that ends it.
import { html } from "../vendor/ui.js";
import { Remove } from "./remove.js";
import { Time } from "./time.js";

/** @typedef {{sessionId: string, createdAt: string, expiresAt: string}} Opened */

/** *mine* is the session of this page, which has no button.
 * @param {{sessions: Opened[], mine?: string}} props */
export function OpenSessions({ sessions, mine }) {
  return html`
    <table>
      <thead>
        <tr>
          <th scope="col">Opened</th>
          <th scope="col">Ends</th>
          <th scope="col"></th>
        </tr>
      </thead>
      <tbody>${sessions.map((opened) =>
        html`
          <tr key=${opened.sessionId}>
            <td data-label="Opened">
              <${Time} at=${opened.createdAt} />
            </td>
            <td data-label="Ends">
              <${Time} at=${opened.expiresAt} />
            </td>
            <td class="end">${opened.sessionId === mine
              ? html`<span class="quiet">this one</span>`
              : html`<${Remove} words="End" name="end session" path="api/sessions/${
                encodeURIComponent(opened.sessionId)
              }" />`}</td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}
