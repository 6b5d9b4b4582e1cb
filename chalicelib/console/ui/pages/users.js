// Users: everybody with an account, and a form that makes one.
import { html, useRef, useState } from "../vendor/ui.js";
import { act, ask, newKey, Problem } from "../api.js";
import { usePoll } from "../live.js";
import { go, href, route } from "../route.js";
import { ShowCall } from "../parts/call.js";
import { Field, refusal } from "../parts/fields.js";
import { Roles } from "../parts/roles.js";
import { Loaded } from "../parts/states.js";
import { Time } from "../parts/time.js";
import { toast } from "../parts/toast.js";

/** @typedef {{username: string, roles: string[], createdAt: string, updatedAt: string}} User */
/** @typedef {{items: User[], nextCursor: string | null}} Page */

export function Users() {
  const { cursor = "" } = route.value.query;
  const path = `api/users?${new URLSearchParams({ limit: "50", ...(cursor ? { cursor } : {}) })}`;
  const polled = usePoll(path, (gone) => ask("GET", path, { signal: gone }), () => "seldom");
  return html`
    <h1>Users</h1>
    <${Loaded} polled=${polled}>${(/** @type {Page} */ data) =>
      html`
        <table>
          <thead>
            <tr>
              <th scope="col">User</th>
              <th scope="col">Roles</th>
              <th scope="col">Changed</th>
            </tr>
          </thead>
          <tbody>${data.items.map((user) =>
            html`
              <tr key=${user.username}>
                <td class="wide"><a href=${href("users", user.username)}>${user.username}</a></td>
                <td data-label="Roles">${user.roles.join(", ")}</td>
                <td data-label="Changed">
                  <${Time} at=${user.updatedAt} />
                </td>
              </tr>
            `
          )}</tbody>
        </table>
        ${(cursor || data.nextCursor) && html`
          <nav class="pages" aria-label="Rest of the list">
            ${cursor && html`<a class="button" href=${href("users")}>First page</a>`}
            ${data.nextCursor &&
              html`<a class="button" href=${
                href("users", "", { cursor: data.nextCursor })
              }>Next page</a>`}
          </nav>
        `}
      `}<//>
    <${NewUser} />
  `;
}

function NewUser() {
  const empty = { username: "", password: "", roles: ["user"] };
  const [form, setForm] = useState(empty);
  const [state, setState] = useState({
    sending: false,
    problem: /** @type {Problem | null} */ (null),
  });
  const key = useRef(newKey());
  const set = (/** @type {string} */ name) => (/** @type {unknown} */ value) => {
    // Another user is another operation.
    key.current = newKey();
    setForm((before) => ({ ...before, [name]: value }));
  };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: null });
    try {
      const made = await act("make user", "POST", "api/users", {
        body: form,
        key: key.current,
        secret: true,
      });
      toast(`Made the user ${made.username}`);
      go(href("users", made.username));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      setState({ sending: false, problem });
    }
  };
  return html`
    <section aria-label="New user">
      <h2>New user</h2>
      <form class="narrow" onSubmit=${submit}>
        <${Field} label="Username" name="username" value=${form.username} change=${set(
          "username",
        )} required
          autocomplete="off" problem=${refusal(state.problem, "username")} />
        <${Field} label="Password" name="password" type="password" value=${form.password}
          change=${set(
            "password",
          )} required autocomplete="new-password" hint="At least 8 characters."
          problem=${refusal(state.problem, "password")} />
        <${Roles} chosen=${form.roles} change=${set("roles")} />
        ${state.problem && html`<p class="note bad" role="alert">${state.problem.message}</p>`}
        <div class="actions">
          <button class="main" disabled=${state.sending || !form.roles.length}>${state.sending
            ? "Making…"
            : "Make the user"}</button>
          <${ShowCall} name="make user" would=${{
            method: "POST",
            path: "api/users",
            body: { ...form, password: "…" },
          }} />
        </div>
      </form>
    </section>
  `;
}
