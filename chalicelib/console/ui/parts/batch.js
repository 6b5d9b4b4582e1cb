// One move for the chosen applications, each at the version that was seen. The outcome lists every one of them.
import { html, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem } from "../api.js";
import { refresh } from "../live.js";
import { href } from "../route.js";
import { APPLICATION_MOVES, counted } from "../words.js";
import { ShowCall } from "./call.js";

/** @typedef {import("../pages/applications.js").Application} Application */
/** @typedef {{updated: string[], conflicts: string[], missing: string[], invalid: string[]}} Outcome */
/** @typedef {{id: string, version: number}} Item */

const PATH = "api/applications/batch-update";
/** Every target of a move with its verb, once. */
const TARGETS = Object.entries(
  Object.fromEntries(Object.values(APPLICATION_MOVES).flat()),
);
/** @type {[keyof Outcome, string][]} */
const LISTS = [
  ["updated", "Moved"],
  ["conflicts", "Changed by somebody meanwhile"],
  ["invalid", "In a state without this move"],
  ["missing", "Deleted"],
];

/** @param {{chosen: Application[], clear: () => void}} props */
export function Batch({ chosen, clear }) {
  const [state, setState] = useState({ sending: false, problem: "" });
  const [done, setDone] = useState(
    /** @type {{status: string, outcome: Outcome, names: Record<string, string>} | null} */ (null),
  );
  const move = async (/** @type {string} */ status, /** @type {Item[]} */ items) => {
    setState({ sending: true, problem: "" });
    try {
      const names = {
        ...done?.names,
        ...Object.fromEntries(chosen.map((one) => [one.applicationId, one.applicantName])),
      };
      const body = { items, status };
      const outcome = await act("move", "POST", PATH, { body, key: newKey(), deadlineMs: 30_000 });
      setDone({ status, outcome, names });
      setState({ sending: false, problem: "" });
      clear();
      refresh();
    } catch (error) {
      setState({
        sending: false,
        problem: error instanceof Problem ? error.message : String(error),
      });
    }
  };
  const items = chosen.map((one) => ({ id: one.applicationId, version: one.version }));
  return html`
    ${chosen.length > 0 && html`
      <div class="actions" role="group" aria-label="Move the chosen">
        <strong>${counted(chosen.length, "application")} chosen</strong>
        ${TARGETS.map(([status, verb]) =>
          html`
            <button type="button" disabled=${state.sending}
              onClick=${() => move(status, items)}>${verb}</button>
          `
        )}
        <button type="button" class="plain" onClick=${clear}>Choose none</button>
        <${ShowCall} name="move" would=${{
          method: "POST",
          path: PATH,
          body: { items, status: "review" },
        }} />
      </div>
    `}
    ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}
    ${done &&
      html`<${Lists} done=${done} busy=${state.sending} retry=${move} close=${() =>
        setDone(null)} />`}
  `;
}

/** @param {{done: {status: string, outcome: Outcome, names: Record<string, string>}, busy: boolean,
 *   retry: (status: string, items: Item[]) => Promise<void>, close: () => void}} props */
function Lists({ done, busy, retry, close }) {
  const { conflicts } = done.outcome;
  const [problem, setProblem] = useState("");
  const again = async () => {
    try {
      // As they are now: whoever asks for the move again has seen that somebody changed them.
      const now = await Promise.all(conflicts.map(current));
      await retry(done.status, now.filter((item) => item !== null));
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
    }
  };
  return html`
    <section class="card" aria-label="Outcome of the move to ${done.status}" role="status">
      <header><h2>Move to ${done.status}</h2>
        <button type="button" class="plain" onClick=${close}>Close</button></header>
      ${LISTS.filter(([name]) => done.outcome[name].length).map(([name, words]) =>
        html`
          <div>
            <h3>${words}: ${done.outcome[name].length}</h3>
            <ul class="names">${done.outcome[name].map((id) =>
              html`<li><a href=${href("applications", id)}>${done.names[id] ?? id}</a></li>`
            )}</ul>
          </div>
        `
      )}
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
      ${conflicts.length > 0 && html`
        <div
          class="actions"><button type="button" disabled=${busy} onClick=${again}>Retry the conflicts</button></div>
      `}
    </section>
  `;
}

/** The present version of an application, null if it is deleted.
 * @param {string} id
 * @returns {Promise<Item | null>} */
async function current(id) {
  try {
    const { version } = await ask("GET", `api/applications/${encodeURIComponent(id)}`);
    return { id, version };
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}
