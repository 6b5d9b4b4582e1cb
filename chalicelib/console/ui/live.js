// Live data: the only module with timers. Lists are polled while the page is visible and not paused.
import { effect, signal, useEffect, useRef, useState } from "./vendor/ui.js";
import { outage, Problem } from "./api.js";
import { serverNow, tick } from "./time.js";

const [QUICK_MS, USUAL_MS, IDLE_MS, IDLE_AFTER_MS, SLOWEST_MS] = [
  2_000,
  5_000,
  30_000,
  300_000,
  30_000,
];

export const paused = signal(localStorage.getItem("paused") === "true");
/** Rises when every poll must ask at once. */
const wanted = signal(0);
let lastInputMs = Date.now();

/** Ask again at once, on every poll of the page. */
export function refresh() {
  wanted.value = wanted.peek() + 1;
}

/** Begin to follow the visibility of the page, the network and the clock. */
export function begin() {
  for (const event of ["pointerdown", "keydown"]) {
    addEventListener(event, () => (lastInputMs = Date.now()));
  }
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  addEventListener("online", refresh);
  setInterval(() => document.hidden || (tick.value += 1), 1000);
  effect(() => localStorage.setItem("paused", String(paused.value)));
}

/** Run *look* now and every *everyMs*.
 * @param {() => void} look
 * @param {number} everyMs */
export function regularly(look, everyMs) {
  look();
  setInterval(() => document.hidden || look(), everyMs);
}

/** Wait for *ms*.
 * @param {number} ms
 * @param {AbortSignal} gone ends the wait, with its reason
 * @returns {Promise<void>} */
export function rest(ms, gone) {
  return new Promise((resolve, reject) => {
    if (gone.aborted) return reject(gone.reason);
    const timer = setTimeout(resolve, ms);
    gone.addEventListener("abort", () => (clearTimeout(timer), reject(gone.reason)), {
      once: true,
    });
  });
}

/** @template T
 * @typedef {{data: T | null, problem: Problem | null, atMs: number}} Polled */
/** @typedef {boolean | "seldom" | number} Pace */

/** Load something now, and again while the page is visible. After a failure the data of before stays, and the pauses
 * double up to 30 s. A change of *name* begins anew.
 * @template T
 * @param {string} name
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {(data: T) => Pace} quick whether the data is about to change; "seldom" for what this person alone changes, as
 *   a rule; or a pause in milliseconds
 * @returns {Polled<T>} */
export function usePoll(name, load, quick) {
  const [state, setState] = useState(/** @type {Polled<T> & {name: string}} */ (empty(name)));
  const current = useRef({ load, quick });
  current.current = { load, quick };
  const [wish, hold] = [wanted.value, paused.value];
  useEffect(() => {
    const gone = new AbortController();
    let failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const again = (/** @type {number} */ ms) => {
      if (!hold) timer = setTimeout(look, ms);
    };
    const look = async () => {
      // A hidden page asks nothing; `visibilitychange` begins anew.
      if (document.hidden) return;
      try {
        const data = await current.current.load(gone.signal);
        if (gone.signal.aborted) return;
        failures = 0;
        setState({ name, data, problem: null, atMs: serverNow() });
        again(pauseMs(current.current.quick(data)));
      } catch (error) {
        if (gone.signal.aborted) return;
        const problem = error instanceof Problem
          ? error
          : new Problem(0, { detail: String(error) });
        setState((before) => ({ ...(before.name === name ? before : empty(name)), name, problem }));
        failures += 1;
        again(Math.max(problem.retryAfterSeconds * 1000, backoffMs(failures)));
      }
    };
    look();
    return () => {
      gone.abort();
      clearTimeout(timer);
    };
  }, [name, wish, hold]);
  return state.name === name ? state : empty(name);
}

/** @param {string} name */
function empty(name) {
  return { name, data: null, problem: null, atMs: 0 };
}

/** Load one part of a page that has several: the new data, or after a refusal the data of *before* with the problem.
 * @template T
 * @param {Polled<T>} before
 * @param {() => Promise<T>} load
 * @returns {Promise<Polled<T>>} */
export async function part(before, load) {
  try {
    return { data: await load(), problem: null, atMs: serverNow() };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ...before, problem: error };
  }
}

/** @param {Pace} quick */
function pauseMs(quick) {
  if (quick === "seldom") return IDLE_MS;
  if (Date.now() - lastInputMs > IDLE_AFTER_MS) return IDLE_MS;
  if (typeof quick === "number") return quick;
  return quick ? QUICK_MS : USUAL_MS;
}

/** @param {number} failures */
function backoffMs(failures) {
  // While a store is down the page looks often enough to notice its return within ten seconds.
  const longest = outage.peek() ? SLOWEST_MS / 4 : SLOWEST_MS;
  return Math.min(longest, 1000 * 2 ** (failures - 1)) * (0.8 + Math.random() * 0.2);
}
