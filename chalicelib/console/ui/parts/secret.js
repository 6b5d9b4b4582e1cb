// The secret of a webhook, shown once, with the lines that verify a signature.
import { html } from "../vendor/ui.js";
import { exact } from "../time.js";
import { Dialog } from "./dialog.js";
import { toast } from "./toast.js";

const OVERLAP_MS = 24 * 3_600_000;
const PYTHON = `from standardwebhooks import Webhook

event = Webhook(secret).verify(body, headers)`;
const NODE = `import { Webhook } from "standardwebhooks";

const event = new Webhook(secret).verify(body, headers);`;

/** When the secret before the last rotation stops signing, or "" if it has stopped.
 * @param {string | null} rotatedAt
 * @param {number} nowMs */
export function overlap(rotatedAt, nowMs) {
  const endMs = Date.parse(rotatedAt ?? "") + OVERLAP_MS;
  return endMs > nowMs ? exact(new Date(endMs).toISOString()) : "";
}

/** @param {{secret: string, until?: string, close: () => void}} props *until* is when the secret before stops signing */
export function Secret({ secret, until, close }) {
  const copy = async () => {
    await navigator.clipboard.writeText(secret);
    toast("The secret is copied");
  };
  return html`
    <${Dialog} title="The secret" close=${close}>
      <p>The secret is shown now and never again. The receiver verifies every call with the secret.</p>
      ${until && html`<p>The secret before signs too until ${until}.</p>`}
      <pre tabindex="0" aria-label="secret">${secret}</pre>
      <div class="actions"><button type="button" class="main" onClick=${copy}>Copy</button></div>
      <h3>Verify in Python</h3>
      <pre tabindex="0" aria-label="Python">${PYTHON}</pre>
      <h3>Verify in Node</h3>
      <pre tabindex="0" aria-label="Node">${NODE}</pre>
      <p class="hint">The body is the bytes as they came. Verify before parsing.</p>
      <//>
  `;
}
