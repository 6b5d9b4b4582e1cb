// The page of a mailed link: set a password. The link's token stands in the fragment, which no server sees.
import { html, useState } from "../vendor/ui.js";
import { once, Problem } from "../api.js";
import { Field, refusal } from "../parts/fields.js";

/** The page of the address in a mailed link: `#/set-password/<token>`. */
export const SET_PASSWORD = "set-password";

/** @param {{token: string}} props */
export function PasswordPage({ token }) {
  const [password, setPassword] = useState("");
  const [sending, setSending] = useState(false);
  const [done, setDone] = useState(false);
  const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setSending(true);
    setProblem(null);
    try {
      await once("POST", "api/password", { body: { token, password } });
      // The token is used, and need not stay in the browser's history.
      history.replaceState(null, "", `#/${SET_PASSWORD}`);
      setDone(true);
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, { detail: String(error) }));
    }
    setSending(false);
  };
  if (done) {
    return html`
      <main class="sign-in" id="main" tabindex="-1">
        <h1>Your password is set</h1>
        <p><a href="#/">Sign in</a></p>
      </main>
    `;
  }
  const own = refusal(problem, "password");
  return html`<main class="sign-in" id="main" tabindex="-1">
    <h1>Set your password</h1>
    <form onSubmit=${submit}>
      <input type="text" name="username" autocomplete="username" value=${
    usernameOf(token)
  } hidden readonly />
      <${Field} label="New password" name="password" type="password" value=${password} change=${setPassword}
        autocomplete="new-password" hint="At least 8 characters." problem=${own} required />
      ${problem && !own && html`<p class="note bad" role="alert">${problem.message}</p>`}
      <button class="main" disabled=${sending || !token}>${
    sending ? "Setting…" : "Set the password"
  }</button>
    </form>
    ${
    !token &&
    html`<p class="hint">Open the link of your mail: it has the token that this page needs.</p>`
  }
  </main>`;
}

/** The username in a token, for password managers; "" if the token has another form.
 * @param {string} token */
function usernameOf(token) {
  const coded = token.replace(/^hfp_/, "").split(".")[0] ?? "";
  try {
    return atob(coded.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return "";
  }
}
