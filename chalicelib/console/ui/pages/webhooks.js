// Webhooks: all addresses that get events, and a form that makes one.
import { html, useRef, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem } from "../api.js";
import { usePoll } from "../live.js";
import { may } from "../places.js";
import { go, href, route } from "../route.js";
import { config } from "../parts/banner.js";
import { ShowCall } from "../parts/call.js";
import { bodyOf, EMPTY, Events, HookFields, HookState, place } from "../parts/hook.js";
import { Secret } from "../parts/secret.js";
import { Empty, Loaded } from "../parts/states.js";

/** @typedef {import("../parts/hook.js").Webhook} Webhook */

const PATH = "api/webhooks";

export function Webhooks() {
  const polled = usePoll(PATH, (gone) => ask("GET", PATH, { signal: gone }), () => "seldom");
  return html`
    <div class="title">
      <h1>Webhooks</h1>
      <div class="actions">
        <a class="button" href=${href("deliveries")}>All deliveries</a>
        <a class="button main" href=${href("webhooks", "new")}>New webhook</a>
      </div>
    </div>
    <${Loaded} polled=${polled}>${(/** @type {{items: Webhook[]}} */ data) =>
      data.items.length ? html`<${Rows} items=${data.items} />` : html`
        <${Empty} title="No webhook">
          <p>A webhook is an address that gets every event of the kinds that it names, signed and at least once.</p>
          <p><a class="button" href=${href("webhooks", "new")}>New webhook</a></p>
          <//>
      `}<//>
  `;
}

/** @param {{items: Webhook[]}} props */
function Rows({ items }) {
  return html`
    <table class="whole">
      <thead>
        <tr>
          <th scope="col">Address</th>
          <th scope="col">Events</th>
          <th scope="col">State</th>
          <th scope="col">Priority</th>
          <th scope="col"></th>
        </tr>
      </thead>
      <tbody>${items.map((webhook) =>
        html`
          <tr key=${webhook.webhookId}>
            <td class="wide"><a href=${href("webhooks", webhook.webhookId)}>${place(
              webhook.url,
            )}</a>
              ${webhook.description && html`<p class="hint">${webhook.description}</p>`}</td>
            <td data-label="Events" class="text"><span><${Events} events=${webhook
              .events} /></span></td>
            <td data-label="State" class="text">
              <span><${HookState} webhook=${webhook} />
                ${webhook.disabledReason &&
                  html`<p class="hint">${webhook.disabledReason}</p>`}</span>
            </td>
            <td data-label="Priority">${webhook.priority}</td>
            <td class="end"><a href=${href("deliveries", "", {
              webhookId: webhook.webhookId,
            })}>Deliveries</a></td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

export function NewWebhook() {
  const [form, setForm] = useState({ ...EMPTY, url: route.value.query.url ?? "" });
  const [state, setState] = useState({
    sending: false,
    problem: /** @type {Problem | null} */ (null),
  });
  const [made, setMade] = useState(/** @type {(Webhook & {secret: string}) | null} */ (null));
  const key = useRef(newKey());
  const change = (/** @type {Partial<import("../parts/hook.js").Form>} */ fields) => {
    // Another webhook is another operation.
    key.current = newKey();
    setForm((before) => ({ ...before, ...fields }));
  };
  const body = bodyOf(form);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: null });
    try {
      setMade(await act("make webhook", "POST", PATH, { body, key: key.current, secret: true }));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      setState({ sending: false, problem });
    }
  };
  return html`
    <p class="back"><a href=${href("webhooks")}>Webhooks</a></p>
    <h1>New webhook</h1>
    <form class="narrow" onSubmit=${submit}>
      <${HookFields} form=${form} change=${change} problem=${state.problem}>
        ${may("receiver") && html`
          <div class="actions">
            <button type="button" onClick=${() =>
              change({
                url: `${config.value?.receiver}/webhooks`,
              })}>Use the built-in receiver</button>
            <a href=${href("receiver")} target="_blank">Open its page</a>
          </div>
        `}
        <//>
      ${state.problem && html`<p class="note bad" role="alert">${state.problem.message}</p>`}
      <div class="actions">
        <button class="main" disabled=${state.sending}>${state.sending
          ? "Making…"
          : "Make the webhook"}</button>
        <${ShowCall} name="make webhook" would=${{ method: "POST", path: PATH, body }} />
      </div>
    </form>
    ${made && html`
      <${Secret} secret=${made.secret} close=${() => go(href("webhooks", made.webhookId))} />
    `}
  `;
}
