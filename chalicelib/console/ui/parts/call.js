// "Show the call": the curl line of an action, its last answer, and the instance that answered.
import { html, useState } from "../vendor/ui.js";
import { address, calls } from "../api.js";
import { Dialog } from "./dialog.js";

/** A button that shows the call of the action *name*: the last one made, or *would*, the one that a click makes.
 * @param {{name: string, would: {method: string, path: string, body?: unknown}}} props */
export function ShowCall({ name, would }) {
  const [open, setOpen] = useState(false);
  return html`
    <button class="plain code" type="button" aria-label="Show the call: ${name}"
      title="Show the call"
      onClick=${() => setOpen(true)}>${"</>"}</button>
        ${open && html`<${Shown} name=${name} would=${would} close=${() => setOpen(false)} />`}
  `;
}

/** @param {{name: string, would: {method: string, path: string, body?: unknown}, close: () => void}} props */
function Shown({ name, would, close }) {
  const made = calls.value[name];
  return html`<${Dialog} title="The call: ${name}" close=${close}>
    <pre tabindex="0" aria-label="curl">${curl(made ?? would)}</pre>
    ${
    made
      ? html`<h3>Its answer: ${made.status}</h3>
          <p class="quiet">Answered by instance <code>${
        made.instanceId || "unknown"
      }</code>, request
            ${" "}<code>${made.requestId || "unknown"}</code>.</p>
          ${
        made.answer && html`<pre tabindex="0" aria-label="answer">${indented(made.answer)}</pre>`
      }`
      : html`<p class="quiet">Not called yet from this page.</p>`
  }
  <//>`;
}

/** The curl line of a call. *secret* is the variable of the shell that has the token or key.
 * @param {{method: string, path: string, body?: unknown}} call
 * @param {string} [secret] */
export function curl({ method, path, body }, secret = "TOKEN") {
  const lines = [`curl -X ${method} '${address(path)}'`, `-H "Authorization: Bearer $${secret}"`];
  if (body !== undefined) {
    lines.push(
      `-H 'Content-Type: application/json'`,
      `-d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`,
    );
  }
  return lines.join(" \\\n  ");
}

/** JSON with a line for each field; any other text as it came.
 * @param {string} json */
export function indented(json) {
  // Parsed and written again, large numbers would change: long answers stay as they came.
  if (json.length > 4_000 || /\d{16}/.test(json)) return json;
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
