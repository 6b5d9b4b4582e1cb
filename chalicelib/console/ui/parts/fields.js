// Fields of a form: a label, a control, a hint, and the refusal of the field.
import { html, useId } from "../vendor/ui.js";

/** @typedef {{label: string, name: string, value: string, change: (value: string) => void, hint?: string,
 *   problem?: string, type?: string, required?: boolean, autocomplete?: string, lines?: number}} Props */

/** @param {Props} props */
export function Field({ label, name, value, change, hint, problem, lines, ...given }) {
  const id = useId();
  const said = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ") ||
    undefined;
  const common = {
    id,
    name,
    value,
    "aria-describedby": said,
    "aria-invalid": problem ? "true" : undefined,
    onInput: (/** @type {{currentTarget: HTMLInputElement}} */ event) =>
      change(event.currentTarget.value),
    ...given,
  };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${lines ? html`<textarea rows=${lines} ...${common} />` : html`<input ...${common} />`}
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    ${problem && html`<p class="hint bad" id="${id}-problem">${problem}</p>`}
  </div>`;
}

/** @param {{label: string, value: string, options: [string, string][], change: (value: string) => void}} props */
export function Choice({ label, value, options, change }) {
  const id = useId();
  const read = (/** @type {{currentTarget: HTMLSelectElement}} */ event) =>
    change(event.currentTarget.value);
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <select id=${id} value=${value} onChange=${read}>
          ${options.map(([key, word]) =>
            html`<option value=${key} selected=${key === value}>${word}</option>`
          )}
        </select>
    </div>
  `;
}

/** What a refusal says of one field.
 * @param {import("../api.js").Problem | null} problem
 * @param {string} name */
export function refusal(problem, name) {
  return problem?.errors.find((error) => error.path.split(/[.[]/)[0] === name)?.message;
}
