// Keys: what each does, and when none is taken. Every key has a way by mouse or touch beside it.
import { signal } from "./vendor/ui.js";
import { session } from "./api.js";
import { paused, refresh } from "./live.js";
import { places } from "./places.js";
import { shortcuts } from "./preferences.js";
import { go, href } from "./route.js";

const APPLE = /Mac|iP(hone|ad|od)/.test(navigator.platform);

const KEYS = [
  ["J", "Next row or card"],
  ["K", "Row or card before"],
  ["Enter", "Open the row, or press the button"],
  ["Esc", "Back to the list; close a dialog"],
  ["/", "Filter"],
  ["R", "Refresh"],
  [".", "Pause, or go on"],
  ["?", "These keys"],
  [APPLE ? "⌘ K" : "Ctrl K", "Go to a page, or to something by its id"],
  [APPLE ? "⌘ Enter" : "Ctrl Enter", "Send a form"],
];

/** The dialog of this module that is open: "", "help" or "palette". */
export const shown = signal("");

const SECOND_KEY_MS = 1_500;
const FIELDS = "input, textarea, select, [contenteditable]";
/** The link of each row and each card. */
const ROWS = "main :is(td.wide, .card > header) a";

/** The moment of a G that waits for its second key. */
let beganMs = -Infinity;

/** @type {Record<string, () => void>} */
const SINGLE = {
  "?": () => (shown.value = "help"),
  "/": () => find("main [role=search] input")?.focus(),
  ".": () => (paused.value = !paused.value),
  r: refresh,
  j: () => step(1),
  k: () => step(-1),
  Escape: () => find("main .back a")?.click(),
};

/** All keys with their meaning. */
export function help() {
  return [
    ...places().map(({ key, title }) => [`G ${key.toUpperCase()}`, `Go to: ${title}`]),
    ...KEYS,
  ];
}

/** Listen from now on. */
export function begin() {
  addEventListener("keydown", (event) => {
    // A dialog has the keys to itself, and so has sign-in.
    if (!session.peek() || event.defaultPrevented || event.isComposing) return;
    const run = find("dialog[open]") ? inDialog(event) : chord(event) ?? single(event);
    if (!run) return;
    event.preventDefault();
    run();
  });
}

/** A dialog keeps all keys but the one that sends a form.
 * @param {KeyboardEvent} event */
function inDialog(event) {
  return event.key === "Enter" ? chord(event) : undefined;
}

/** What a key with Ctrl or Command does, also in a field.
 * @param {KeyboardEvent} event
 * @returns {(() => void) | undefined} */
function chord(event) {
  if (event.altKey || event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
  // On Apple's keyboards Ctrl K deletes to the end of the line.
  if (event.key.toLowerCase() === "k" && event.metaKey === APPLE) {
    return () => (shown.value = "palette");
  }
  const form = event.target instanceof HTMLElement ? event.target.closest("form") : null;
  if (event.key === "Enter" && form) return () => form.requestSubmit();
}

/** What a key alone does: nothing in a field, and nothing where a person has switched the keys off.
 * @param {KeyboardEvent} event
 * @returns {(() => void) | undefined} */
function single(event) {
  if (shortcuts.peek() === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof Element && event.target.closest(FIELDS)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const second = event.timeStamp - beganMs < SECOND_KEY_MS;
  // Shift and its like come before a second key.
  if (key.length === 1) beganMs = -Infinity;
  if (second) {
    const place = places().find((each) => each.key === key);
    if (place) return () => go(href(place.page));
  }
  if (key === "g") return () => (beganMs = event.timeStamp);
  return Object.hasOwn(SINGLE, key) ? SINGLE[key] : undefined;
}

/** Move the focus to the next row, or to the one before.
 * @param {1 | -1} by */
function step(by) {
  const rows = [...document.querySelectorAll(ROWS)];
  const own = document.activeElement?.closest("tr, .card");
  const now = rows.findIndex((row) => row.closest("tr, .card") === own);
  const next = rows[now < 0 ? 0 : now + by];
  if (next instanceof HTMLElement) next.focus();
}

/** @param {string} selector
 * @returns {HTMLElement | null} */
function find(selector) {
  return document.querySelector(selector);
}
