// The fields of an application as a form. Changes of others come along until somebody types; from then on the page says
// early that another version was saved, and a dialog merges the two.
import { html, useState } from "../vendor/ui.js";
import { act, ask, Problem } from "../api.js";
import { refresh } from "../live.js";
import { minor, money, typed } from "../money.js";
import { ShowCall } from "./call.js";
import { Conflict } from "./conflict.js";
import { Field, refusal } from "./fields.js";
import { toast } from "./toast.js";

/** @typedef {import("../pages/applications.js").Application} Application */
/** @typedef {Record<string, string>} Texts */
/** @typedef {Record<string, unknown>} Fields */

const UNDECIDED = ["draft", "submitted", "review"];
/** Fields that stay once the application is decided. */
const FIXED = ["amountMinor", "currency", "termMonths"];
/** @type {Record<string, string>} */
export const LABELS = {
  applicantName: "Applicant",
  email: "E-mail",
  amountMinor: "Amount",
  currency: "Currency",
  termMonths: "Months",
  incomeMinor: "Income",
  status: "State",
};

/** @param {{found: Application}} props */
export function Terms({ found }) {
  const [edit, setEdit] = useState(
    /** @type {{base: Application, texts: Texts} | null} */ (null),
  );
  const [state, setState] = useState({
    sending: false,
    problem: /** @type {Problem | null} */ (null),
  });
  const [theirs, setTheirs] = useState(/** @type {Application | null} */ (null));
  const base = edit?.base ?? found;
  const texts = edit?.texts ?? written(found);
  const yours = read(texts);
  const changed = Object.keys(yours).filter((name) =>
    yours[name] !== /** @type {Fields} */ (base)[name]
  );
  const body = {
    ...Object.fromEntries(changed.map((name) => [name, yours[name]])),
    version: base.version,
  };
  const path = `api/applications/${encodeURIComponent(found.applicationId)}`;
  const set = (/** @type {string} */ name) => (/** @type {string} */ value) =>
    setEdit({ base, texts: { ...texts, [name]: value } });
  const leave = () => {
    setEdit(null);
    setTheirs(null);
    setState({ sending: false, problem: null });
  };
  const compare = async () => setTheirs(await ask("GET", path));
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: null });
    try {
      await act("save", "PUT", path, { body });
      toast(`Saved version ${base.version + 1}`);
      leave();
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      if (problem.code === "version-conflict") {
        await compare();
        setState({ sending: false, problem: null });
      } else setState({ sending: false, problem });
    }
    refresh();
  };
  const field = (/** @type {string} */ name, /** @type {object} */ more = {}) =>
    html`
      <${Field} label=${LABELS[name]} name=${name} value=${texts[name]} change=${set(name)}
        disabled=${FIXED.includes(name) && !UNDECIDED.includes(found.status)}
        problem=${unread(name, texts) ||
          refusal(state.problem, name)} autocomplete="off" ...${more} />
    `;
  return html`
    <section class="card" aria-label="Fields">
      <form onSubmit=${save}>
        ${edit && found.version > base.version && html`
          <p class="note warn" role="status">${found.updatedBy} saved version ${found
            .version} meanwhile.
            ${" "}<button type="button" class="plain" onClick=${compare}>Compare</button></p>
        `}
        ${field("applicantName", { required: true })}
        ${field("email", { required: true, type: "email" })}
        <div class="row">
          ${field("amountMinor", { required: true, inputMode: "decimal" })}
          ${field("currency", { required: true })}
        </div>
        <div class="row">
          ${field("termMonths", { required: true, inputMode: "numeric" })}
          ${field("incomeMinor", { inputMode: "decimal" })}
        </div>
        ${!UNDECIDED.includes(found.status) &&
          html`<p class="hint">Amount, currency and months stay as they were decided.</p>`}
        ${state.problem && html`<p class="note bad" role="alert">${state.problem.message}</p>`}
        <div class="actions">
          <button class="main" disabled=${state.sending || !changed.length ||
            !complete(texts)}>${state.sending ? "Saving…" : "Save"}</button>
          ${edit && html`<button type="button" onClick=${leave}>Undo</button>`}
          <${ShowCall} name="save" would=${{ method: "PUT", path, body }} />
        </div>
      </form>
      ${theirs && html`
        <${Conflict} was=${base} theirs=${theirs} yours=${yours} labels=${LABELS}
          path=${path}
          shown=${shown} again=${compare} done=${leave} close=${() => setTheirs(null)} />
      `}
    </section>
  `;
}

/** The fields as they stand in the form.
 * @param {Application} found
 * @returns {Texts} */
function written(found) {
  const { amountMinor, incomeMinor, currency } = found;
  return {
    applicantName: found.applicantName,
    email: found.email,
    amountMinor: typed(amountMinor, currency),
    currency,
    termMonths: String(found.termMonths),
    incomeMinor: incomeMinor === null ? "" : typed(incomeMinor, currency),
  };
}

/** The fields as the API takes them. A text that says no number stays a text, which the API refuses.
 * @param {Texts} texts
 * @returns {Fields} */
function read(texts) {
  const { applicantName = "", email = "", amountMinor = "", termMonths = "", incomeMinor = "" } =
    texts;
  const currency = (texts.currency ?? "").trim().toUpperCase();
  return {
    applicantName: applicantName.trim(),
    email: email.trim(),
    amountMinor: minor(amountMinor, currency) ?? amountMinor,
    currency,
    termMonths: /^\d+$/.test(termMonths.trim()) ? Number(termMonths) : termMonths,
    incomeMinor: incomeMinor.trim() ? minor(incomeMinor, currency) ?? incomeMinor : null,
  };
}

/** Why the text of a field says no amount, or "".
 * @param {string} name
 * @param {Texts} texts */
function unread(name, texts) {
  if (!name.endsWith("Minor") || !texts[name]?.trim()) return "";
  const currency = (texts.currency ?? "").trim().toUpperCase();
  return minor(texts[name] ?? "", currency) === null
    ? `No amount of ${currency}, such as ${typed(125000, currency)}.`
    : "";
}

/** @param {Texts} texts */
function complete(texts) {
  return !unread("amountMinor", texts) && !unread("incomeMinor", texts);
}

/** A field's value as people read it.
 * @param {string} name
 * @param {unknown} value
 * @param {Fields} fields the fields among which it stands
 * @returns {string} */
export function shown(name, value, fields) {
  if (value === null || value === undefined) return "nothing";
  if (name.endsWith("Minor") && typeof value === "number") {
    return money(value, String(fields.currency));
  }
  return String(value);
}
