// Follows a job: hands its snapshots to a page. All tabs of a browser share one stream, as a browser opens six
// connections to a host at most: the tab that holds the lock reads the stream and tells the others.
import { address, once } from "./api.js";
import { rest } from "./live.js";

/** @typedef {{sessionId: string, total: number, activated: number, skipped: number, failed: number,
 *   emailsSent: number, emailsFailed: number, emailsPending: number, percentage: number, rate: number,
 *   etaSeconds: number | null, msg: string, completed: boolean, type: string, revision: number,
 *   createdAt: string, updatedAt: string}} Snapshot */

/** Call *take* with the newest snapshot at once, and with each newer one; call *end* with the reason if there can be no
 * more. Return the function that ends the following. No snapshot has a lower revision than the one before.
 * @param {string} sessionId
 * @param {(snapshot: Snapshot) => void} take
 * @param {(reason: string) => void} [end] */
export function follow(sessionId, take, end = () => undefined) {
  const path = `activation/progress/${encodeURIComponent(sessionId)}`;
  const over = new AbortController();
  const tabs = new BroadcastChannel(`holdfast-progress-${sessionId}`);
  let newest = 0;
  /** @param {Snapshot} snapshot */
  const show = (snapshot) => {
    if (over.signal.aborted || snapshot.revision <= newest) return;
    newest = snapshot.revision;
    take(snapshot);
  };
  /** @param {{snapshot?: Snapshot, reason?: string}} heard */
  const hear = ({ snapshot, reason }) => {
    if (snapshot) show(snapshot);
    else if (reason && !over.signal.aborted) end(reason);
  };
  tabs.onmessage = ({ data }) => hear(data);
  over.signal.addEventListener("abort", () => tabs.close(), { once: true });
  // A tab that does not read the stream itself has no other first snapshot.
  once("GET", path, { signal: over.signal }).then((found) => show(found.data), () => undefined);
  navigator.locks
    .request(
      tabs.name,
      { signal: over.signal },
      () =>
        lead(address(`${path}/events`), over.signal, (told) => {
          if (!over.signal.aborted) tabs.postMessage(told);
          hear(told);
        }),
    )
    .catch(() => undefined);
  return () => over.abort();
}

/** The pause after an answer that the gateway itself gave, on which an EventSource gives up. */
const AGAIN_MS = 3_000;

/** Read the stream until it ends or *over*; call *tell* with what it says.
 * @param {string} url
 * @param {AbortSignal} over
 * @param {(told: {snapshot?: Snapshot, reason?: string}) => void} tell
 * @returns {Promise<null>} */
function lead(url, over, tell) {
  return new Promise((resolve) => {
    let source = new EventSource(url);
    const close = () => {
      source.close();
      resolve(null);
    };
    const listen = () => {
      source.onmessage = ({ data }) => {
        const snapshot = JSON.parse(data);
        tell({ snapshot });
        // The last revision: the stream has no more, and other tabs need no turn of their own.
        if (snapshot.completed) close();
      };
      source.addEventListener("end", (event) => {
        tell({ reason: JSON.parse(event.data).reason });
        close();
      });
      source.onerror = () =>
        source.readyState === EventSource.CLOSED &&
        rest(AGAIN_MS, over).then(again, () => undefined);
    };
    const again = () => {
      source = new EventSource(url);
      listen();
    };
    over.addEventListener("abort", close, { once: true });
    listen();
  });
}
