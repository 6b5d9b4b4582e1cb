// One webhook: its fields, what can be done with it, and its last deliveries.
import { html, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem } from "../api.js";
import { refresh, usePoll } from "../live.js";
import { go, href, route } from "../route.js";
import { ShowCall } from "../parts/call.js";
import { Confirm } from "../parts/confirm.js";
import { Deliveries, isMoving } from "../parts/deliveries.js";
import { Figures } from "../parts/figures.js";
import { bodyOf, Events, formOf, HookFields, HookState, place } from "../parts/hook.js";
import { Recover } from "../parts/recover.js";
import { overlap, Secret } from "../parts/secret.js";
import { Statement } from "../parts/statement.js";
import { Loaded } from "../parts/states.js";
import { toast } from "../parts/toast.js";
import { exact, serverNow } from "../time.js";

/** @typedef {import("../parts/hook.js").Webhook} Webhook */

const LAST = 10;

/** @param {string} id */
function pathOf(id) {
  return `api/webhooks/${encodeURIComponent(id)}`;
}

export function WebhookPage() {
  const { id, query } = route.value;
  const path = pathOf(id);
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => "seldom");
  return html`
    <p class="back"><a href=${href("webhooks")}>Webhooks</a></p>
    ${polled.data === null && html`<h1>Webhook</h1>`}
    <${Loaded} polled=${polled}>${(/** @type {Webhook} */ webhook) =>
      html`
        <div class="title">
          <h1>${place(webhook.url)}</h1>
          <${HookState} webhook=${webhook} />
        </div>
        ${webhook.disabledReason && html`
          <p class="note warn">Disabled: ${webhook
            .disabledReason}. Events are recorded, and not sent.</p>
        `}
        ${webhook.paused && webhook.enabled &&
          html`<p class="note warn">Paused: deliveries wait until the webhook is resumed.</p>`}
        <${Actions} webhook=${webhook} path=${path} />
        <${Facts} webhook=${webhook} />
        <${Figures} path=${path} />
        <${Last} webhook=${webhook} />
        <${Statement} path=${path} />
        <${Change} webhook=${webhook} path=${path} />
        <${Delete} webhook=${webhook} path=${path} />
        ${query.recover && html`
          <${Recover} path=${path} since=${query.since ?? ""} close=${() =>
            go(href("webhooks", id))} />
        `}
      `}<//>
  `;
}

/** @param {{webhook: Webhook, path: string}} props */
function Actions({ webhook, path }) {
  const { enabled, paused, webhookId } = webhook;
  const [state, setState] = useState({ sending: false, problem: "" });
  const run = async (/** @type {() => Promise<void>} */ work) => {
    setState({ sending: true, problem: "" });
    try {
      await work();
      setState({ sending: false, problem: "" });
    } catch (error) {
      setState({
        sending: false,
        problem: error instanceof Problem ? error.message : String(error),
      });
    }
    refresh();
  };
  const test = async () => {
    const made = await act("test", "POST", `${path}/test`);
    toast("A test is on its way");
    go(href("deliveries", made.deliveryId));
  };
  const hold = paused ? "resume" : "pause";
  const toggle = async () => {
    await act(hold, "POST", `${path}/${hold}`);
    toast(paused ? "Deliveries are sent again" : "Deliveries wait from now on");
  };
  return html`
    <div class="actions">
      <span class="pair"><button type="button" disabled=${!enabled || state.sending} onClick=${() =>
        run(test)}>Send a test</button>
      <${ShowCall} name="test" would=${{ method: "POST", path: `${path}/test` }} /></span>
      <span class="pair"><button type="button" disabled=${state.sending} onClick=${() =>
        run(toggle)}>${paused ? "Resume" : "Pause"}</button>
      <${ShowCall} name=${hold} would=${{ method: "POST", path: `${path}/${hold}` }} /></span>
      <${Switch} webhook=${webhook} path=${path} />
      ${enabled &&
        html`<a class="button" href=${
          href("webhooks", webhookId, { recover: "yes" })
        }>Recover…</a>`}
      <${Rotate} webhook=${webhook} path=${path} />
    </div>
    ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}
  `;
}

/** @param {{webhook: Webhook, path: string}} props */
function Switch({ webhook: { enabled, url }, path }) {
  const [open, setOpen] = useState(false);
  const verb = enabled ? "Disable" : "Enable";
  const body = { enabled: !enabled };
  const change = async () => {
    await act("enable", "PATCH", path, { body });
    toast(enabled ? "The webhook is disabled" : "Later events are sent");
    refresh();
  };
  return html`
    <span class="pair"><button type="button" onClick=${() => setOpen(true)}>${verb}</button>
    <${ShowCall} name="enable" would=${{ method: "PATCH", path, body }} /></span>
    ${open && html`
      <${Confirm} title="${verb} the webhook?" verb=${verb} word=${place(url)} act=${change}
        close=${() => setOpen(false)}>
        <p>${enabled
          ? "Deliveries that wait end as dead. Later events are recorded, and not sent."
          : "Later events are sent. Recover sends the dead deliveries of a time again."}</p>
        <//>
    `}
  `;
}

/** @param {{webhook: Webhook, path: string}} props */
function Rotate({ webhook: { url }, path }) {
  const [open, setOpen] = useState(false);
  const [key, setKey] = useState("");
  const [made, setMade] = useState(/** @type {(Webhook & {secret: string}) | null} */ (null));
  const to = `${path}/rotate-secret`;
  const rotate = async () => {
    setMade(await act("rotate secret", "POST", to, { key, secret: true }));
    refresh();
  };
  return html`
    <span class="pair"><button type="button" onClick=${() => {
      setKey(newKey());
      setOpen(true);
    }}>Rotate the secret</button>
    <${ShowCall} name="rotate secret" would=${{ method: "POST", path: to }} /></span>
    ${open && html`
      <${Confirm} title="Rotate the secret?" verb="Rotate the secret" word=${place(
        url,
      )} act=${rotate}
        close=${() => setOpen(false)}>
        <p>The new secret is shown once. For 24 hours every call has two signatures, one by each secret. A secret that was
          rotated away within the last 24 hours stops signing at once.</p>
        <//>
    `}
    ${made && html`
      <${Secret} secret=${made.secret} until=${overlap(made.rotatedAt, serverNow())}
        close=${() => setMade(null)} />
    `}
  `;
}

/** @param {{webhook: Webhook}} props */
function Facts({ webhook }) {
  const until = overlap(webhook.rotatedAt, serverNow());
  /** @type {[string, unknown][]} */
  const facts = [
    ["Address", html`<code>${webhook.url}</code>`],
    ["Description", webhook.description],
    ["Events", html`<${Events} events=${webhook.events} />`],
    ["Webhook", html`<code>${webhook.webhookId}</code>`],
    ["Made", `${exact(webhook.createdAt)} by ${webhook.createdBy}`],
    ["Changed", `${exact(webhook.updatedAt)} by ${webhook.updatedBy}`],
    ["Secret", until && `rotated; the one before signs until ${until}`],
  ];
  return html`
    <section class="card" aria-label="Facts">
      <dl class="pairs">${facts.filter(([, shown]) => shown).map(([word, shown]) =>
        html`
          <div key=${word}>
            <dt>${word}</dt>
            <dd>${shown}</dd>
          </div>
        `
      )}</dl>
    </section>
  `;
}

/** @param {{webhook: Webhook}} props */
function Last({ webhook: { webhookId } }) {
  const path = `${pathOf(webhookId)}/deliveries?limit=${LAST}`;
  const polled = usePoll(
    path,
    (gone) => ask("GET", path, { signal: gone }),
    (/** @type {import("./deliveries.js").Page} */ { items }) => items.some(isMoving),
  );
  return html`
    <section aria-label="Last deliveries">
      <h2>Last deliveries</h2>
      <${Loaded} polled=${polled}>${(
        /** @type {import("./deliveries.js").Page} */ { items },
      ) =>
        items.length
          ? html`
            <${Deliveries} items=${items} />
            <p><a href=${href("deliveries", "", {
              webhookId,
            })}>All deliveries of this webhook</a></p>
          `
          : html`<p class="quiet">Nothing was sent yet.</p>`}<//>
    </section>
  `;
}

/** @param {{webhook: Webhook, path: string}} props */
function Change({ webhook, path }) {
  // What others change comes along in the fields that this person has left alone.
  const [edits, setEdits] = useState(/** @type {Partial<import("../parts/hook.js").Form>} */ ({}));
  const [state, setState] = useState({
    sending: false,
    problem: /** @type {Problem | null} */ (null),
  });
  const form = { ...formOf(webhook), ...edits };
  const before = bodyOf(formOf(webhook));
  const body = Object.fromEntries(
    Object.entries(bodyOf(form)).filter(([name, value]) =>
      JSON.stringify(value) !== JSON.stringify(before[name])
    ),
  );
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: null });
    try {
      await act("change webhook", "PATCH", path, { body });
      setEdits({});
      setState({ sending: false, problem: null });
      toast("Saved");
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      setState({ sending: false, problem });
    }
    refresh();
  };
  return html`
    <details>
      <summary>Change</summary>
      <form class="narrow" onSubmit=${save}>
        <${HookFields} form=${form} problem=${state.problem}
          change=${(/** @type {Partial<import("../parts/hook.js").Form>} */ fields) =>
            setEdits((others) => ({ ...others, ...fields }))} />
        ${state.problem && html`<p class="note bad" role="alert">${state.problem.message}</p>`}
        <div class="actions">
          <button class="main" disabled=${state.sending ||
            !Object.keys(body).length}>${state.sending ? "Saving…" : "Save"}</button>
          <${ShowCall} name="change webhook" would=${{ method: "PATCH", path, body }} />
        </div>
      </form>
    </details>
  `;
}

/** @param {{webhook: Webhook, path: string}} props */
function Delete({ webhook: { url }, path }) {
  const [open, setOpen] = useState(false);
  const name = place(url);
  const remove = async () => {
    await act("delete webhook", "DELETE", path);
    toast("Deleted the webhook");
    go(href("webhooks"));
  };
  return html`
    <div class="actions">
      <button type="button" class="danger" onClick=${() =>
        setOpen(true)}>Delete the webhook</button>
      <${ShowCall} name="delete webhook" would=${{ method: "DELETE", path }} />
    </div>
    ${open && html`
      <${Confirm} title="Delete this webhook?" verb="Delete the webhook" word=${name} act=${remove}
        close=${() => setOpen(false)}>
        <p><strong>${name}</strong> gets no more events, and deliveries that wait end as dead. The deliveries stay in the
          list for 30 days.</p>
        <//>
    `}
  `;
}
