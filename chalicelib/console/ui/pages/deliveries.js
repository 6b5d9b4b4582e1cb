// Deliveries to all webhooks, by state, newest first. The address holds filter and page.
import { html, useState } from "../vendor/ui.js";
import { ask } from "../api.js";
import { usePoll } from "../live.js";
import { go, href, route } from "../route.js";
import { Deliveries as Rows, isMoving } from "../parts/deliveries.js";
import { Choice, Field } from "../parts/fields.js";
import { place } from "../parts/hook.js";
import { Moment } from "../parts/moment.js";
import { ReplayAll } from "../parts/recover.js";
import { Empty, Loaded } from "../parts/states.js";
import { DELIVERY_STATES, stateOf } from "../words.js";

/** @typedef {{items: import("../parts/deliveries.js").Delivery[], nextCursor: string | null}} Page */
/** @typedef {import("../parts/hook.js").Webhook} Webhook */

export function Deliveries() {
  const { webhookId = "", status = "", type = "", since = "", cursor = "", replay } =
    route.value.query;
  const filter = { webhookId, status, type, since };
  const given = Object.entries({ ...filter, cursor, limit: "50" }).filter(([, value]) => value);
  const path = `api/deliveries?${new URLSearchParams(given)}`;
  const polled = usePoll(
    path,
    (gone) => ask("GET", path, { signal: gone }),
    (/** @type {Page} */ { items }) => items.some(isMoving),
  );
  const all = "api/webhooks";
  const webhooks = usePoll(all, (gone) => ask("GET", all, { signal: gone }), () => "seldom");
  /** @type {Webhook[]} */
  const known = webhooks.data?.items ?? [];
  return html`
    <p class="back"><a href=${href("webhooks")}>Webhooks</a></p>
    <h1>Deliveries</h1>
    <nav class="tabs" aria-label="State">${["", ...DELIVERY_STATES].map((state) =>
      html`
        <a href=${href("deliveries", "", { ...filter, status: state })}
          aria-current=${state === status ? "page" : undefined}>${state
            ? stateOf(state)[1]
            : "all"}</a>
      `
    )}</nav>
    <${Filter} key=${JSON.stringify(filter)} filter=${filter} known=${known} />
    <${Loaded} polled=${polled}>${(/** @type {Page} */ data) =>
      data.items.length
        ? html`
          <div class="actions">
            ${webhookId && status === "dead" && !type && html`
              <a class="button" href=${href("webhooks", webhookId, {
                recover: "yes",
                since,
              })}>Recover…</a>
            `}
            <a class="button" href=${href("deliveries", "", {
              ...filter,
              replay: "yes",
            })}>Replay all…</a>
          </div>
          <${Rows} items=${data.items} webhooks=${known} />
          ${(cursor || data.nextCursor) && html`
            <nav class="pages" aria-label="Older and newer">
              ${cursor && html`<a class="button" href=${href("deliveries", "", filter)}>Newest</a>`}
              ${data.nextCursor &&
                html`<a class="button" href=${
                  href("deliveries", "", { ...filter, cursor: data.nextCursor })
                }>Older</a>`}
            </nav>
          `}
        `
        : html`<${Nothing} filtered=${given.length > 1} />`}<//>
    ${replay && html`
      <${ReplayAll} filter=${Object.fromEntries(
        Object.entries(filter).filter(([, value]) => value),
      )}
        close=${() => go(href("deliveries", "", filter))} />
    `}
  `;
}

/** @param {{filter: {webhookId: string, status: string, type: string, since: string}, known: Webhook[]}} props */
function Filter({ filter, known }) {
  const [form, setForm] = useState(filter);
  const set = (/** @type {string} */ name) => (/** @type {string} */ value) =>
    setForm((before) => ({ ...before, [name]: value }));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    go(href("deliveries", "", { ...form, type: form.type.trim() }));
  };
  const { webhookId } = filter;
  /** @type {[string, string][]} */
  const choices = [
    ["", "all"],
    ...known.map(({ webhookId, url }) => /** @type {[string, string]} */ ([webhookId, place(url)])),
  ];
  if (webhookId && !known.some((one) => one.webhookId === webhookId)) {
    choices.push([webhookId, webhookId]);
  }
  return html`
    <form class="row filters" role="search" onSubmit=${submit}>
      <${Choice} label="Webhook" value=${form.webhookId} options=${choices} change=${set(
        "webhookId",
      )} />
      <${Field} label="Event" name="type" value=${form.type} change=${set(
        "type",
      )} autocomplete="off"
        placeholder="any" />
      <${Moment} label="Since" name="since" value=${form.since} change=${set("since")} />
      <div class="actions">
        <button>Filter</button>
        ${(webhookId || filter.type || filter.since) &&
          html`<a class="button" href=${
            href("deliveries", "", { status: filter.status })
          }>Clear</a>`}
      </div>
    </form>
  `;
}

/** @param {{filtered: boolean}} props */
function Nothing({ filtered }) {
  if (filtered) {
    return html`
      <${Empty} title="Nothing matches">
        <p><a class="button" href=${href("deliveries")}>Clear filters</a></p>
        <//>
    `;
  }
  return html`
    <${Empty} title="No delivery yet">
      <p>Every event that a webhook wants is listed here for 30 days, with the attempts to deliver it.</p>
      <p><a class="button" href=${href("webhooks")}>Webhooks</a></p>
      <//>
  `;
}
