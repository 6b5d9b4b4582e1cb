// The places of the console: address, title, key after G, and who sees each. The only list of pages.
import { session } from "./api.js";
import { config } from "./parts/banner.js";

/** *roles*: any one of them, or everybody without names. *menu*: whether the navigation has an entry. *local*: a
 * laptop's stage alone has the place; *receives*: a stack with a receiver of callbacks alone. *under* names the entry
 * that is marked instead of its own.
 * @typedef {{page: string, title: string, key: string, roles: string[], menu: boolean, local?: boolean,
 *   receives?: boolean, under?: string}} Place */

/** @type {Place[]} */
const PLACES = [
  { page: "overview", title: "Overview", key: "o", roles: ["admin"], menu: true },
  { page: "inbox", title: "Inbox", key: "i", roles: [], menu: true },
  { page: "approvals", title: "Approvals", key: "a", roles: [], menu: true },
  {
    page: "ask",
    title: "Ask somebody",
    key: "n",
    roles: ["service", "officer", "admin"],
    menu: false,
    under: "approvals",
  },
  {
    page: "applications",
    title: "Applications",
    key: "p",
    roles: ["officer", "admin"],
    menu: true,
  },
  {
    page: "activations",
    title: "Activations",
    key: "v",
    roles: ["officer", "admin"],
    menu: true,
  },
  { page: "ledger", title: "Ledger", key: "l", roles: ["admin"], menu: true },
  { page: "queues", title: "Queues", key: "q", roles: ["admin"], menu: true },
  { page: "webhooks", title: "Webhooks", key: "w", roles: ["admin"], menu: true },
  {
    page: "deliveries",
    title: "Deliveries",
    key: "d",
    roles: ["admin"],
    menu: false,
    under: "webhooks",
  },
  { page: "messages", title: "Messages", key: "s", roles: ["user", "admin"], menu: true },
  { page: "cluster", title: "Cluster", key: "c", roles: ["admin"], menu: true },
  { page: "users", title: "Users", key: "u", roles: ["admin"], menu: true },
  {
    page: "try",
    title: "Try it",
    key: "t",
    roles: ["service", "officer", "admin"],
    menu: true,
    local: true,
  },
  {
    page: "receiver",
    title: "Receiver",
    key: "r",
    roles: ["service", "officer", "admin"],
    menu: false,
    receives: true,
    under: "try",
  },
  { page: "me", title: "Me", key: "m", roles: [], menu: true },
];

/** The page where a person with these roles begins. The one rule for the empty address, the brand and sign-in.
 * @param {string[]} [roles] */
export function landing(roles = session.value?.roles ?? []) {
  if (roles.includes("admin")) return "overview";
  return roles.includes("officer") ? "applications" : "inbox";
}

/** The place of an address; for an empty one the page where this person begins.
 * @param {string} page
 * @returns {Place | undefined} */
export function placeOf(page) {
  return PLACES.find((place) => place.page === (page || landing()) && isHere(place));
}

/** Whether this person sees a place.
 * @param {string} page */
export function may(page) {
  const place = placeOf(page);
  return !!place && admits(place);
}

/** The places that this person sees. */
export function places() {
  return PLACES.filter((place) => isHere(place) && admits(place));
}

/** @param {Place} place */
function isHere(place) {
  if (place.receives) return !!config.value?.receiver;
  return !place.local || config.value?.stage === "local";
}

/** @param {Place} place */
function admits({ roles }) {
  const own = session.value?.roles ?? [];
  return !roles.length || roles.some((role) => own.includes(role));
}
