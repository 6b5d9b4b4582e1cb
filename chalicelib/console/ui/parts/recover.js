// Recovery of a webhook: the dead deliveries of a time are counted first, and exactly so many are sent again.
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

/** @typedef {{count: number, delivered: number, more: boolean}} Recovered */

/** Deliveries are kept for so long. */
const KEPT_MS = 30 * 86_400_000;
/** More deliveries than these are not sent before their number is typed. */
const MANY = 50;
/** The API works on one recovery for so long. */
const DEADLINE_MS = 30_000;

/** *since* is where the time begins; "" is as long as deliveries are kept.
 * @param {{path: string, since: string, close: () => void}} props *path* of the webhook */
export function Recover({ path, since: first, close }) {
  const [since, setSince] = useState(first || new Date(serverNow() - KEPT_MS).toISOString());
  const [until, setUntil] = useState("");
  const [found, setFound] = useState(/** @type {Recovered | null} */ (null));
  const [state, setState] = useState({ sending: false, problem: "", typed: "" });
  const key = useRef(newKey());
  const counts = useRef(0);
  const to = `${path}/recover`;
  const body = { since, ...(until ? { until } : {}) };
  const said = (/** @type {unknown} */ error) =>
    setState({
      sending: false,
      typed: "",
      problem: error instanceof Problem ? error.message : String(error),
    });
  const count = async (problem = "") => {
    const mine = counts.current += 1;
    setFound(null);
    try {
      const dry = { ...body, dryRun: true };
      const now = await act("recover", "POST", to, { body: dry, deadlineMs: DEADLINE_MS });
      // Another time was chosen meanwhile, and is counted by another call.
      if (mine !== counts.current) return;
      setFound(now);
      // What was counted is another operation than what was counted before.
      key.current = newKey();
      setState({ sending: false, problem, typed: "" });
    } catch (error) {
      said(error);
    }
  };
  useEffect(() => {
    if (since) count();
  }, [since, until]);
  const recover = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!found) return;
    setState({ ...state, sending: true, problem: "" });
    try {
      const sent = await act("recover", "POST", to, {
        body: { ...body, expectedCount: found.count },
        key: key.current,
        deadlineMs: DEADLINE_MS,
      });
      toast(`Sends ${counted(sent.count, "delivery", "deliveries")} again`);
      refresh();
      if (!sent.more) return close();
      await count("Time was too short for all. The rest is counted here.");
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "count-changed") return said(error);
      await count("The number has changed, so nothing was sent. The deliveries are counted again.");
    }
  };
  const asks = !!found && (found.count > MANY || config.value?.stage === "prod");
  const verb = found?.count
    ? `Recover ${counted(found.count, "delivery", "deliveries")}`
    : "Recover";
  return html`
    <${Dialog} title="Recover dead deliveries" close=${close}>
      <form onSubmit=${recover}>
        <p>The dead deliveries of this time are sent again in order, each by a new schedule.</p>
        <div class="row">
          <${Moment} label="Since" name="since" value=${since} change=${setSince} required />
          <${Moment} label="Until" name="until" value=${until} change=${setUntil} hint="Empty: until now." />
        </div>
        <p role="status">${found
          ? `${counted(found.count, "delivery", "deliveries")} would be sent, ${
            new Intl.NumberFormat("en").format(found.delivered)
          } ${found.delivered === 1 ? "has" : "have"} arrived.`
          : state.problem
          ? ""
          : "Counting…"}</p>
        ${asks && html`
          <${Field} label="Type ${found.count} to confirm" name="word" value=${state.typed}
            autocomplete="off" change=${(/** @type {string} */ typed) =>
              setState({ ...state, typed })} />
        `}
        ${state.problem && html`<p class="note warn" role="alert">${state.problem}</p>`}
        <div class="actions">
          <button class="main" disabled=${state.sending || !found?.count ||
            (asks && state.typed !== String(found.count))}>${state.sending
            ? "Sending…"
            : verb}</button>
          <button type="button" onClick=${close}>Keep as it is</button>
          <${ShowCall} name="recover" would=${{ method: "POST", path: to, body }} />
        </div>
      </form>
      <//>
  `;
}
