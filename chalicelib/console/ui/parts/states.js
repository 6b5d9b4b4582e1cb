// The looks of a page without data: loading, empty, refused; and the line that dates old data.
import { html } from "../vendor/ui.js";
import { exact } from "../time.js";
import { refresh } from "../live.js";

/** A page's data, or what stands in its place.
 * @template T
 * @param {{polled: import("../live.js").Polled<T>, children: (data: T) => import("../vendor/ui.js").Child}} props */
export function Loaded({ polled, children }) {
  if (polled.data !== null) {
    return html`${polled.problem && html`<${Old} polled=${polled} />`}
      <div class="data ${polled.problem ? "old" : ""}">${children(polled.data)}</div>`;
  }
  if (polled.problem) return html`<${Refused} problem=${polled.problem} />`;
  return html`<p class="quiet late" aria-busy="true">Loading…</p>`;
}

/** @param {{polled: import("../live.js").Polled<unknown>}} props */
function Old({ polled }) {
  const at = exact(new Date(polled.atMs).toISOString());
  return html`<p class="note warn">As of ${at}. ${polled.problem?.message}</p>`;
}

/** @param {{problem: import("../api.js").Problem}} props */
export function Refused({ problem }) {
  return html`<div class="empty" role="alert">
    <h2>${problem.title || "That did not work"}</h2>
    <p>${problem.message}</p>
    ${problem.requestId && html`<p class="quiet">Request <code>${problem.requestId}</code></p>`}
    <p><button type="button" onClick=${refresh}>Try again</button></p>
  </div>`;
}

/** @param {{title: string, children?: import("../vendor/ui.js").Child}} props */
export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}
