// Calls of the API: problems, deadlines, repeats, and who answered. The only module that uses fetch.
import { effect, signal } from "./vendor/ui.js";
import { heard } from "./instances.js";
import { learn, serverNow } from "./time.js";

/** @typedef {{username: string, roles: string[], sessionId: string, expiresAt: string}} Session */
/** @typedef {{path: string, message: string}} FieldError */
/** @typedef {{method: string, path: string, body: unknown, key: string, status: number, answer: string,
 *   requestId: string, instanceId: string}} Call */
/** *version* makes a read answer null while the record still has that version. Of a *secret* call neither password nor
 * answer is kept.
 * @typedef {{body?: unknown, key?: string, deadlineMs?: number, signal?: AbortSignal, record?: string,
 *   version?: number, secret?: boolean}} Options */

const DEADLINE_MS = 10_000;

/** The session: undefined until known, null when signed out.
 * @type {import("./vendor/ui.js").Signal<Session | null | undefined>} */
export const session = signal(/** @type {Session | null | undefined} */ (undefined));

/** The outage of the last call, as one sentence, or "".  */
export const outage = signal("");

/** The last call of each kind of action, by name, for "show the call".
 * @type {import("./vendor/ui.js").Signal<Record<string, Call>>} */
export const calls = signal({});

/** A refusal of the API, or an answer that did not come (status 0). */
export class Problem extends Error {
  /** @param {number} status
   * @param {{title?: string, detail?: string, code?: string, requestId?: string, errors?: FieldError[],
   *   stores?: unknown}} said
   * @param {number} [retryAfterSeconds] */
  constructor(status, said, retryAfterSeconds = 0) {
    super(said.detail || said.title || "The answer was not understood.");
    this.status = status;
    this.said = said;
    this.title = said.title ?? "";
    this.code = said.code ?? "";
    this.requestId = said.requestId ?? "";
    this.errors = said.errors ?? [];
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The address of a path of the API, with the stage of the gateway in front.
 * @param {string} path without the first slash */
export function address(path) {
  return new URL(`../${path}`, new URL(".", location.href.replace(/[?#].*/, ""))).href;
}

/** A new key that names one operation: its repeats do the work once. */
export function newKey() {
  // `randomUUID` is missing on a page over plain HTTP.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Call the API and return the answer's JSON, or null. Without a session the call waits until somebody signs in again,
 * and is then made once more.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>}
 * @throws {Problem} */
export async function ask(method, path, options = {}) {
  try {
    return await once(method, path, options);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401 || !session.peek()) throw error;
    session.value = null;
    await signedIn();
    return await once(method, path, options);
  }
}

/** Make a change, and keep the call under *name* for "show the call".
 * @param {string} name
 * @param {string} method
 * @param {string} path
 * @param {Options} [options] */
export function act(name, method, path, options = {}) {
  const key = options.key ?? newKey();
  return ask(method, path, { ...options, key, record: name });
}

/** @returns {Promise<void>} */
function signedIn() {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (!session.value) return;
      resolve();
      queueMicrotask(() => stop());
    });
  });
}

/** Call once, without a session's dialog.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>} */
export async function once(method, path, options = {}) {
  const answer = await send(method, path, options);
  const text = await answer.text();
  learn(answer.headers.get("Date"), Date.now());
  heard(answer.headers.get("X-Instance-Id"), serverNow());
  if (options.record) keep(options.record, { method, path, options, answer, text });
  const json = parsed(text);
  if (answer.ok || answer.status === 304) {
    outage.value = "";
    return json;
  }
  const problem = new Problem(answer.status, json ?? {}, Number(answer.headers.get("Retry-After")));
  if (problem.code === "unavailable") outage.value = problem.message;
  else if (answer.status < 500) outage.value = "";
  throw problem;
}

/** @param {string} method
 * @param {string} path
 * @param {Options} options */
async function send(method, path, options) {
  const deadline = AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS);
  /** @type {Record<string, string>} */
  const headers = {};
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (options.version) headers["If-None-Match"] = `"${options.version}"`;
  if (options.key && method === "POST") headers["Idempotency-Key"] = options.key;
  try {
    return await fetch(address(path), {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal ? AbortSignal.any([deadline, options.signal]) : deadline,
      cache: "no-store",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    outage.value = "Holdfast cannot be reached.";
    throw new Problem(0, {
      title: "No answer",
      detail: "Holdfast gave no answer in time. Try again.",
    });
  }
}

/** Call a server of another origin: without the session, and without a part in the outage of the API.
 * @param {string} method
 * @param {string} url
 * @param {{body?: unknown, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 * @throws {Problem} */
export async function askElsewhere(method, url, { body, signal } = {}) {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  try {
    const answer = await fetch(url, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
      credentials: "omit",
      cache: "no-store",
    });
    const json = parsed(await answer.text());
    if (!answer.ok) throw new Problem(answer.status, json ?? {});
    return json;
  } catch (error) {
    if (signal?.aborted || error instanceof Problem) throw error;
    const detail = `${new URL(url).host} gave no answer in time. Try again, or reload this page.`;
    throw new Problem(0, { title: "No answer", detail });
  }
}

/** A body without its password.
 * @param {any} body */
function hidden(body) {
  return body?.password === undefined ? body : { ...body, password: "…" };
}

/** @param {string} name
 * @param {{method: string, path: string, options: Options, answer: Response, text: string}} made */
function keep(name, { method, path, options, answer, text }) {
  const call = {
    method,
    path,
    body: options.secret ? hidden(options.body) : options.body,
    key: options.key ?? "",
    status: answer.status,
    answer: options.secret ? "" : text,
    requestId: answer.headers.get("X-Request-Id") ?? "",
    instanceId: answer.headers.get("X-Instance-Id") ?? "",
  };
  calls.value = { ...calls.peek(), [name]: call };
}

/** @param {string} text
 * @returns {any} */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
