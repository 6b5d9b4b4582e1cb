// My own page: session, devices, and what this browser remembers.
import { html } from "../vendor/ui.js";
import { ask, session } from "../api.js";
import { shown } from "../keys.js";
import { usePoll } from "../live.js";
import { firstSteps, scheme, shortcuts } from "../preferences.js";
import { Choice } from "../parts/fields.js";
import { Remove } from "../parts/remove.js";
import { OpenSessions } from "../parts/sessions.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { zone } from "../time.js";
import { signOut } from "./signin.js";

/** @typedef {{deviceId: string, platform: string, updatedAt?: string}} Device */

export function Me() {
  const own = session.value;
  const admin = own?.roles.includes("admin");
  return html`
    <div class="title"><h1>${own?.username}</h1>
          <button type="button" onClick=${signOut}>Sign out</button></div>
        <p class="quiet">Roles: ${own?.roles.join(", ")}. This session ends ${own &&
          html`<${Time} at=${own.expiresAt} />`},
          or earlier if it is not used.</p>
        <section aria-label="Preferences">
      <h2>Preferences</h2>
      <div class="row">
        <${Choice} label="Colours" value=${scheme.value} change=${(
          /** @type {string} */ to,
        ) => (scheme.value = to)}
          options=${[["light dark", "as the system"], ["light", "light"], ["dark", "dark"]]} />
        <${Choice} label="Times" value=${zone.value} change=${(
          /** @type {"local" | "utc"} */ to,
        ) => (zone.value = to)}
          options=${[["local", "in my time zone"], ["utc", "in UTC"]]} />
        <${Choice} label="Keys without Ctrl" value=${shortcuts.value} change=${(
          /** @type {string} */ to,
        ) => (shortcuts.value = to)}
          options=${[["on", "on"], ["off", "off"]]} />
        ${admin && html`
          <${Choice} label="First steps on the overview"
            value=${firstSteps.value ? "skipped" : ""}
            change=${(/** @type {string} */ to) => (firstSteps.value = to)}
            options=${[["", "shown"], ["skipped", "put away"]]} />
        `}
      </div>
      <p>
        <button type="button" onClick=${() => (shown.value = "help")}>Show the keys</button>
      </p>
    </section>
        <${Devices} />
        ${admin && html`<${Sessions} />`}
  `;
}

function Devices() {
  const polled = usePoll(
    "devices",
    (gone) => ask("GET", "api/devices", { signal: gone }),
    () => "seldom",
  );
  return html`
    <section aria-label="Devices">
      <h2>Devices</h2>
      <${Loaded} polled=${polled}>${(/** @type {{items: Device[]}} */ data) =>
        data.items.length
          ? html`
            <table>
              <thead>
                <tr>
                  <th scope="col">Device</th>
                  <th scope="col">Platform</th>
                  <th scope="col"></th>
                </tr>
              </thead>
              <tbody>${data.items.map((device) =>
                html`
                  <tr key=${device.deviceId}>
                    <td class="wide">${device.deviceId}</td>
                    <td data-label="Platform">${device.platform}</td>
                    <td class="end">
                      <${Remove} words="Forget" name="forget device" path="api/devices/${encodeURIComponent(
                        device.deviceId,
                      )}" />
                    </td>
                  </tr>
                `
              )}</tbody>
            </table>
          `
          : html`
            <${Empty} title="No device gets pushes">
              <p>An app registers its device with
                      ${" "}<code>PUT /api/devices/{deviceId}</code>.</p>
              <//>
          `}<//></section>
  `;
}

function Sessions() {
  const path = `api/sessions?username=${encodeURIComponent(session.value?.username ?? "")}`;
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => "seldom");
  const mine = session.value?.sessionId;
  return html`
    <section aria-label="Sessions">
      <h2>Sessions</h2>
      <${Loaded} polled=${polled}>${(
        /** @type {{items: import("../parts/sessions.js").Opened[]}} */ data,
      ) => html`<${OpenSessions} sessions=${data.items} mine=${mine} />`}<//></section>
  `;
}
