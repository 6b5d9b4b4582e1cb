// The statement of a webhook, as its receiver reads it: sequence, id and digest of each delivery.
import { html, useState } from "../vendor/ui.js";
import { ask } from "../api.js";
import { usePoll } from "../live.js";
import { href } from "../route.js";
import { Loaded } from "./states.js";

/** @typedef {{sequence: number, deliveryId: string, digest: string}} Stated */

/** Asked for once it is opened.
 * @param {{path: string}} props *path* of the webhook */
export function Statement({ path }) {
  const [open, setOpen] = useState(false);
  return html`
    <details onToggle=${(/** @type {{currentTarget: HTMLDetailsElement}} */ event) =>
      setOpen(event.currentTarget.open)}>
      <summary>Statement</summary>
      ${open && html`<${Rows} path=${path} />`}
    </details>
  `;
}

/** @param {{path: string}} props */
function Rows({ path }) {
  const [cursor, setCursor] = useState("");
  const asked = `${path}/statement?${new URLSearchParams(cursor ? { cursor } : {})}`;
  const polled = usePoll(asked, (gone) => ask("GET", asked, { signal: gone }), () => "seldom");
  return html`
    <${Loaded} polled=${polled}>${(
      /** @type {{items: Stated[], nextCursor: string | null}} */ { items, nextCursor },
    ) =>
      html`
        <table>
          <thead>
            <tr>
              <th scope="col" class="end">No.</th>
              <th scope="col">Delivery</th>
              <th scope="col">SHA-256</th>
            </tr>
          </thead>
          <tbody>${items.map(({ sequence, deliveryId, digest }) =>
            html`
              <tr key=${sequence}>
                <td data-label="No." class="end">${sequence}</td>
                <td class="wide"><a href=${href(
                  "deliveries",
                  deliveryId,
                )}><code>${deliveryId}</code></a></td>
                <td data-label="SHA-256"><code title=${digest}>${digest.slice(0, 10)}</code></td>
              </tr>
            `
          )}</tbody>
        </table>
        ${(cursor || nextCursor) && html`
          <nav class="pages" aria-label="Rest of the list">
            ${cursor &&
              html`<button type="button" onClick=${() => setCursor("")}>First page</button>`}
            ${nextCursor &&
              html`<button type="button" onClick=${() => setCursor(nextCursor)}>Next page</button>`}
          </nav>
        `}
      `}<//>
  `;
}
