// The conflict dialog: what a record was, what somebody else saved, and what this person wants, field by field.
import { html, useState } from "../vendor/ui.js";
import { act, Problem } from "../api.js";
import { refresh } from "../live.js";
import { compare, decided, merged } from "../merge.js";
import { Dialog } from "./dialog.js";
import { toast } from "./toast.js";

/** @typedef {import("../merge.js").Fields} Fields */
/** @typedef {{version: number, updatedBy: string, status: string}} Versioned */
/** @typedef {"theirs" | "yours"} Side */

/** *again* loads theirs anew; *done* ends the edit; *close* keeps what was typed.
 * @param {{was: Versioned, theirs: Versioned, yours: Fields, labels: Record<string, string>, path: string,
 *   shown: (name: string, value: unknown, fields: Fields) => string, again: () => Promise<void>, done: () => void,
 *   close: () => void}} props */
export function Conflict({ was, theirs, yours, labels, path, shown, again, done, close }) {
  const [choices, setChoices] = useState(/** @type {Record<string, Side>} */ ({}));
  const [state, setState] = useState({ sending: false, problem: "" });
  const [before, now] = [/** @type {any} */ (was), /** @type {any} */ (theirs)];
  const merge = compare(before, now, yours);
  const body = { ...merged(now, yours, merge, choices), version: theirs.version };
  const save = async () => {
    setState({ sending: true, problem: "" });
    try {
      // Nothing is left of this person's changes: the other version is the merge.
      if (Object.keys(body).length > 1) {
        await act("save", "PUT", path, { body });
        toast(`Saved version ${theirs.version + 1}`);
      }
      done();
      refresh();
    } catch (error) {
      if (error instanceof Problem && error.code === "version-conflict") {
        await again();
        setState({ sending: false, problem: "Somebody saved again. Your choices are kept." });
      } else {
        const problem = error instanceof Problem ? error.message : String(error);
        setState({ sending: false, problem });
      }
    }
  };
  const copy = async () => {
    await navigator.clipboard.writeText(JSON.stringify(yours, null, 2));
    toast("Your values are copied");
  };
  const choose = (/** @type {string} */ name, /** @type {Side} */ side) =>
    setChoices((given) => ({ ...given, [name]: side }));
  return html`<${Dialog} title="${theirs.updatedBy} saved version ${theirs.version}" close=${close}>
    ${
    was.status !== theirs.status &&
    html`<p class="note warn">${theirs.updatedBy} moved it from ${was.status} to ${theirs.status}.</p>`
  }
    <p>You began with version ${was.version}. ${
    merge.clashes.length ? "Choose what stands:" : "Your changes and theirs do not touch."
  }</p>
    ${
    merge.clashes.map((clash) =>
      html`
        <fieldset key=${clash.name} class="choices">
          <legend>${labels[clash.name] ?? clash.name}</legend>
          <p class="quiet">It was ${shown(clash.name, clash.was, before)}</p>
          ${/** @type {Side[]} */ (["theirs", "yours"]).map((side) =>
            html`<label><input type="radio" name=${clash.name} value=${side} checked=${
              choices[clash.name] === side
            }
            onChange=${() => choose(clash.name, side)} />
            <span><strong>${side === "theirs" ? "Theirs" : "Yours"}</strong> ${
              shown(clash.name, clash[side], side === "theirs" ? now : yours)
            }</span></label>`
          )}
        </fieldset>
      `
    )
  }
    <${Kept} title="Kept of yours" names=${merge.onlyYours} labels=${labels}
      words=${(/** @type {string} */ name) => shown(name, yours[name], yours)} />
    <${Kept} title="Kept of theirs" names=${merge.onlyTheirs} labels=${labels}
      words=${(/** @type {string} */ name) => shown(name, now[name], now)} />
    ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}
    <div class="actions">
      <button type="button" class="main" disabled=${state.sending || !decided(merge, choices)}
        onClick=${save}>${
    state.sending ? "Saving…" : `Save as version ${theirs.version + 1}`
  }</button>
      <button type="button" onClick=${done}>Take theirs</button>
      <button type="button" onClick=${copy}>Copy mine</button>
    </div>
  <//>`;
}

/** @param {{title: string, names: string[], labels: Record<string, string>, words: (name: string) => string}} props */
function Kept({ title, names, labels, words }) {
  if (!names.length) return null;
  return html`
    <div>
      <h3>${title}</h3>
      <ul class="names">${names.map((name) =>
        html`<li>${labels[name] ?? name}: ${words(name)}</li>`
      )}</ul>
    </div>
  `;
}
