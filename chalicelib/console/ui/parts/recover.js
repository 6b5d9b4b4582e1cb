// Sends many deliveries again: they are counted first, and exactly so many are sent once the number is confirmed.
import { html, useEffect, useRef, useState } from "../vendor/ui.js";
import { act, newKey, Problem } from "../api.js";
import { refresh } from "../live.js";
import { serverNow } from "../time.js";
import { counted } from "../words.js";
import { config } from "./banner.js";
import { ShowCall } from "./call.js";
import { Dialog } from "./dialog.js";
import { Field } from "./fields.js";
import { Moment } from "./moment.js";
import { toast } from "./toast.js";

/** What a dry run counted: *delivered* of a recovery, *skipped* of a replay.
 * @typedef {{count: number, delivered?: number, skipped?: number, more: boolean}} Found */

/** Deliveries are kept for so long. */
const KEPT_MS = 30 * 86_400_000;
/** More deliveries than these are not sent before their number is typed. */
const MANY = 50;
/** The API works on one call for so long. */
const DEADLINE_MS = 30_000;

/** How many deliveries would be sent.
 * @param {Found | null} found */
function sendable(found) {
  return found ? found.count - (found.skipped ?? 0) : 0;
}

/** @param {number} count */
function deliveries(count) {
  return counted(count, "delivery", "deliveries");
}

/** Recovery of a webhook. *since* is where the time begins; "" is as long as deliveries are kept.
 * @param {{path: string, since: string, close: () => void}} props *path* of the webhook */
export function Recover({ path, since: first, close }) {
  const [since, setSince] = useState(first || new Date(serverNow() - KEPT_MS).toISOString());
  const [until, setUntil] = useState("");
  return html`
    <${Again} title="Recover dead deliveries" name="recover" verb="Recover" to="${path}/recover"
      body=${since && { since, ...(until ? { until } : {}) }} close=${close}
      said=${(/** @type {Found} */ { count, delivered }) =>
        `${deliveries(count)} would be sent, ${
          new Intl.NumberFormat("en").format(delivered ?? 0)
        } ${delivered === 1 ? "has" : "have"} arrived.`}>
      <p>The dead deliveries of this time are sent again in order, each by a new schedule.</p>
      <div class="row">
        <${Moment} label="Since" name="since" value=${since} change=${setSince} required />
        <${Moment} label="Until" name="until" value=${until} change=${setUntil}
          hint="Empty: until now." />
      </div>
      <//>
  `;
}

/** Replay of all deliveries that a list shows with *filter*.
 * @param {{filter: Record<string, string>, close: () => void}} props */
export function ReplayAll({ filter, close }) {
  return html`
    <${Again} title="Replay all deliveries" name="replay all" verb="Replay"
      to="api/deliveries/replay"
      body=${{ filter }} close=${close} goesOn
      said=${(/** @type {Found} */ { count, skipped }) =>
        `${deliveries(count)} of the list${
          skipped ? `; ${skipped} in flight, or of a disabled webhook, would not be sent` : ""
        }.`}>
      <p>Each delivery of the list, on all its pages, is sent once more. The schedules stay.</p>
      <//>
  `;
}

/** *body* names what is counted; without it nothing is. *goesOn*: the API finishes what it had no time for.
 * @param {{title: string, name: string, verb: string, to: string, body: object | "", goesOn?: boolean,
 *   said: (found: Found) => string, close: () => void, children?: import("../vendor/ui.js").Child}} props */
function Again({ title, name, verb, to, body, goesOn, said, close, children }) {
  const [found, setFound] = useState(/** @type {Found | null} */ (null));
  const [state, setState] = useState({ sending: false, problem: "", typed: "" });
  const key = useRef(newKey());
  const counts = useRef(0);
  const failed = (/** @type {unknown} */ error) =>
    setState({
      sending: false,
      typed: "",
      problem: error instanceof Problem ? error.message : String(error),
    });
  const count = async (problem = "") => {
    const mine = counts.current += 1;
    setFound(null);
    try {
      const dry = { ...body || {}, dryRun: true };
      const now = await act(name, "POST", to, { body: dry, deadlineMs: DEADLINE_MS });
      // Something else was chosen meanwhile, and is counted by another call.
      if (mine !== counts.current) return;
      setFound(now);
      // What was counted is another operation than what was counted before.
      key.current = newKey();
      setState({ sending: false, problem, typed: "" });
    } catch (error) {
      failed(error);
    }
  };
  useEffect(() => {
    if (body) count();
  }, [JSON.stringify(body)]);
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!found) return;
    setState({ ...state, sending: true, problem: "" });
    try {
      const sent = await act(name, "POST", to, {
        body: { ...body || {}, expectedCount: found.count },
        key: key.current,
        deadlineMs: DEADLINE_MS,
      });
      toast(`Sends ${deliveries(sendable(sent))} again`);
      refresh();
      if (!sent.more || goesOn) return close();
      await count("Time was too short for all. The rest is counted here.");
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "count-changed") return failed(error);
      await count("The number has changed, so nothing was sent. The deliveries are counted again.");
    }
  };
  const number = sendable(found);
  const asks = !!found && (number > MANY || config.value?.stage === "prod");
  return html`
    <${Dialog} title=${title} close=${close}>
      <form onSubmit=${send}>
        ${children}
        <p role="status">${found ? said(found) : state.problem ? "" : "Counting…"}</p>
        ${asks && html`
          <${Field} label="Type ${number} to confirm" name="word" value=${state.typed}
            autocomplete="off" change=${(/** @type {string} */ typed) =>
              setState({ ...state, typed })} />
        `}
        ${state.problem && html`<p class="note warn" role="alert">${state.problem}</p>`}
        <div class="actions">
          <button class="main" disabled=${state.sending || !number ||
            (asks && state.typed !== String(number))}>${state.sending
            ? "Sending…"
            : number
            ? `${verb} ${deliveries(number)}`
            : verb}</button>
          <button type="button" onClick=${close}>Keep as it is</button>
          <${ShowCall} name=${name} would=${{ method: "POST", path: to, body: body || {} }} />
        </div>
      </form>
      <//>
  `;
}
