// The stores: whether each answers, and how quickly. That a store is down is an answer here, and no error.
import { once, Problem } from "./api.js";

/** @typedef {{ok: boolean, latencyMs: number}} Reach */
/** @typedef {{status: "ready" | "degraded", stores: Record<string, Reach>}} Readiness */

/** @type {Record<string, string>} */
const NAMES = { mongodb: "MongoDB", dynamodb: "DynamoDB" };

/** Ask each store once.
 * @param {AbortSignal} gone
 * @returns {Promise<Readiness>}
 * @throws {Problem} nothing answered at all */
export async function readiness(gone) {
  try {
    return await once("GET", "ready", { signal: gone });
  } catch (error) {
    if (error instanceof Problem && error.said.stores) return /** @type {any} */ (error.said);
    throw error;
  }
}

/** The name of a store as people write it.
 * @param {string} store */
export function nameOf(store) {
  return NAMES[store] ?? store;
}
