// Try it: a caller and a phone side by side. The caller waits in one call; the phone answers through another instance.
import { html, useEffect, useRef, useState } from "../vendor/ui.js";
import { ask, session } from "../api.js";
import { askAndWait } from "../held.js";
import { usePoll } from "../live.js";
import { may } from "../places.js";
import { href } from "../route.js";
import { Answer } from "../parts/answer.js";
import { curl, ShowCall } from "../parts/call.js";
import { Empty, Loaded } from "../parts/states.js";
import { Countdown } from "../parts/time.js";
import { length, tick } from "../time.js";
import { Question } from "./inbox.js";

/** @typedef {import("./approvals.js").Approval} Approval */
/** @typedef {{phase: "idle" | "held" | "polling" | "heard" | "failed", sinceMs: number, tookMs: number, problem: string,
 *   heard: import("../held.js").Heard | null, story: Approval | null}} Caller */

const NAME = "ask and wait";
const PATH = "send-notification";
/** @type {Caller} */
const IDLE = { phase: "idle", sinceMs: 0, tookMs: 0, problem: "", heard: null, story: null };

export function Try() {
  const [caller, setCaller] = useState(IDLE);
  const gone = useRef(new AbortController());
  useEffect(() => () => gone.current.abort(), []);
  const me = session.value?.username ?? "";
  const question = { username: me, title: "Pay 120.00 EUR to Ada?", data: { invoice: "2041" } };
  const start = async () => {
    const sinceMs = performance.now();
    setCaller({ ...IDLE, phase: "held", sinceMs });
    const polling = () => setCaller((before) => ({ ...before, phase: "polling" }));
    try {
      const heard = await askAndWait(NAME, question, polling, gone.current.signal);
      const tookMs = performance.now() - sinceMs;
      setCaller((before) => ({ ...before, phase: "heard", tookMs, heard }));
      const path = `api/pending-responses/${encodeURIComponent(heard.outcome.requestId)}`;
      const story = await ask("GET", path, { signal: gone.current.signal });
      setCaller((before) => ({ ...before, story }));
    } catch (error) {
      if (gone.current.signal.aborted) return;
      const problem = error instanceof Error ? error.message : String(error);
      setCaller((before) => before.heard ? before : ({ ...before, phase: "failed", problem }));
    }
  };
  return html`
    <h1>Try it</h1>
    <p
      class="lead">A function asks a person and waits. The answer may arrive at another process: the function hears it
      all the same.</p>
    <div class="columns">
      <${CallerCard} caller=${caller} question=${question} start=${start} />
      <${Phone} me=${me} />
    </div>
    ${may("receiver") && html`
      <p class="quiet">A caller need not wait: <a href=${href(
        "receiver",
      )}>see a callback arrive</a>.</p>
    `}
    ${caller.story && html`<${Story} story=${caller.story} heard=${caller.heard} />`}
  `;
}

/** @param {{caller: Caller, question: Record<string, unknown>, start: () => void}} props */
function CallerCard({ caller, question, start }) {
  const waits = caller.phase === "held" || caller.phase === "polling";
  return html`
    <section class="card" aria-label="The caller">
      <h2>The caller</h2>
      <pre tabindex="0" aria-label="curl">${curl({
        method: "POST",
        path: PATH,
        body: question,
      })}</pre>
      <div class="actions">
        <button type="button" class="main" disabled=${waits} onClick=${start}>${waits
          ? "Waiting…"
          : caller.phase === "idle"
          ? "Ask and wait"
          : "Ask again"}</button>
        <${ShowCall} name=${NAME} would=${{ method: "POST", path: PATH, body: question }} />
      </div>
      <div role="status">${outcome(caller)}</div>
      ${waits && html`<${Clock} sinceMs=${caller.sinceMs} />`}
    </section>
  `;
}

/** The state of the caller as words; the seconds stand apart, so that nobody hears each of them.
 * @param {Caller} caller */
function outcome({ phase, tookMs, problem, heard }) {
  if (phase === "held") return html`<p>The call is open, and waits for the answer.</p>`;
  if (phase === "polling") {
    return html`<p>Too many calls wait just now: this one asks again every 2 s.</p>`;
  }
  if (phase === "failed") return html`<p class="note bad">${problem}</p>`;
  if (!heard) return html`<p class="quiet">Nothing asked yet.</p>`;
  return html`
    <p class="answer">${heard.outcome.action ?? heard.outcome.status}</p>
    <p class="quiet">after ${length(tookMs)}, from instance <code>${heard.instance}</code></p>
  `;
}

/** @param {{sinceMs: number}} props */
function Clock({ sinceMs }) {
  tick.value;
  return html`<p class="quiet" aria-hidden="true">${
    Math.floor((performance.now() - sinceMs) / 1000)
  } s</p>`;
}

/** @param {{me: string}} props */
function Phone({ me }) {
  const path = `api/pending-responses?status=pending&limit=20&username=${encodeURIComponent(me)}`;
  const polled = usePoll(
    `phone of ${me}`,
    (gone) => ask("GET", path, { signal: gone }),
    () => true,
  );
  const [answered, setAnswered] = useState(/** @type {Approval | null} */ (null));
  return html`
    <section class="card phone" aria-label="The phone">
      <h2>The phone of ${me}</h2>
      <${Loaded} polled=${polled}>${(/** @type {{items: Approval[]}} */ data) => {
        const open = data.items.find((item) => item.requestId !== answered?.requestId);
        if (!open) {
          return html`
            <${Empty} title="No question waits">
              <p>${answered
                ? html`You answered <b>${answered.action}</b>, through instance
              ${" "}<code>${answered.resolvedThrough}</code>.`
                : "Ask, and the question appears here."}</p>
              <//>
          `;
        }
        return html`
          <article class="asked" key=${open.requestId}>
            <header>
              <h3>${open.title || "Question without a title"}</h3>
              <${Countdown} at=${open.expiresAt} />
            </header>
            <${Question} approval=${open} />
            <${Answer} approval=${open} done=${setAnswered} />
          </article>
        `;
      }}<//>
    </section>
  `;
}

/** @param {{story: Approval, heard: import("../held.js").Heard | null}} props */
function Story({ story, heard }) {
  const instance = (/** @type {string | null} */ id) =>
    html`Instance <code>${id || "unknown"}</code>`;
  const answered = story.status === "resolved";
  return html`
    <section aria-label="The story">
      <h2>The story</h2>
      <ol class="story">
        <li>${instance(story.askedBy)} took the question${heard?.held
          ? " and held the call"
          : ""}.</li>
        ${answered
          ? html`<li>${
            instance(story.resolvedThrough)
          } took the answer <b>${story.action}</b> of ${story.resolvedBy}.</li>`
          : html`<li>Nobody answered in time.</li>`}
        <li>${instance(
          heard?.instance ?? null,
        )} told the caller${answered && heard?.instance !== story.resolvedThrough
          ? ", though another process took the answer"
          : ""}.</li>
      </ol>
      <p><a href=${href("approvals", story.requestId)}>Open the question</a></p>
    </section>
  `;
}
