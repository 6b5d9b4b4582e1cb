// The WebSocket of a visible tab: a nudge to ask again, and the frames of pages that speak with the server.
import { effect, signal } from "./vendor/ui.js";
import { once, session } from "./api.js";
import { paused, refresh, rest } from "./live.js";
import { config } from "./parts/banner.js";
import { placeOf } from "./places.js";
import { route } from "./route.js";

/** A frame of the server.
 * @typedef {Record<string, any> & {event: string}} Heard */

const [LONGEST_MS, STEADY_MS, PING_MS] = [60_000, 30_000, 25_000];
/** The pages that show questions. */
const NUDGED = new Set(["overview", "inbox", "approvals", "try"]);

/** Whether frames can be sent. */
export const open = signal(false);
/** @type {WebSocket | null} */
let socket = null;
/** @type {Set<(heard: Heard) => void>} */
const listeners = new Set();

/** Keep a connection while somebody is signed in, the page is visible and not paused. Without an address there is none:
 * polls alone follow the server. */
export function begin() {
  const visible = signal(!document.hidden);
  document.addEventListener("visibilitychange", () => (visible.value = !document.hidden));
  let [name, gone] = ["", new AbortController()];
  effect(() => {
    const url = config.value?.socketUrl ?? "";
    const wanted = visible.value && !paused.value && session.value && url;
    const now = wanted ? `${session.value?.sessionId} ${url}` : "";
    if (now === name) return;
    gone.abort();
    [name, gone] = [now, new AbortController()];
    if (now) keep(url, gone.signal);
  });
}

/** Send a frame, if the connection is open.
 * @param {Record<string, unknown> & {action: string}} frame */
export function say(frame) {
  socket?.send(JSON.stringify(frame));
}

/** Call *listener* with each frame, until the returned function is called.
 * @param {(heard: Heard) => void} listener */
export function listen(listener) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** @param {string} url
 * @param {AbortSignal} gone */
async function keep(url, gone) {
  let failures = 0;
  while (!gone.aborted) {
    const begunMs = performance.now();
    await connected(url, gone).catch(() => null);
    failures = performance.now() - begunMs > STEADY_MS ? 0 : failures + 1;
    const longest = Math.min(LONGEST_MS, 1000 * 2 ** failures);
    await rest(longest * (0.5 + Math.random() / 2), gone).catch(() => null);
  }
}

/** Connect, and resolve at the end of the connection.
 * @param {string} url
 * @param {AbortSignal} gone */
async function connected(url, gone) {
  const { ticket } = await once("POST", "api/sessions/current/ticket", { body: {}, signal: gone });
  const address = new URL(url);
  address.searchParams.set("ticket", ticket);
  const over = new AbortController();
  const made = new WebSocket(address, "holdfast");
  // A browser complains of a connection that is closed before it is open.
  gone.addEventListener("abort", () => made.readyState && made.close(), { once: true });
  made.onopen = () => {
    if (gone.aborted) return made.close();
    [socket, open.value] = [made, true];
    say({ action: "subscribe", topics: ["inbox", "approvals"] });
    ping(over.signal);
  };
  made.onmessage = ({ data }) => {
    const heard = read(data);
    if (heard) return hear(heard, made);
    // The platform's own words: the function of a frame died. The next connection asks again.
    made.close();
  };
  return await new Promise((resolve) => {
    made.onclose = () => {
      if (socket === made) [socket, open.value] = [null, false];
      over.abort();
      resolve(null);
    };
  });
}

/** Pages with messages ask now and then whether a push was lost; others need no ping of their own.
 * @param {AbortSignal} over */
async function ping(over) {
  try {
    while (true) {
      await rest(PING_MS, over);
      if (listeners.size) say({ action: "ping" });
    }
  } catch {
    // The connection is over.
  }
}

/** Return the frame, or null if the text is none of ours.
 * @param {string} text
 * @returns {Heard | null} */
function read(text) {
  try {
    const heard = JSON.parse(text);
    return typeof heard?.event === "string" ? heard : null;
  } catch {
    return null;
  }
}

/** @param {Heard} heard
 * @param {WebSocket} from */
function hear(heard, from) {
  if (heard.event === "reconnect") from.close();
  if (
    heard.event.startsWith("approval.") &&
    NUDGED.has(placeOf(route.peek().page)?.page ?? "")
  ) {
    refresh();
  }
  for (const listener of listeners) listener(heard);
}
