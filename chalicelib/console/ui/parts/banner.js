// The line under the header that says what is wrong everywhere: an outage, or files of an older version.
import { html, signal } from "../vendor/ui.js";
import { once, outage } from "../api.js";
import { regularly } from "../live.js";

const LOOK_MS = 300_000;

/** *receiver* is the address of a laptop's receiver of callbacks; *socketUrl* the address of WebSockets, if there is one.
 * @typedef {{stage: string, version: string, console: string, receiver: string | null,
 *   socketUrl: string | null}} Config */

/** The deployment, null until known.
 * @type {import("../vendor/ui.js").Signal<Config | null>} */
export const config = signal(/** @type {Config | null} */ (null));
const outdated = signal(false);

/** Learn the deployment now, and look for a newer one every five minutes. */
export function watch() {
  const look = async () => {
    const now = await once("GET", "console/config.json").catch(() => null);
    if (now && config.peek() && now.console !== config.peek()?.console) outdated.value = true;
    else if (now) config.value = now;
  };
  regularly(look, LOOK_MS);
  addEventListener("focus", look);
}

export function Banner() {
  if (outage.value) {
    return html`<p class="banner bad" role="alert">${outage.value} What you see may be old.</p>`;
  }
  if (!outdated.value) return null;
  return html`<p class="banner" role="status">A new version of the console is here.
    ${" "}<button type="button" class="plain" onClick=${() =>
    location.reload()}>Reload</button></p>`;
}
