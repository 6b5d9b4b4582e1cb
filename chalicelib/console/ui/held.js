// A caller that waits for an answer: in one held call, or by plain polls if the API has no place for a held call.
import { act, calls, newKey, Problem } from "./api.js";
import { rest } from "./live.js";

/** @typedef {{requestId: string, status: string, action: string | null}} Outcome */
/** @typedef {{outcome: Outcome, held: boolean, instance: string}} Heard */

/** A held call takes 25 s at most, and the way of its answer. */
const HELD_MS = 30_000;
const POLL_MS = 2_000;

/** Put a question, and return its outcome with the instance that told it. The calls are kept under *name* for "show the
 * call". A call that the API cannot hold (503) has asked nobody: the question is then put without a wait, and polled.
 * *polling* is told so.
 * @param {string} name
 * @param {Record<string, unknown>} question
 * @param {() => void} polling
 * @param {AbortSignal} gone
 * @returns {Promise<Heard>}
 * @throws {Problem} */
export async function askAndWait(name, question, polling, gone) {
  const heard = (/** @type {Outcome} */ outcome, /** @type {boolean} */ held) => ({
    outcome,
    held,
    instance: calls.peek()[name]?.instanceId ?? "",
  });
  try {
    const held = { body: question, deadlineMs: HELD_MS, signal: gone };
    return heard(await act(name, "POST", "send-notification", held), true);
  } catch (error) {
    if (!isBusy(error)) throw error;
  }
  polling();
  return heard(await askAndPoll(name, question, gone), false);
}

/** @param {string} name
 * @param {Record<string, unknown>} question
 * @param {AbortSignal} gone
 * @returns {Promise<Outcome>} */
async function askAndPoll(name, question, gone) {
  const options = { body: { ...question, wait: false }, key: newKey(), signal: gone };
  const made = await again(() => act(name, "POST", "send-notification", options), gone);
  const path = `api/pending-responses/${encodeURIComponent(made.requestId)}`;
  for (;;) {
    const found = await again(() => act(name, "GET", path, { signal: gone }), gone);
    if (found.status !== "pending") return found;
    await rest(POLL_MS, gone);
  }
}

/** Call until the API is not busy: as often as the outage lasts, with the pauses that the API names.
 * @template T
 * @param {() => Promise<T>} call
 * @param {AbortSignal} gone
 * @returns {Promise<T>} */
async function again(call, gone) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isBusy(error)) throw error;
      await rest(Math.max(POLL_MS, error.retryAfterSeconds * 1000), gone);
    }
  }
}

/** @param {unknown} error
 * @returns {error is Problem} */
function isBusy(error) {
  return error instanceof Problem && error.status === 503;
}
