// The buttons that answer a question. A click sends one operation, however often its call is repeated.
import { html, useRef, useState } from "../vendor/ui.js";
import { act, newKey, Problem } from "../api.js";
import { refresh } from "../live.js";
import { label } from "../words.js";
import { ShowCall } from "./call.js";
import { toast } from "./toast.js";

/** @param {{approval: import("../pages/approvals.js").Approval, done: (after: any) => void}} props */
export function Answer({ approval, done }) {
  const [state, setState] = useState({ sending: "", problem: "" });
  const keys = useRef(/** @type {Record<string, string>} */ ({}));
  const path = `api/pending-responses/${encodeURIComponent(approval.requestId)}/resolve`;
  const answer = async (/** @type {string} */ action) => {
    setState({ sending: action, problem: "" });
    try {
      const key = (keys.current[action] ??= newKey());
      done(await act("answer", "POST", path, { body: { action }, key }));
      toast(`Answered: ${action}`);
      setState({ sending: "", problem: "" });
    } catch (error) {
      const words = error instanceof Problem ? error.message : String(error);
      setState({ sending: "", problem: words });
      // The question may be settled: its card goes, and the reason must stay for a while.
      if (error instanceof Problem && error.status === 409) toast(words);
      refresh();
    }
  };
  const shown = (/** @type {string} */ action) =>
    html`
      <button type="button" class=${action === approval.actions[0] ? "main" : ""} disabled=${!!state
        .sending}
        onClick=${() => answer(action)}>${state.sending === action
          ? "Sending…"
          : label(action)}</button>
    `;
  return html`<div class="actions">${approval.actions.map(shown)}
      <${ShowCall} name="answer" would=${{
    method: "POST",
    path,
    body: { action: approval.actions[0] },
  }} />
    </div>
    ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}`;
}
