// Words for states, each with its tone: a state is a shape, a word and a colour.

/** @typedef {"busy" | "good" | "warn" | "bad" | "mute"} Tone */

/** @type {Record<string, [Tone, string]>} */
const STATES = {
  pending: ["busy", "pending"],
  resolved: ["good", "resolved"],
  timeout: ["warn", "timeout"],
  cancelled: ["mute", "cancelled"],
  draft: ["mute", "draft"],
  submitted: ["busy", "submitted"],
  review: ["busy", "review"],
  approved: ["good", "approved"],
  rejected: ["bad", "rejected"],
  disbursed: ["good", "disbursed"],
  ok: ["good", "ok"],
  down: ["bad", "down"],
  done: ["good", "done"],
  open: ["mute", "to do"],
  due: ["busy", "due"],
  "in-flight": ["busy", "in flight"],
  delivered: ["good", "delivered"],
  dead: ["bad", "dead"],
  buffered: ["busy", "buffered"],
  queued: ["busy", "queued"],
  read: ["good", "read"],
  enabled: ["good", "enabled"],
  paused: ["warn", "paused"],
  disabled: ["mute", "disabled"],
};

/** The states of a question, in the order of tabs. */
export const APPROVAL_STATES = ["pending", "resolved", "timeout", "cancelled"];

/** The states of an application, in the order of tabs. */
export const APPLICATION_STATES = [
  "draft",
  "submitted",
  "review",
  "approved",
  "rejected",
  "disbursed",
];

/** The legal moves of an application by hand: from a state, the next ones and the verbs of their buttons.
 * @type {Record<string, [string, string][]>} */
export const APPLICATION_MOVES = {
  draft: [["submitted", "Submit"]],
  submitted: [["review", "Review"], ["approved", "Approve"], ["rejected", "Reject"]],
  review: [["approved", "Approve"], ["rejected", "Reject"]],
};

/** The states of a delivery, in the order of tabs. */
export const DELIVERY_STATES = ["due", "in-flight", "delivered", "dead"];

/** Why a call of a receiver brought no answer.
 * @type {Record<string, string>} */
export const FAILURES = {
  timeout: "The receiver did not answer within 15 seconds.",
  refused: "No server listens on the port of the address.",
  name: "The name of the address does not exist, or the lookup failed.",
  tls: "The server has no valid certificate, or speaks no TLS that fits.",
  reset: "The server closed the connection without an answer.",
  protocol: "The answer is no HTTP/1.1, or has headers beyond the limit.",
  "address-refused": "The address belongs to a private network, and is not called.",
  "header-refused": "A header of the call is not allowed.",
  unreachable: "The network knows no way to the address.",
};

/** Why a delivery is dead.
 * @type {Record<string, string>} */
export const REASONS = {
  refused: "The receiver refused the delivery for good.",
  exhausted: "Every attempt of the schedule failed.",
  expired: "The delivery was still due after the time that deliveries are kept.",
  disabled: "The webhook was disabled.",
  deleted: "The webhook was deleted.",
  loop: "More than five deliveries in a row led to this delivery.",
  lost: "The workers of all attempts died.",
};

/** @param {string} state
 * @returns {[Tone, string]} */
export function stateOf(state) {
  return STATES[state] ?? ["mute", state];
}

/** A word that stands on a button: its first letter in capitals.
 * @param {string} action */
export function label(action) {
  return action.charAt(0).toUpperCase() + action.slice(1);
}

/** A number that was counted up to *most* alone: "500+" for as many or more.
 * @param {number} count
 * @param {number} most */
export function upTo(count, most) {
  return new Intl.NumberFormat("en").format(count) + (count < most ? "" : "+");
}

/** A number with its noun.
 * @param {number} count
 * @param {string} noun
 * @param {string} [nouns] the noun of several */
export function counted(count, noun, nouns = `${noun}s`) {
  return `${new Intl.NumberFormat("en").format(count)} ${count === 1 ? noun : nouns}`;
}
