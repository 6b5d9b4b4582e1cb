// The first steps on the overview: four things to do once. A tick says what is in the stores, not what was clicked.
import { html, useEffect } from "../vendor/ui.js";
import { act, ask, Problem, session } from "../api.js";
import { refresh } from "../live.js";
import { firstSteps } from "../preferences.js";
import { go, href } from "../route.js";
import { config } from "./banner.js";
import { curl } from "./call.js";
import { State } from "./icon.js";
import { toast } from "./toast.js";

/** *asked*: this person asked themselves. *changed*: an application has a second version. *keyed*: a service with a key
 * asked this person. *hooked*: a webhook to the receiver has a delivered delivery. *application* is the one changed last, "" without any, null if unknown. *mark* and *run* say what the
 * last look knew.
 * @typedef {{asked: boolean, changed: boolean, keyed: boolean, hooked: boolean, application: string | null, mark: string, atMs: number,
 *   run: AbortSignal | null}} Found */

/** @type {Found} */
export const NOTHING = {
  asked: false,
  changed: false,
  keyed: false,
  hooked: false,
  application: null,
  mark: "",
  atMs: -Infinity,
  run: null,
};
const LOOK_MS = 120_000;
/** Where examples/receiver.py listens. */
const EXAMPLE_RECEIVER = "http://127.0.0.1:9000";
const EXAMPLE = {
  applicantName: "Ada Lovelace",
  email: "ada@example.org",
  amountMinor: 1_200_000,
  currency: "EUR",
  termMonths: 24,
};

/** Look for what is not ticked yet: when the page is shown, when *mark* has changed, and every two minutes. The answer of
 * before stays if the API refuses.
 * @param {Found} before
 * @param {string} mark
 * @param {AbortSignal} run
 * @returns {Promise<Found>} */
export async function look(before, mark, run) {
  const nowMs = performance.now();
  if (run === before.run && mark === before.mark && nowMs - before.atMs < LOOK_MS) return before;
  try {
    return { ...await find(before, run), mark, atMs: nowMs, run };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return before;
  }
}

/** @param {Found} before
 * @param {AbortSignal} run */
async function find(before, run) {
  const me = session.peek()?.username ?? "";
  const get = (/** @type {string} */ path) => ask("GET", path, { signal: run });
  const mine = `api/pending-responses?${new URLSearchParams({ username: me, limit: "20" })}`;
  const [questions, applications, hooked] = await Promise.all([
    before.asked && before.keyed ? [] : get(mine).then(({ items }) => items),
    before.changed ? [] : get("api/applications?sort=-updatedAt&limit=20").then((_) => _.items),
    before.hooked || anyDelivered(get),
  ]);
  const callers = new Set(questions.map((/** @type {any} */ { createdBy }) => createdBy));
  const asked = before.asked || callers.delete(me);
  return {
    ...before,
    asked,
    changed: before.changed || applications.some((/** @type {any} */ { version }) => version > 1),
    application: applications[0]?.applicationId ?? before.application ?? "",
    hooked,
    keyed: before.keyed || await anyKey([...callers].slice(0, 2), run),
  };
}

/** Whether one of several callers has an API key. A caller that is gone has none.
 * @param {string[]} usernames
 * @param {AbortSignal} run */
async function anyKey(usernames, run) {
  const found = await Promise.all(
    usernames.map(async (username) => {
      const path = `api/users/${encodeURIComponent(username)}/keys?limit=1`;
      return (await ask("GET", path, { signal: run })).items.length > 0;
    }).map((one) => one.catch(() => false)),
  );
  return found.includes(true);
}

/** Whether a webhook to the receiver of a laptop, or without a receiver any webhook, has delivered.
 * @param {(path: string) => Promise<any>} get */
async function anyDelivered(get) {
  const { items } = await get("api/webhooks");
  const ours = items.find((/** @type {import("./hook.js").Webhook} */ { url }) =>
    url.startsWith(config.peek()?.receiver ?? "")
  );
  if (!ours) return false;
  const query = new URLSearchParams({ webhookId: ours.webhookId, status: "delivered", limit: "1" });
  return (await get(`api/deliveries?${query}`)).items.length > 0;
}

/** The ticks in the order of the steps.
 * @param {Found} found
 * @param {number} callbacks how many callbacks were delivered
 * @returns {boolean[]} */
export function ticks({ asked, changed, keyed, hooked }, callbacks) {
  return [asked, changed, hooked || callbacks > 0, keyed];
}

/** @param {{found: Found, callbacks: number}} props */
export function FirstSteps({ found, callbacks }) {
  const done = ticks(found, callbacks);
  const all = done.every(Boolean);
  useEffect(() => {
    if (!all || firstSteps.value) return;
    firstSteps.value = "done";
    toast("All first steps are done");
  }, [all]);
  if (firstSteps.value === "skipped") return null;
  const skip = (/** @type {string} */ words) =>
    html`<button type="button" onClick=${() => (firstSteps.value = "skipped")}>${words}</button>`;
  if (firstSteps.value === "done") {
    return html`
      <section class="folded" aria-label="First steps">
        <p><${State} state="done" /> All first steps are done.</p>
        ${skip("Put away")}
      </section>
    `;
  }
  const steps = [askYourself(), changeTwice(found.application), addWebhook(), useKey()];
  return html`
    <section class="card" aria-label="First steps">
      <header>
        <h2>First steps: ${done.filter(Boolean).length} of ${steps.length}</h2>
        ${skip("Skip")}
      </header>
      <ol class="steps">${steps.map(([title, text], index) =>
        html`
          <li key=${title}>
            <header>
              <h3>${title}</h3>
              <${State} state=${done[index] ? "done" : "open"} />
            </header>
            ${!done[index] && text}
          </li>
        `
      )}</ol>
    </section>
  `;
}

/** @typedef {[string, import("../vendor/ui.js").Child]} Step */

/** @returns {Step} */
function askYourself() {
  const local = config.value?.stage === "local";
  const me = session.value?.username ?? "";
  return [
    "Ask yourself a question",
    html`
      <p>${local
        ? html`<a href=${
          href("try")
        }>Try it</a> shows a caller that waits, and your phone that answers.`
        : html`<a href=${
          href("ask", "", { username: me })
        }>Put a question</a> to yourself, and answer it in the inbox.`}</p>
    `,
  ];
}

/** @param {string | null} application
 * @returns {Step} */
function changeTwice(application) {
  const make = async () => {
    const made = await act("make application", "POST", "api/applications", { body: EXAMPLE });
    go(href("applications", made.applicationId));
  };
  return [
    "Change an application in two tabs",
    application !== ""
      ? html`
        <p><a href=${href(
          "applications",
          application ?? "",
        )}>Open an application</a> in two tabs, and save another amount in each. The second
          save shows both.</p>
      `
      : html`
        <p>There is no application yet.</p>
        <p>${config.value?.stage === "local"
          ? html`<button type="button" onClick=${() =>
            make().catch(failed)}>Make an example</button>`
          : html`<code>POST /api/applications</code> makes the first.`}</p>
      `,
  ];
}

/** @param {unknown} error */
function failed(error) {
  toast(error instanceof Problem ? error.message : String(error));
  refresh();
}

/** @returns {Step} */
function addWebhook() {
  const receiver = config.value?.receiver;
  const to = href("webhooks", "new", receiver ? { url: `${receiver}/webhooks` } : {});
  const [, callback] = callBack();
  return [
    receiver ? "Add a webhook to the built-in receiver" : "Add a webhook",
    html`
      <p><a href=${to}>Make a webhook</a> that gets all events, and change an application.</p>
      <p>Or let one answer be called back:</p>
      ${callback}
    `,
  ];
}

/** @returns {Step} */
function callBack() {
  const receiver = config.value?.receiver ?? "";
  const local = config.value?.stage === "local";
  const callback = receiver ? `${receiver}/callbacks` : local ? EXAMPLE_RECEIVER : "https://";
  const query = { username: session.value?.username ?? "", callback };
  const form = html`<a href=${href("ask", "", query)}>Ask with a callback</a>`;
  return [
    "Let an answer be called back",
    receiver
      ? html`<p>${form} to the <a href=${
        href("receiver")
      }>receiver of this laptop</a>, and answer.</p>`
      : html`
        <p>${form} to ${local
          ? "a program on this machine, such as examples/receiver.py"
          : "a public address of yours"}, and answer.
          The call is signed.</p>
      `,
  ];
}

/** @returns {Step} */
function useKey() {
  const username = session.value?.username ?? "";
  const body = { username, title: "Does my key work?", wait: false };
  return [
    "Make an API key and use it",
    html`
      <p>Make a user with the role service under <a href=${href(
        "users",
      )}>Users</a>, and a key on its page. Then ask from a
        terminal, with the key as <code>$KEY</code>:</p>
      <pre tabindex="0" aria-label="curl">${curl(
        { method: "POST", path: "send-notification", body },
        "KEY",
      )}</pre>
    `,
  ];
}
