// A question before something that cannot be taken back: what happens, and a button with the verb.
import { html, useState } from "../vendor/ui.js";
import { Problem } from "../api.js";
import { config } from "./banner.js";
import { Dialog } from "./dialog.js";
import { Field } from "./fields.js";

/** *act* does it; the dialog stays with the reason if it is refused. With *always*, and on production, *word* is typed
 * first.
 * @param {{title: string, verb: string, word: string, always?: boolean, act: () => Promise<void>, close: () => void,
 *   children?: import("../vendor/ui.js").Child}} props */
export function Confirm({ title, verb, word, always, act, close, children }) {
  const [text, setText] = useState("");
  const [state, setState] = useState({ sending: false, problem: "" });
  const asks = always || config.value?.stage === "prod";
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: "" });
    try {
      await act();
      close();
    } catch (error) {
      setState({
        sending: false,
        problem: error instanceof Problem ? error.message : String(error),
      });
    }
  };
  return html`
    <${Dialog} title=${title} close=${close}>
      <form onSubmit=${submit}>
          ${children}
          ${asks &&
            html`
              <${Field} label="Type ${word} to confirm" name="word" value=${text} change=${setText}
                autocomplete="off" />
            `}
          ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}
          <div class="actions">
            <button class="danger main" disabled=${state.sending ||
              (asks && text !== word)}>${state.sending ? "Sending…" : verb}</button>
            <button type="button" onClick=${close}>Keep as it is</button>
          </div>
        </form>
      <//>
  `;
}
