// The inbox: the questions that wait for me, the soonest end first. Made for a phone.
import { html, useEffect, useState } from "../vendor/ui.js";
import { ask, session } from "../api.js";
import { usePoll } from "../live.js";
import { href } from "../route.js";
import { Answer } from "../parts/answer.js";
import { State } from "../parts/icon.js";
import { Empty, Loaded } from "../parts/states.js";
import { Countdown, Time } from "../parts/time.js";

/** @typedef {import("./approvals.js").Approval} Approval */

const SETTLED_SHOWN = 5;
/** The questions that were answered on this page, and not on another device. */
const here = new Set();

export function Inbox() {
  const me = session.value?.username ?? "";
  const path = `api/pending-responses?status=pending&limit=100&username=${encodeURIComponent(me)}`;
  const polled = usePoll(
    `inbox of ${me}`,
    (gone) => ask("GET", path, { signal: gone }),
    (data) => data.items.length > 0,
  );
  const settled = useSettled(polled.data?.items ?? null);
  return html`
    <h1>Inbox</h1>
    <${Loaded} polled=${polled}>${(/** @type {{items: Approval[]}} */ data) => {
      const open = [...data.items].sort((a, b) => a.expiresAt.localeCompare(b.expiresAt));
      return html`<section class="cards" aria-label="Open questions">
        ${
        open.map((approval) =>
          html`<${Card} key=${approval.requestId} approval=${approval} me=${me} />`
        )
      }
        ${
        !open.length && html`
          <${Empty} title="No question waits for you">
            <p>A question appears here as soon as somebody asks you.</p>
            <//>
        `
      }
      </section>
      ${
        settled.length > 0 && html`<section class="cards" aria-label="Settled just now">
        <h2>Settled just now</h2>
        ${
          settled.map((approval) =>
            html`<${Done} key=${approval.requestId} approval=${approval} me=${me} />`
          )
        }
      </section>`
      }`;
    }}<//>
  `;
}

/** The questions that left the list while the page was open, newest first, as the server settled them.
 * @param {Approval[] | null} items
 * @returns {Approval[]} */
function useSettled(items) {
  const [seen, setSeen] = useState(/** @type {string[]} */ ([]));
  const [settled, setSettled] = useState(/** @type {Approval[]} */ ([]));
  useEffect(() => {
    if (!items) return;
    const now = items.map((item) => item.requestId);
    setSeen(now);
    for (const id of seen.filter((one) => !now.includes(one))) {
      ask("GET", `api/pending-responses/${encodeURIComponent(id)}`)
        .then((after) => setSettled((before) => [after, ...before].slice(0, SETTLED_SHOWN)))
        .catch(() => null);
    }
  }, [items]);
  return settled;
}

/** @param {{approval: Approval, me: string}} props */
function Card({ approval, me }) {
  const [mine, setMine] = useState(/** @type {Approval | null} */ (null));
  const answered = (/** @type {Approval} */ after) => {
    here.add(after.requestId);
    setMine(after);
  };
  const now = mine ?? approval;
  const given = now.answers.find((answer) => answer.by === me || answer.username === me);
  return html`<article class="card">
    <header>
      <h2><a href=${href("approvals", approval.requestId)}>${
    approval.title || "Question without a title"
  }</a></h2>
      <${Countdown} at=${approval.expiresAt} />
    </header>
    <${Question} approval=${approval} />
    ${now.required > 1 && html`<p class="quiet">${approvals(now)} of ${now.required} approvals</p>`}
    ${
    given || now.status !== "pending"
      ? html`<p><${State} state=${now.status} /> ${given && `You answered: ${given.action}`}</p>`
      : html`<${Answer} approval=${approval} done=${answered} />`
  }
  </article>`;
}

/** @param {{approval: Approval, me: string}} props */
function Done({ approval, me }) {
  const by = approval.resolvedBy === me ? "you" : approval.resolvedBy;
  const who = here.has(approval.requestId) && by === "you" ? "by you" : `elsewhere, by ${by}`;
  return html`
    <article class="card done">
      <header>
        <h3><a href=${href("approvals", approval.requestId)}>${approval.title ||
          "Question without a title"}</a></h3>
        <${State} state=${approval.status} />
      </header>
      <p>${approval.status === "resolved"
        ? `Answered ${who}: ${approval.action}`
        : "No answer counts any more."}</p>
    </article>
  `;
}

/** The text of a question: who asks, words, and data as pairs.
 * @param {{approval: Approval}} props */
export function Question({ approval }) {
  const pairs = Object.entries(approval.data);
  return html`<p class="quiet">Asked by ${approval.createdBy}, <${Time} at=${approval.createdAt} /></p>
    ${approval.body && html`<p class="body">${approval.body}</p>`}
    ${
    pairs.length > 0 && html`<dl class="pairs">${
      pairs.map(([name, value]) =>
        html`
          <div>
            <dt>${name}</dt>
            <dd>${typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </div>
        `
      )
    }</dl>`
  }`;
}

/** How many people have approved.
 * @param {Approval} approval */
export function approvals(approval) {
  const approving = approval.actions.includes("approve") ? "approve" : approval.actions[0];
  return approval.answers.filter((answer) => answer.action === approving).length;
}
