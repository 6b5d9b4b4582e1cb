// All questions that this person may see, by state, newest first. The address holds filter and page.
import { html, useRef, useState } from "../vendor/ui.js";
import { ask, session } from "../api.js";
import { usePoll } from "../live.js";
import { may } from "../places.js";
import { go, href, route } from "../route.js";
import { State } from "../parts/icon.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { APPROVAL_STATES, upTo } from "../words.js";

/** @typedef {{username: string, by: string, action: string, at: string}} GivenAnswer */
/** @typedef {{requestId: string, username: string, title: string, body: string, data: Record<string, unknown>,
 *   actions: string[], status: string, action: string | null, createdBy: string, createdAt: string, expiresAt: string,
 *   resolvedAt: string | null, responseMs: number | null, approvers: string[], required: number,
 *   answers: GivenAnswer[], escalateTo: {username: string, afterMs: number}[], resolvedBy: string | null,
 *   askedBy: string | null, resolvedThrough: string | null, heardBy: string | null,
 *   deliveries: import("../parts/reached.js").Delivery[]}} Approval */
/** @typedef {Record<string, number>} Counts */
/** @typedef {{items: Approval[], nextCursor: string | null, counts?: Counts | null}} Page */

/** Counts end here: the number stands for as many or more. */
const MOST = 500;
/** Counts are asked for again when the list has changed, and after so long. */
const COUNTED_MS = 30_000;

export function Approvals() {
  const { status = "", username = "", cursor = "" } = route.value.query;
  const filter = { status, username, cursor, limit: "50" };
  const search = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  const path = `api/pending-responses?${search}`;
  const count = useCounts(username);
  const polled = usePoll(path, async (gone) => {
    const page = await ask("GET", path, { signal: gone });
    return { ...page, counts: await count(page, gone) };
  }, isMoving);
  const counts = useLast(polled.data?.counts ?? null);
  const admin = session.value?.roles.includes("admin");
  return html`<div class="title">
      <h1>Approvals</h1>
      ${may("ask") && html`<a class="button main" href=${href("ask")}>Ask somebody</a>`}
    </div>
    <nav class="tabs" aria-label="State">${
    ["", ...APPROVAL_STATES].map((state) =>
      html`
        <a href=${href("approvals", "", { status: state, username })}
          aria-current=${state === status ? "page" : undefined}>${state || "all"}${state &&
            counts && html`${" "}<span class="count">${upTo(counts[state] ?? 0, MOST)}</span>`}</a>
      `
    )
  }</nav>
    ${admin && html`<${Person} key=${username} username=${username} status=${status} />`}
    <${Loaded} polled=${polled}>${(/** @type {Page} */ data) =>
    data.items.length
      ? html`<${Rows} page=${data} cursor=${cursor} />`
      : html`<${Nothing} filtered=${!!(status || username || cursor)} />`}<//>`;
}

/** Return a function that counts the requests of *username* for a page of the list.
 * @param {string} username
 * @returns {(page: Page, gone: AbortSignal) => Promise<Counts | null>} */
function useCounts(username) {
  const last = useRef({ mark: "", atMs: 0, counts: /** @type {Counts | null} */ (null) });
  const search = username ? `?${new URLSearchParams({ username })}` : "";
  return async (page, gone) => {
    const mark = search + JSON.stringify(page.items.map((item) => [item.requestId, item.status]));
    if (mark === last.current.mark && Date.now() - last.current.atMs < COUNTED_MS) {
      return last.current.counts;
    }
    const path = `api/pending-responses/counts${search}`;
    // The list stands without its counts too.
    const counts = await ask("GET", path, { signal: gone }).catch(() => null);
    last.current = { mark: counts ? mark : "", atMs: Date.now(), counts };
    return counts;
  };
}

/** The last value that was there, so that numbers stay while another filter loads.
 * @param {Counts | null} value */
function useLast(value) {
  const last = useRef(value);
  if (value) last.current = value;
  return last.current;
}

/** @param {Page} data */
function isMoving(data) {
  return data.items.some((item) => item.status === "pending");
}

/** @param {{username: string, status: string}} props */
function Person({ username, status }) {
  const [text, setText] = useState(username);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    go(href("approvals", "", { status, username: text.trim() }));
  };
  const read = (/** @type {{currentTarget: HTMLInputElement}} */ event) =>
    setText(event.currentTarget.value);
  return html`<form class="filter" role="search" onSubmit=${submit}>
    <label for="person">For</label>
    <input id="person" value=${text} onInput=${read} placeholder="anybody" autocomplete="off" />
    <button>Filter</button>
    ${username && html`<a class="button" href=${href("approvals", "", { status })}>Clear</a>`}
  </form>`;
}

/** @param {{page: Page, cursor: string}} props */
function Rows({ page, cursor }) {
  const { status = "", username = "" } = route.value.query;
  return html`
    <table>
      <thead>
        <tr>
          <th scope="col">Question</th>
          <th scope="col">For</th>
          <th scope="col">State</th>
          <th scope="col">Asked</th>
          <th scope="col">End</th>
        </tr>
      </thead>
      <tbody>${page.items.map((item) =>
        html`
          <tr key=${item.requestId}>
            <td class="wide"><a href=${href("approvals", item.requestId)}>${item.title ||
              "Question without a title"}</a></td>
            <td data-label="For">${item.approvers.join(", ")}</td>
            <td data-label="State">
              <${State} state=${item.status} />
            </td>
            <td data-label="Asked">
              <${Time} at=${item.createdAt} />
            </td>
            <td data-label="End">
              <${Time} at=${item.resolvedAt ?? item.expiresAt} />
            </td>
          </tr>
        `
      )}</tbody>
    </table>
    ${(cursor || page.nextCursor) && html`<nav class="pages" aria-label="Older and newer">
          ${
      cursor &&
      html`<a class="button" href=${href("approvals", "", { status, username })}>Newest</a>`
    }
          ${
      page.nextCursor &&
      html`<a class="button" href=${
        href("approvals", "", { status, username, cursor: page.nextCursor })
      }>Older</a>`
    }
        </nav>`}
  `;
}

/** @param {{filtered: boolean}} props */
function Nothing({ filtered }) {
  if (filtered) {
    return html`
      <${Empty} title="Nothing matches">
        <p><a class="button" href=${href("approvals")}>Clear filters</a></p>
        <//>
    `;
  }
  return html`<${Empty} title="No questions yet">
    <p>Questions that functions put to people are listed here for 24 hours after their end.</p>
    ${may("ask") && html`<p><a class="button" href=${href("ask")}>Ask somebody</a></p>`}<//>`;
}
