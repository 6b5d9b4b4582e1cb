// The instances that answered this page: a process of the API each.
import { signal } from "./vendor/ui.js";

/** @typedef {{calls: number, atMs: number}} Heard */

/** As many instances as are remembered, in the order of their first answers. */
const MOST = 50;

/** How often each instance has answered since the page was loaded, and when it did last by the server's clock.
 * @type {import("./vendor/ui.js").Signal<Record<string, Heard>>} */
export const instances = signal({});

/** Count an answer. Answers without an instance, such as the gateway's own, do not count.
 * @param {string | null} id
 * @param {number} atMs */
export function heard(id, atMs) {
  if (!id) return;
  const all = { ...instances.peek() };
  all[id] = { calls: (all[id]?.calls ?? 0) + 1, atMs };
  const ids = Object.keys(all);
  if (ids.length > MOST) {
    delete all[ids.reduce((old, one) => (all[one]?.atMs ?? 0) < (all[old]?.atMs ?? 0) ? one : old)];
  }
  instances.value = all;
}
