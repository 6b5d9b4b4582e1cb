// Times: the server's clock, and one formatter for all pages. A wrong clock of this device changes nothing.
import { signal } from "./vendor/ui.js";

let offsetMs = 0;
const DAY_MS = 86_400_000;
// Made once: a formatter costs more than a row, and a long list shows hundreds of times each second.
const RELATIVE = new Intl.RelativeTimeFormat("en", { style: "short" });
const EXACT = { local: exactIn(undefined), utc: exactIn("UTC") };

/** "local" or "utc", for all times of the console.
 * @type {import("./vendor/ui.js").Signal<"local" | "utc">} */
export const zone = signal("local");

/** Changes every second while the page is visible; components that read it show moving times. */
export const tick = signal(0);

/** Learn the server's clock from the Date header of an answer.
 * @param {string | null} date
 * @param {number} nowMs */
export function learn(date, nowMs) {
  const serverMs = Date.parse(date ?? "");
  // The header has whole seconds: a smaller difference says nothing.
  if (!Number.isNaN(serverMs) && Math.abs(serverMs - nowMs - offsetMs) > 1000) {
    offsetMs = serverMs - nowMs;
  }
}

/** The server's time in milliseconds.
 * @param {number} [nowMs] */
export function serverNow(nowMs = Date.now()) {
  return nowMs + offsetMs;
}

/** A time as people say it: relative under 24 hours, then date and time.
 * @param {string} iso
 * @param {number} nowMs */
export function relative(iso, nowMs) {
  const ms = Date.parse(iso) - nowMs;
  if (Math.abs(ms) >= DAY_MS) return exact(iso);
  if (Math.abs(ms) < 5_000) return "now";
  const seconds = Math.trunc(ms / 1000);
  if (Math.abs(seconds) < 60) return RELATIVE.format(seconds, "second");
  if (Math.abs(seconds) < 3600) return RELATIVE.format(Math.trunc(seconds / 60), "minute");
  return RELATIVE.format(Math.trunc(seconds / 3600), "hour");
}

/** Date and time in the chosen zone.
 * @param {string} iso */
export function exact(iso) {
  return EXACT[zone.value].format(Date.parse(iso)) + (zone.value === "utc" ? " UTC" : "");
}

/** @param {string | undefined} timeZone */
function exactIn(timeZone) {
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium", timeZone });
}

/** A time as a field for date and time shows it, in the chosen zone.
 * @param {string} iso
 * @returns {string} "" for no time */
export function toField(iso) {
  const ms = Date.parse(iso);
  if (Number.isNaN(ms)) return "";
  const offset = zone.value === "utc" ? 0 : new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - offset).toISOString().slice(0, 16);
}

/** The time that a field for date and time means, in the chosen zone.
 * @param {string} text
 * @returns {string} "" for no time */
export function fromField(text) {
  const ms = Date.parse(text + (zone.value === "utc" ? "Z" : ""));
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString();
}

/** The time left, in two units at most: "2 d 3 h", "4 min 05 s", "9 s". Never below "0 s".
 * @param {number} ms */
export function left(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  const [minutes, rest] = [Math.floor(seconds / 60) % 60, seconds % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${String(rest).padStart(2, "0")} s` : `${rest} s`;
}

/** A length of time: "412 ms", "3.1 s", then as `left`.
 * @param {number} ms */
export function length(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : left(ms);
}
