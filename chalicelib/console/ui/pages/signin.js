// Sign-in: a page, or a dialog over the page whose session ended. The token stays in the browser's cookie.
import { html, useEffect, useState } from "../vendor/ui.js";
import { once, Problem, session } from "../api.js";
import { config } from "../parts/banner.js";
import { Dialog } from "../parts/dialog.js";
import { Field } from "../parts/fields.js";

/** The account of the session that ended, so that its dialog admits no other person to what stands on the page. */
let lastUsername = "";
/** The entry of localStorage that says that somebody has signed in with this browser; no secret. */
const HINT = "signedIn";

/** Learn whether this browser has a session. */
export async function resume() {
  // A visitor who has never signed in here has no session to ask for.
  if (!localStorage.getItem(HINT)) return (session.value = null);
  try {
    session.value = await once("GET", "api/sessions/current");
  } catch (error) {
    if (!(error instanceof Problem) || error.status === 401 || error.status === 404) {
      session.value = null;
    } else setTimeout(resume, 2_000);
  }
}

/** End the session of this browser, and forget the page. */
export async function signOut() {
  await once("DELETE", "api/sessions/current").catch(() => null);
  lastUsername = "";
  localStorage.removeItem(HINT);
  location.hash = "";
  location.reload();
}

export function SignInPage() {
  return html`
    <main class="sign-in" id="main" tabindex="-1">
      <h1>Sign in to Holdfast</h1>
      <${Form} username="" />
    </main>
  `;
}

/** @param {{username: string}} props */
export function SignInDialog({ username }) {
  lastUsername = username;
  return html`
    <${Dialog} title="Sign in again">
      <p>Your session has ended. What you typed is still here.</p>
      <${Form} username=${username} />
      <//>
  `;
}

/** @param {{username: string}} props */
function Form({ username: given }) {
  const [username, setUsername] = useState(given);
  const [password, setPassword] = useState("");
  const [state, setState] = useState({ sending: false, problem: "", waitSeconds: 0 });
  useEffect(() => {
    if (!state.waitSeconds) return;
    const less = () => setState((before) => ({ ...before, waitSeconds: before.waitSeconds - 1 }));
    const timer = setTimeout(less, 1000);
    return () => clearTimeout(timer);
  }, [state.waitSeconds]);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ sending: true, problem: "", waitSeconds: 0 });
    try {
      await once("POST", "api/sessions", { body: { username, password, cookie: true } });
      // Another person must not see what the first one left on the page.
      if (lastUsername && username !== lastUsername) return location.reload();
      localStorage.setItem(HINT, "true");
      session.value = await once("GET", "api/sessions/current");
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      setState({
        sending: false,
        problem: problem.message,
        waitSeconds: problem.retryAfterSeconds || 0,
      });
    }
  };
  const busy = state.sending || state.waitSeconds > 0;
  return html`<form onSubmit=${submit}>
    <${Field} label="Username" name="username" value=${username} change=${setUsername} autocomplete="username" required />
    <${Field} label="Password" name="password" type="password" value=${password} change=${setPassword}
      autocomplete="current-password" required />
    ${state.problem && html`<p class="note bad" role="alert">${state.problem}</p>`}
    <button class="main" disabled=${busy}>${
    state.sending
      ? "Signing in…"
      : state.waitSeconds
      ? `Again in ${state.waitSeconds} s`
      : "Sign in"
  }</button>
    ${
    config.value?.stage === "local" &&
    html`
      <p
        class="hint">The administrator is <code>admin</code>. The first <code>scripts/up</code> printed the
            password.</p>
    `
  }
  </form>`;
}
