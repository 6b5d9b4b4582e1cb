// One user: roles and password, sessions, and the API keys of a service.
import { html, useEffect, useRef, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem } from "../api.js";
import { refresh, usePoll } from "../live.js";
import { go, href, route } from "../route.js";
import { ShowCall } from "../parts/call.js";
import { Confirm } from "../parts/confirm.js";
import { Dialog } from "../parts/dialog.js";
import { Field, refusal } from "../parts/fields.js";
import { Remove } from "../parts/remove.js";
import { Roles } from "../parts/roles.js";
import { OpenSessions } from "../parts/sessions.js";
import { Empty, Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { toast } from "../parts/toast.js";

/** @typedef {import("./users.js").User} User */
/** @typedef {{keyId: string, name: string, createdAt: string, createdBy: string, expiresAt: string | null}} Key */

/** @param {string} username */
function userPath(username) {
  return `api/users/${encodeURIComponent(username)}`;
}

export function UserPage() {
  const path = userPath(route.value.id);
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => "seldom");
  return html`
    <p class="back"><a href=${href("users")}>Users</a></p>
    <h1>${route.value.id}</h1>
    <${Loaded} polled=${polled}>${(/** @type {User} */ user) =>
      html`
        <${Change} user=${user} path=${path} />
        ${user.roles.includes("service") && html`<${Keys} path="${path}/keys" />`}
        <${Sessions} username=${user.username} path=${path} />
        <${Delete} username=${user.username} path=${path} />
      `}<//>
  `;
}

/** @param {{user: User, path: string}} props */
function Change({ user, path }) {
  const [roles, setRoles] = useState(user.roles);
  const [password, setPassword] = useState("");
  const [state, setState] = useState({
    sending: false,
    problem: /** @type {Problem | null} */ (null),
  });
  // Roles that somebody else has changed come along.
  useEffect(() => setRoles(user.roles), [user.updatedAt]);
  const others = [...roles].sort().join() !== [...user.roles].sort().join();
  const body = { ...(others ? { roles } : {}), ...(password ? { password } : {}) };
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: null });
    try {
      await act("change user", "PATCH", path, { body, secret: true });
      setPassword("");
      setState({ sending: false, problem: null });
      toast(`Changed ${user.username}, and ended the sessions of the user`);
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      setState({ sending: false, problem });
    }
    refresh();
  };
  return html`
    <section aria-label="Roles and password">
      <form class="narrow" onSubmit=${save}>
        <input type="text" name="username" value=${user
          .username} autocomplete="username" hidden readonly />
        <${Roles} chosen=${roles} change=${setRoles} />
        <${Field} label="New password" name="password" type="password" value=${password} change=${setPassword}
          autocomplete="new-password" hint="Empty: the password stays." problem=${refusal(
            state.problem,
            "password",
          )} />
        <p class="hint">Either change ends the sessions of the user.</p>
        ${state.problem && html`<p class="note bad" role="alert">${state.problem.message}</p>`}
        <div class="actions">
          <button class="main" disabled=${state.sending || !roles.length ||
            !(others || password)}>${state.sending ? "Saving…" : "Save"}</button>
          <${ShowCall} name="change user" would=${{
            method: "PATCH",
            path,
            body: { ...body, ...(password ? { password: "…" } : {}) },
          }} />
        </div>
      </form>
    </section>
  `;
}

/** @param {{path: string}} props */
function Keys({ path }) {
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => "seldom");
  return html`
    <section aria-label="API keys">
      <h2>API keys</h2>
      <${Loaded} polled=${polled}>${(/** @type {{items: Key[]}} */ data) =>
        data.items.length
          ? html`
            <table>
              <thead>
                <tr>
                  <th scope="col">For</th>
                  <th scope="col">Made</th>
                  <th scope="col">Ends</th>
                  <th scope="col"></th>
                </tr>
              </thead>
              <tbody>${data.items.map((key) =>
                html`
                  <tr key=${key.keyId}>
                    <td class="wide">${key.name}</td>
                    <td data-label="Made"><span><${Time} at=${key.createdAt} /> by ${key
                      .createdBy}</span></td>
                    <td data-label="Ends">${key.expiresAt
                      ? html`<${Time} at=${key.expiresAt} />`
                      : "never"}</td>
                    <td class="end">
                      <${Remove} words="End" name="end key"
                        path="${path}/${encodeURIComponent(key.keyId)}" />
                    </td>
                  </tr>
                `
              )}</tbody>
            </table>
          `
          : html`
            <${Empty} title="No key">
              <p>A service calls the API with a key instead of a session.</p>
              <//>
          `}<//>
      <${NewKey} path=${path} />
    </section>
  `;
}

/** @param {{path: string}} props */
function NewKey({ path }) {
  const [name, setName] = useState("");
  const [made, setMade] = useState("");
  const [problem, setProblem] = useState("");
  const key = useRef(newKey());
  const make = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setProblem("");
    try {
      const found = await act("make key", "POST", path, {
        body: { name },
        key: key.current,
        secret: true,
      });
      setMade(found.key);
      setName("");
      key.current = newKey();
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
    }
    refresh();
  };
  const copy = async () => {
    await navigator.clipboard.writeText(made);
    toast("The key is copied");
  };
  return html`
    <form class="filter" onSubmit=${make}>
      <label for="key-name">New key for</label>
      <input id="key-name" value=${name} required placeholder="its purpose" autocomplete="off"
        onInput=${(/** @type {{currentTarget: HTMLInputElement}} */ event) => {
          key.current = newKey();
          setName(event.currentTarget.value);
        }} />
      <button>Make a key</button>
      <${ShowCall} name="make key" would=${{ method: "POST", path, body: { name } }} />
    </form>
    ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
    ${made && html`
      <${Dialog} title="The new key" close=${() => setMade("")}>
        <p>It is shown now and never again.</p>
        <pre tabindex="0" aria-label="key">${made}</pre>
        <div class="actions"><button type="button" class="main" onClick=${copy}>Copy</button></div>
        <//>
    `}
  `;
}

/** @param {{username: string, path: string}} props */
function Sessions({ username, path }) {
  const list = `api/sessions?username=${encodeURIComponent(username)}`;
  const polled = usePoll(list, (gone) => ask("GET", list, { signal: gone }), () => "seldom");
  const [open, setOpen] = useState(false);
  const end = async () => {
    await act("end sessions", "DELETE", `${path}/sessions`);
    toast(`Ended the sessions of ${username}`);
    refresh();
  };
  return html`
    <section aria-label="Sessions">
      <h2>Sessions</h2>
      <${Loaded} polled=${polled}>${(
        /** @type {{items: import("../parts/sessions.js").Opened[]}} */ data,
      ) =>
        data.items.length
          ? html`
            <${OpenSessions} sessions=${data.items} />
            <div class="actions">
              <button type="button" class="danger" onClick=${() =>
                setOpen(true)}>End all sessions</button>
            </div>
          `
          : html`<p class="quiet">Nobody is signed in as ${username}.</p>`}<//>
      ${open && html`
        <${Confirm} title="End all sessions of ${username}?" verb="End all sessions" word=${username}
          act=${end}
          close=${() => setOpen(false)}>
          <p>Every browser and app that is signed in as ${username} is signed out at once.</p>
          <//>
      `}
    </section>
  `;
}

/** @param {{username: string, path: string}} props */
function Delete({ username, path }) {
  const [open, setOpen] = useState(false);
  const remove = async () => {
    await act("delete user", "DELETE", path);
    toast(`Deleted the user ${username}`);
    go(href("users"));
  };
  return html`
    <div class="actions">
      <button type="button" class="danger" onClick=${() => setOpen(true)}>Delete the user</button>
    </div>
    ${open && html`
      <${Confirm} title="Delete the user ${username}?" verb="Delete the user" word=${username} always
        act=${remove}
        close=${() => setOpen(false)}>
        <p>The sessions and keys of ${username} end, and questions to ${username} reach nobody. A user made anew under
          the name is another account.</p>
        <//>
    `}
  `;
}
