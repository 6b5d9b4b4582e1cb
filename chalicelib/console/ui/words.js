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
 * @param {string} noun */
export function counted(count, noun) {
  return `${new Intl.NumberFormat("en").format(count)} ${noun}${count === 1 ? "" : "s"}`;
}
