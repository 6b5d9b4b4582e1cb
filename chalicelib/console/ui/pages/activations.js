// Activations: begin one from a list of leads, and follow those that are running or recent.
import { html, useRef, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem } from "../api.js";
import { leadsOf, MOST_LEADS } from "../leads.js";
import { usePoll } from "../live.js";
import { go, href } from "../route.js";
import { ShowCall } from "../parts/call.js";
import { Field } from "../parts/fields.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";

/** @typedef {import("../follow.js").Snapshot} Snapshot */

const PATH = "activation";
const LIST = "activation/progress";
const FIRST_ROWS = 5;

export function Activations() {
  const polled = usePoll(LIST, (gone) => ask("GET", LIST, { signal: gone }), () => true);
  return html`
    <h1>Activations</h1>
    <${Begin} />
    <section aria-label="Running and recent">
      <h2>Running and recent</h2>
      <${Loaded} polled=${polled}>${(/** @type {{items: Snapshot[]}} */ data) =>
        data.items.length ? html`<${Rows} items=${data.items} />` : html`
          <${Empty} title="No activation">
            <p>An activation makes a user of each address, and mails a link that sets the password.</p>
            <//>
        `}<//>
    </section>
  `;
}

/** @param {{items: Snapshot[]}} props */
function Rows({ items }) {
  return html`
    <table class="whole">
      <thead>
        <tr>
          <th scope="col">Activation</th>
          <th scope="col">Done</th>
          <th scope="col">Begun</th>
        </tr>
      </thead>
      <tbody>${items.map((one) =>
        html`
          <tr key=${one.sessionId}>
            <td class="wide"><a href=${href("activations", one.sessionId)}>${one.sessionId}</a></td>
            <td data-label="Done">${one.percentage} % of ${one.total}${one.completed
              ? ""
              : ", running"}</td>
            <td data-label="Begun">
              <${Time} at=${one.createdAt} />
            </td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

function Begin() {
  const [text, setText] = useState("");
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
  const key = useRef(newKey());
  const change = (/** @type {string} */ given) => {
    // Other leads are another operation.
    key.current = newKey();
    setText(given);
  };
  const drop = async (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) change(await file.text());
  };
  const { leads, twice } = leadsOf(text);
  const body = { leads };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setSending(true);
    setProblem(null);
    try {
      const made = await act("activate", "POST", PATH, { body, key: key.current });
      go(href("activations", made.sessionId));
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, { detail: String(error) }));
      setSending(false);
    }
  };
  const tooMany = leads.length > MOST_LEADS;
  return html`<form class="narrow" onSubmit=${submit} onDrop=${drop} onDragOver=${(
    /** @type {Event} */ event,
  ) => event.preventDefault()}>
    <${Field} label="Leads" name="leads" value=${text} change=${change} lines=${6}
      hint="Paste or drop a CSV with the columns email and name, or one address in each line." />
    ${
    leads.length > 0 &&
    html`<p role="status">${leads.length} leads${
      twice ? `, ${twice} lines with an address that came before` : ""
    }. First: ${leads.slice(0, FIRST_ROWS).map(({ email }) => email).join(", ")}</p>`
  }
    ${tooMany && html`<p class="note bad">At most ${MOST_LEADS} leads at once.</p>`}
    ${problem && html`<p class="note bad" role="alert">${problem.message}</p>`}
    <div class="actions">
      <button class="main" disabled=${sending || !leads.length || tooMany}>${
    sending ? "Sending…" : "Activate"
  }</button>
      <${ShowCall} name="activate" would=${{
    method: "POST",
    path: PATH,
    body: { leads: leads.slice(0, 2) },
  }} />
    </div>
  </form>`;
}
