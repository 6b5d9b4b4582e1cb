// Applications: search, filter and order; select some and move them together. The address holds all but the selection.
import { html, useState } from "../vendor/ui.js";
import { ask } from "../api.js";
import { usePoll } from "../live.js";
import { money } from "../money.js";
import { go, href, route } from "../route.js";
import { Batch } from "../parts/batch.js";
import { State } from "../parts/icon.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { APPLICATION_STATES, counted } from "../words.js";

/** @typedef {{applicationId: string, applicantName: string, email: string, amountMinor: number, currency: string,
 *   termMonths: number, incomeMinor: number | null, status: string, version: number, createdAt: string,
 *   createdBy: string, updatedAt: string, updatedBy: string}} Application */
/** @typedef {{items: Application[], total: number, totalIsLowerBound: boolean, nextCursor: string | null}} Page */

/** @type {[string, string][]} */
const ORDERS = [
  ["", "newest first"],
  ["-updatedAt", "changed last first"],
  ["-amountMinor", "highest amount first"],
  ["applicantName", "by name"],
];

export function Applications() {
  const { q = "", status = "", sort = "", cursor = "" } = route.value.query;
  const filter = { q, status, sort, cursor, limit: "50" };
  const search = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  const path = `api/applications?${search}`;
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => false);
  return html`
    <h1>Applications</h1>
    <nav class="tabs" aria-label="State">${["", ...APPLICATION_STATES].map((state) =>
      html`
        <a href=${href("applications", "", { q, sort, status: state })}
          aria-current=${state === status ? "page" : undefined}>${state || "all"}</a>
      `
    )}</nav>
    <${Search} key=${q} q=${q} />
    <${Loaded} polled=${polled}>${(/** @type {Page} */ data) =>
      data.items.length
        ? html`<${Rows} key=${path} page=${data} />`
        : html`<${Nothing} filtered=${!!(q || status || cursor)} />`}<//>
  `;
}

/** @param {{q: string}} props */
function Search({ q }) {
  const { status = "", sort = "" } = route.value.query;
  const [text, setText] = useState(q);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    go(href("applications", "", { q: text.trim(), status, sort }));
  };
  return html`
    <form class="filter" role="search" onSubmit=${submit}>
      <label for="search">Find</label>
      <input id="search" type="search" value=${text} placeholder="name, e-mail or id" autocomplete="off"
        onInput=${(/** @type {{currentTarget: HTMLInputElement}} */ event) =>
          setText(event.currentTarget.value)} />
      <button>Find</button>
      <label for="order">Order</label>
      <select id="order" onChange=${(
        /** @type {{currentTarget: HTMLSelectElement}} */ event,
      ) => go(href("applications", "", { q, status, sort: event.currentTarget.value }))}>
        ${ORDERS.map(([value, words]) =>
          html`<option value=${value} selected=${value === sort}>${words}</option>`
        )}
      </select>
      ${q && html`<a class="button" href=${href("applications", "", { status, sort })}>Clear</a>`}
    </form>
  `;
}

/** @param {{page: Page}} props */
function Rows({ page }) {
  const { q = "", status = "", sort = "", cursor = "" } = route.value.query;
  // The version that was seen when the row was chosen: a batch moves that version alone.
  const [chosen, setChosen] = useState(/** @type {Map<string, Application>} */ (new Map()));
  const choose = (/** @type {Application[]} */ items, /** @type {boolean} */ on) =>
    setChosen((before) => {
      const after = new Map(before);
      for (const item of items) {
        if (on) after.set(item.applicationId, item);
        else after.delete(item.applicationId);
      }
      return after;
    });
  const all = page.items.every((item) => chosen.has(item.applicationId));
  return html`
    <p class="quiet">${page.totalIsLowerBound ? "More than " : ""}${counted(
      page.total,
      "application",
    )}</p>
    <table class="chosen">
      <thead>
        <tr>
          <th scope="col">
            <${Check} label="All on this page" on=${all}
              change=${(/** @type {boolean} */ on) => choose(page.items, on)} />
          </th>
          <th scope="col">Applicant</th>
          <th scope="col">State</th>
          <th scope="col" class="end">Amount</th>
          <th scope="col" class="end">Months</th>
          <th scope="col">Changed</th>
        </tr>
      </thead>
      <tbody>${page.items.map((item) =>
        html`
          <tr key=${item.applicationId}>
            <td>
              <${Check} label="Choose ${item.applicantName}" on=${chosen.has(item.applicationId)}
                change=${(/** @type {boolean} */ on) => choose([item], on)} />
            </td>
            <td class="wide"><a href=${href("applications", item.applicationId)}>${item
              .applicantName}</a></td>
            <td data-label="State">
              <${State} state=${item.status} />
            </td>
            <td data-label="Amount" class="end">${money(item.amountMinor, item.currency)}</td>
            <td data-label="Months" class="end">${item.termMonths}</td>
            <td data-label="Changed"><span><${Time} at=${item.updatedAt} /> by ${item
              .updatedBy}</span></td>
          </tr>
        `
      )}</tbody>
    </table>
    ${(cursor || page.nextCursor) && html`
      <nav class="pages" aria-label="Rest of the list">
        ${cursor &&
          html`<a class="button" href=${
            href("applications", "", { q, status, sort })
          }>First page</a>`}
        ${page.nextCursor &&
          html`<a class="button" href=${
            href("applications", "", { q, status, sort, cursor: page.nextCursor })
          }>Next page</a>`}
      </nav>
    `}
    <${Batch} chosen=${[...chosen.values()]} clear=${() => setChosen(new Map())} />
  `;
}

/** @param {{label: string, on: boolean, change: (on: boolean) => void}} props */
function Check({ label, on, change }) {
  return html`<label class="check"><input type="checkbox" aria-label=${label} checked=${on}
    onChange=${(/** @type {{currentTarget: HTMLInputElement}} */ event) =>
    change(event.currentTarget.checked)} /></label>`;
}

/** @param {{filtered: boolean}} props */
function Nothing({ filtered }) {
  if (filtered) {
    return html`
      <${Empty} title="Nothing matches">
        <p><a class="button" href=${href("applications")}>Clear filters</a></p>
        <//>
    `;
  }
  return html`
    <${Empty} title="No applications yet">
      <p>Applications are made by <code>POST /api/applications</code>, by an officer or a service of yours.</p>
      <//>
  `;
}
