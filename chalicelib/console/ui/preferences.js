// What this browser remembers of a person: colours, time zone, keys, first steps. Never anything secret.
import { effect, signal } from "./vendor/ui.js";
import { newKey } from "./api.js";
import { zone } from "./time.js";

/** "light dark" follows the system. */
export const scheme = signal(localStorage.getItem("scheme") ?? "light dark");

/** "on" or "off": whether keys without Ctrl do anything. */
export const shortcuts = signal(localStorage.getItem("shortcuts") === "off" ? "off" : "on");

/** What became of the first steps: "" while they are shown, then "done" or "skipped". */
export const firstSteps = signal(localStorage.getItem("firstSteps") ?? "");

/** The id of this browser among the devices that read messages. */
export const deviceId = localStorage.getItem("deviceId") ?? newKey();

/** Apply the preferences, and remember changes. */
export function begin() {
  zone.value = localStorage.getItem("zone") === "utc" ? "utc" : "local";
  effect(() => localStorage.setItem("zone", zone.value));
  effect(() => localStorage.setItem("shortcuts", shortcuts.value));
  localStorage.setItem("deviceId", deviceId);
  effect(() => localStorage.setItem("firstSteps", firstSteps.value));
  effect(() => {
    document.documentElement.dataset.scheme = scheme.value;
    localStorage.setItem("scheme", scheme.value);
  });
}
