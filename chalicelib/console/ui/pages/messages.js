// Messages: send one, and see what comes while the page is open. An administrator sees who has messages to fetch.
import { html, signal, useEffect, useRef, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem, session } from "../api.js";
import { usePoll } from "../live.js";
import { deviceId } from "../preferences.js";
import { href } from "../route.js";
import { listen, open, say } from "../socket.js";
import { ShowCall } from "../parts/call.js";
import { Choice, Field, refusal } from "../parts/fields.js";
import { Mark, State } from "../parts/icon.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";

/** @typedef {{messageId: string, from: string, chatId: string, message: string, priority: string, seq: number,
 *   createdAt: string}} Message */
/** @typedef {{messageId: string, to: string, chatId: string, message: string, status: string}} Sent */
/** @typedef {{username: string, undelivered: number, oldestUndeliveredAt: string | null}} Undelivered */
/** @typedef {{undelivered: number, delivered: number, oldestUndeliveredAt: string | null,
 *   byReceiver: Undelivered[]}} Stats */

const MOST_SHOWN = 200;
const EMPTY = { to: "", chatId: "general", message: "", priority: "normal" };

/** What this tab got and sent, newest first, as long as it lives. */
const [received, sent] = [
  signal(/** @type {Message[]} */ ([])),
  signal(/** @type {Sent[]} */ ([])),
];
/** Receipts that came before the answer to their send. */
const early = new Map();

export function Messages() {
  useEffect(() => listen(hear), []);
  const connected = open.value;
  useEffect(() => {
    if (connected) say({ action: "join_chat", deviceId });
  }, [connected]);
  return html`
    <div class="title">
      <h1>Messages</h1>
      <${Mark} tone=${connected ? "good" : "mute"} word=${connected
        ? "connected"
        : "not connected"} />
    </div>
    <${Send} />
    <section aria-label="Received">
      <h2>Received on this page</h2>
      <${Received} />
    </section>
    ${sent.value.length > 0 && html`<${SentList} />`}
    ${session.value?.roles.includes("admin") && html`<${Buffered} />`}
  `;
}

/** @param {import("../socket.js").Heard} heard */
function hear(heard) {
  if (heard.event === "messages") take(heard.items);
  if (heard.event === "chat_message") take([/** @type {any} */ (heard)]);
  if (heard.event === "receipt") mark(heard.messageId, heard.status);
}

/** Show messages, and acknowledge them: they are on this device.
 * @param {Message[]} items */
function take(items) {
  const known = new Set(received.peek().map(({ messageId }) => messageId));
  const fresh = items.filter(({ messageId }) => !known.has(messageId));
  // The order of a chat is the order of its numbers, whichever way a message came.
  received.value = [...fresh, ...received.peek()].sort((a, b) => b.seq - a.seq)
    .slice(0, MOST_SHOWN);
  say({ action: "ack", messageIds: items.map(({ messageId }) => messageId), deviceId });
}

/** @param {string} messageId
 * @param {string} status */
function mark(messageId, status) {
  if (!sent.peek().some((one) => one.messageId === messageId)) {
    // Most are of sends by other devices of this person.
    if (early.size >= MOST_SHOWN) early.clear();
    early.set(messageId, status);
  }
  sent.value = sent.peek().map((one) => one.messageId === messageId ? { ...one, status } : one);
}

function Received() {
  if (!received.value.length) {
    return html`
      <${Empty} title="No message yet">
        <p>A message appears here as soon as somebody sends you one.</p>
        <//>
    `;
  }
  return html`
    <ol class="cards">${received.value.map((one) =>
      html`
        <li class="card" key=${one.messageId}>
          <header>
            <strong>${one.from}</strong>
            <span class="quiet">${one.chatId}${one.priority === "high" &&
              " · high"} · <${Time} at=${one.createdAt} /></span>
          </header>
          <p class="body">${one.message}</p>
        </li>
      `
    )}</ol>
  `;
}

function Send() {
  const [form, setForm] = useState(EMPTY);
  const [state, setState] = useState({
    sending: false,
    problem: /** @type {Problem | null} */ (null),
  });
  const key = useRef(newKey());
  const set = (/** @type {keyof typeof EMPTY} */ name) => (/** @type {string} */ value) => {
    key.current = newKey();
    setForm((before) => ({ ...before, [name]: value }));
  };
  const body = { ...form, to: form.to.trim() };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: null });
    try {
      const clientMessageId = key.current;
      const given = { ...body, clientMessageId };
      const made = await act("message", "POST", "api/messages", { body: given, key: key.current });
      const status = early.get(made.messageId) ?? made.status;
      sent.value = [{ ...body, ...made, status }, ...sent.peek()].slice(0, MOST_SHOWN);
      set("message")("");
      setState({ sending: false, problem: null });
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      setState({ sending: false, problem });
    }
  };
  const field = (/** @type {keyof typeof EMPTY} */ name, /** @type {object} */ props) =>
    html`
      <${Field} name=${name} value=${form[name]} change=${set(name)} problem=${refusal(
        state.problem,
        name,
      )} required
        ...${props} />
    `;
  return html`
    <form class="narrow" onSubmit=${submit}>
      ${field("to", { label: "To", hint: "A username.", autocomplete: "off" })}
      ${field("chatId", { label: "Chat", hint: "Messages of one chat keep their order." })}
      ${field("message", { label: "Message", lines: 3 })}
      <${Choice} label="Priority" value=${form.priority} change=${set("priority")}
        options=${[["normal", "normal"], ["high", "high, before all others"]]} />
      ${state.problem && html`<p class="note bad" role="alert">${state.problem.message}</p>`}
      <div class="actions">
        <button class="main" disabled=${state.sending}>${state.sending
          ? "Sending…"
          : "Send"}</button>
        <${ShowCall} name="message" would=${{ method: "POST", path: "api/messages", body }} />
      </div>
    </form>
  `;
}

function SentList() {
  return html`
    <section aria-label="Sent">
      <h2>Sent from this page</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Message</th>
            <th scope="col">To</th>
            <th scope="col">Chat</th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>${sent.value.map((one) =>
          html`
            <tr key=${one.messageId}>
              <td class="wide">${one.message}</td>
              <td data-label="To">${one.to}</td>
              <td data-label="Chat">${one.chatId}</td>
              <td data-label="State">
                <${State} state=${one.status} />
              </td>
            </tr>
          `
        )}</tbody>
      </table>
    </section>
  `;
}

/** Who has messages to fetch, and since when. */
function Buffered() {
  const path = "api/messages/buffer-stats";
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => "seldom");
  return html`
    <section aria-label="Undelivered">
      <h2>Undelivered</h2>
      <${Loaded} polled=${polled}>${(/** @type {Stats} */ stats) =>
        stats.byReceiver.length
          ? html`<${Receivers} stats=${stats} />`
          : html`<p class="quiet">Every message has reached a device.</p>`}<//>
    </section>
  `;
}

/** @param {{stats: Stats}} props */
function Receivers({ stats }) {
  return html`
    <p>${stats.undelivered} undelivered, ${stats.delivered} delivered and kept for a while.</p>
    <table>
      <thead>
        <tr>
          <th scope="col">Receiver</th>
          <th scope="col" class="end">Undelivered</th>
          <th scope="col">Oldest</th>
        </tr>
      </thead>
      <tbody>${stats.byReceiver.map((one) =>
        html`
          <tr key=${one.username}>
            <td class="wide"><a href=${href("users", one.username)}>${one.username}</a></td>
            <td data-label="Undelivered" class="end">${one.undelivered}</td>
            <td data-label="Oldest">${one.oldestUndeliveredAt
              ? html`<${Time} at=${one.oldestUndeliveredAt} />`
              : "–"}</td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}
