// The receiver of callbacks and webhooks on a laptop: what came, and the answer from now on. All of it is the receiver's own.
import { html, useState } from "../vendor/ui.js";
import { askElsewhere, Problem } from "../api.js";
import { refresh, usePoll } from "../live.js";
import { href } from "../route.js";
import { config } from "../parts/banner.js";
import { indented } from "../parts/call.js";
import { Mark } from "../parts/icon.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { toast } from "../parts/toast.js";
import { counted } from "../words.js";

/** @typedef {{status: number, retryAfter: number | null, delayMs: number}} Told */
/** *status* is null until the call is answered, and stays null if the caller left before.
 * @typedef {{id: string, at: string, path: string, headers: Record<string, string>, body: string,
 *   status: number | null}} Received */
/** @typedef {{items: Received[], answer: Told}} Page */

/** @type {[string, Told][]} */
const ANSWERS = [
  ["204, as it should", { status: 204, retryAfter: null, delayMs: 0 }],
  ["500, fails", { status: 500, retryAfter: null, delayMs: 0 }],
  ["429, asks for a pause of 30 s", { status: 429, retryAfter: 30, delayMs: 0 }],
  ["410, gone for good", { status: 410, retryAfter: null, delayMs: 0 }],
  ["204, hangs for 20 s", { status: 204, retryAfter: null, delayMs: 20_000 }],
];
/** The headers that belong to one call. */
const SHOWN = /^webhook-|^x-request-id$/;

export function ReceiverPage() {
  const base = config.value?.receiver ?? "";
  const url = `${base}/received`;
  const polled = usePoll(url, (gone) => askElsewhere("GET", url, { signal: gone }), () => true);
  return html`
    <p class="back"><a href=${href("try")}>Try it</a></p>
    <h1>Receiver</h1>
    <p
      class="lead">Callbacks and webhooks to <code>${base}</code> arrive at this machine, and are shown here. The receiver has no
      secret: signatures are shown as they came, and not checked.</p>
    <${Loaded} polled=${polled}>${(/** @type {Page} */ data) =>
      html`
        <${Controls} base=${base} page=${data} />
        ${data.items.length
          ? html`<${Calls} items=${data.items} />`
          : html`<${Nothing} base=${base} />`}
      `}<//>
  `;
}

/** @param {{base: string, page: Page}} props */
function Controls({ base, page: { items, answer } }) {
  const [problem, setProblem] = useState("");
  const change = async (
    /** @type {string} */ done,
    /** @type {[string, string, Told?]} */ [method, path, body],
  ) => {
    try {
      await askElsewhere(method, `${base}${path}`, { body });
      setProblem("");
      toast(done);
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
    }
    refresh();
  };
  const tell = (/** @type {{currentTarget: HTMLSelectElement}} */ event) => {
    const [words, told] = options[Number(event.currentTarget.value)] ?? ["", answer];
    change(`From now on: ${words}`, ["PUT", "/answer", told]);
  };
  const options = choices(answer);
  return html`
    <div class="filter">
      <label for="answer">Answer with</label>
      <select id="answer" onChange=${tell}>${options.map(([words, told], index) =>
        html`<option value=${index} selected=${same(told, answer)}>${words}</option>`
      )}</select>
      <button type="button" disabled=${!items.length} onClick=${() =>
        change(`Forgot ${counted(items.length, "call")}`, [
          "DELETE",
          "/received",
        ])}>Forget all</button>
    </div>
    ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
    <details>
      <summary>From a shell</summary>
      <pre tabindex="0" aria-label="curl">${shell(base, answer)}</pre>
    </details>
  `;
}

/** The answers to choose from. One that a shell has told stands among them.
 * @param {Told} answer */
function choices(answer) {
  if (ANSWERS.some(([, told]) => same(told, answer))) return ANSWERS;
  const pause = answer.retryAfter === null ? "" : `, asks for a pause of ${answer.retryAfter} s`;
  const delay = answer.delayMs ? `, after ${answer.delayMs / 1000} s` : "";
  return [...ANSWERS, /** @type {[string, Told]} */ ([`${answer.status}${pause}${delay}`, answer])];
}

/** @param {Told} one
 * @param {Told} other */
function same(one, other) {
  return one.status === other.status && one.retryAfter === other.retryAfter &&
    one.delayMs === other.delayMs;
}

/** @param {string} base
 * @param {Told} answer */
function shell(base, answer) {
  return [
    `curl ${base}/received`,
    `curl -X PUT ${base}/answer --json '${JSON.stringify(answer)}'`,
    `curl -X DELETE ${base}/received`,
  ].join("\n");
}

/** @param {{base: string}} props */
function Nothing({ base }) {
  return html`
    <${Empty} title="Nothing received">
      <p><a href=${href(
        "ask",
      )}>Ask somebody</a>, and choose <b>Use the built-in receiver</b> under Callback. When the
        question is settled, the call appears here.</p>
      <p>Or <a href=${href("webhooks", "new", {
        url: `${base}/webhooks`,
      })}>make a webhook</a>: every change that the webhook wants appears here.</p>
      <p>Or call from a shell:</p>
      <pre tabindex="0" aria-label="curl">curl ${base}/hook --json '{"type": "hello"}'</pre>
      <//>
  `;
}

/** @param {{items: Received[]}} props */
function Calls({ items }) {
  return html`
    <section class="cards" aria-label="Received calls">${items.map((call, index) =>
      html`<${Card} key=${call.id} call=${call} attempt=${attempts(items.slice(index))} />`
    )}</section>
  `;
}

/** How often the id of the first call came, with the calls before.
 * @param {Received[]} items newest first */
function attempts([call, ...before]) {
  const id = call?.headers["webhook-id"];
  return 1 + before.filter((other) => id && other.headers["webhook-id"] === id).length;
}

/** @param {{call: Received, attempt: number}} props */
function Card({ call, attempt }) {
  const { type, question } = meaning(call.body);
  const headers = Object.entries(call.headers).filter(([name]) => SHOWN.test(name));
  return html`
    <article class="card">
      <header>
        <h2>${question ? html`<a href=${href("approvals", question)}>${type}</a>` : type}</h2>
        <${Answered} status=${call.status} />
      </header>
      <p class="quiet"><${Time} at=${call.at} /> to <code>${call.path}</code>${attempt > 1 &&
        `, call ${attempt} with this id`}</p>
      ${headers.length > 0 && html`
        <dl class="pairs headers">${headers.map(([name, value]) =>
          html`
            <div>
              <dt>${name}</dt>
              <dd><code>${value}</code></dd>
            </div>
          `
        )}</dl>
      `}
      <${Body} text=${call.body} />
    </article>
  `;
}

/** @param {{text: string}} props */
function Body({ text }) {
  const lines = indented(text);
  return html`
    <details>
      <summary>Body</summary>
      <pre tabindex="0">${lines}</pre>
      ${lines !== text && html`
        <p class="hint">In lines for reading: the signature is of the text as it came.</p>
      `}
    </details>
  `;
}

/** @param {{status: number | null}} props */
function Answered({ status }) {
  if (status === null) return html`<${Mark} tone="warn" word="no answer" />`;
  return html`<${Mark} tone=${status < 300 ? "good" : "bad"} word="answered ${status}" />`;
}

/** The type of an event, and the question that the event is about, as far as a body has them.
 * @param {string} body
 * @returns {{type: string, question: string}} */
function meaning(body) {
  let event = null;
  try {
    event = JSON.parse(body);
  } catch {
    // Any text may come.
  }
  const type = typeof event?.type === "string" && event.type ? event.type : "Call without a type";
  const id = type.startsWith("approval.") ? event?.data?.requestId : "";
  return { type, question: typeof id === "string" ? id : "" };
}
