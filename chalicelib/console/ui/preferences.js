// What this browser remembers of a person: colours and time zone. Never anything secret.
import { effect, signal } from "./vendor/ui.js";
import { zone } from "./time.js";

/** "light dark" follows the system. */
export const scheme = signal(localStorage.getItem("scheme") ?? "light dark");

/** Apply the preferences, and remember changes. */
export function begin() {
  zone.value = localStorage.getItem("zone") === "utc" ? "utc" : "local";
  effect(() => localStorage.setItem("zone", zone.value));
  effect(() => {
    document.documentElement.dataset.scheme = scheme.value;
    localStorage.setItem("scheme", scheme.value);
  });
}
