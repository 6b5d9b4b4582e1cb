// Put a question to somebody. The caller does not wait: the next page shows what becomes of the question.
import { html, useRef, useState } from "../vendor/ui.js";
import { act, newKey, Problem } from "../api.js";
import { may } from "../places.js";
import { go, href, route } from "../route.js";
import { config } from "../parts/banner.js";
import { ShowCall } from "../parts/call.js";
import { Choice, Field, refusal } from "../parts/fields.js";

const MINUTE_MS = 60_000;
/** @type {[string, string][]} */
const TIMES = [[1, "1 minute"], [5, "5 minutes"], [60, "1 hour"], [1440, "1 day"], [
  10_080,
  "7 days",
]].map((
  [minutes, words],
) => [String(Number(minutes) * MINUTE_MS), String(words)]);

const EMPTY = {
  username: "",
  title: "",
  body: "",
  actions: "approve, reject",
  approvers: "",
  required: "1",
  timeoutMs: "300000",
  callbackUrl: "",
};

export function Ask() {
  // The address may fill in some fields.
  const { username = "", callback: callbackUrl = "" } = route.value.query;
  const [form, setForm] = useState({ ...EMPTY, username, callbackUrl });
  const [state, setState] = useState({
    sending: false,
    problem: /** @type {Problem | null} */ (null),
  });
  const key = useRef(newKey());
  const set = (/** @type {keyof typeof EMPTY} */ name) => (/** @type {string} */ value) => {
    // Another question is another operation.
    key.current = newKey();
    setForm((before) => ({ ...before, [name]: value }));
  };
  const body = request(form);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: null });
    try {
      const made = await act("ask", "POST", "send-notification", { body, key: key.current });
      go(href("approvals", made.requestId));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      setState({ sending: false, problem });
    }
  };
  const field = (/** @type {keyof typeof EMPTY} */ name, /** @type {object} */ props) =>
    html`
      <${Field} name=${name} value=${form[name]} change=${set(name)} problem=${refusal(
        state.problem,
        name,
      )}
        ...${props} />
    `;
  return html`
    <p class="back"><a href=${href("approvals")}>Approvals</a></p>
    <h1>Ask somebody</h1>
    <form class="narrow" onSubmit=${submit}>
          ${field("username", {
            label: "For",
            hint: "The username of the person who decides.",
            required: true,
            autocomplete: "off",
          })}
          ${field("title", {
            label: "Question",
            hint: "One line, such as: Pay 120.00 EUR to Ada?",
            required: true,
          })}
          ${field("body", { label: "Details", lines: 3 })}
          ${field("actions", { label: "Answers", hint: "Separated by commas. Each is a button." })}
          <${Choice} label="Time to answer" value=${form.timeoutMs} options=${TIMES} change=${set(
            "timeoutMs",
          )} />
          <details>
            <summary>Several approvers</summary>
            ${field("approvers", {
              label: "Further approvers",
              hint: "Usernames, separated by commas.",
              autocomplete: "off",
            })}
            ${field("required", { label: "Approvals needed", type: "number" })}
          </details>
          <details open=${!!route.value.query.callback}>
            <summary>Callback</summary>
            ${field("callbackUrl", {
              label: "Callback address",
              hint: "The outcome is sent there, signed.",
              inputMode: "url",
              autocomplete: "off",
            })}
            ${may("receiver") && html`<${BuiltIn} fill=${set("callbackUrl")} />`}
          </details>
          ${state.problem && html`<p class="note bad" role="alert">${state.problem.message}</p>`}
          <div class="actions">
            <button class="main" disabled=${state.sending}>${state.sending
              ? "Asking…"
              : "Ask"}</button>
            <${ShowCall} name="ask" would=${{ method: "POST", path: "send-notification", body }} />
          </div>
        </form>
  `;
}

/** A laptop's own receiver. Its page opens beside the form, which would be lost.
 * @param {{fill: (url: string) => void}} props */
function BuiltIn({ fill }) {
  return html`
    <div class="actions">
      <button type="button" onClick=${() =>
        fill(`${config.value?.receiver}/callbacks`)}>Use the built-in receiver</button>
      <a href=${href("receiver")} target="_blank">Open its page</a>
    </div>
  `;
}

/** @param {typeof EMPTY} form */
function request(form) {
  const approvers = listed(form.approvers);
  return {
    username: form.username.trim(),
    title: form.title,
    body: form.body,
    actions: listed(form.actions),
    timeoutMs: Number(form.timeoutMs),
    wait: false,
    ...(approvers.length ? { approvers, required: Number(form.required) } : {}),
    ...(form.callbackUrl.trim() ? { callbackUrl: form.callbackUrl.trim() } : {}),
  };
}

/** @param {string} text */
function listed(text) {
  return text.split(",").map((word) => word.trim()).filter(Boolean);
}
