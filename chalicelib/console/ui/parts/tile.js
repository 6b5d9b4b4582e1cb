// A tile of the overview: a name, a figure and a line of words, all one link. Old data is greyed, and dated.
import { html } from "../vendor/ui.js";
import { exact } from "../time.js";

/** *words* stand under the figure. *tone* colours the figure.
 * @template T
 * @param {{to: string, name: string, polled: import("../live.js").Polled<T>, words: string, tone?: string,
 *   children?: import("../vendor/ui.js").Child}} props */
export function Tile({ to, name, polled, words, tone = "", children }) {
  const { data, problem } = polled;
  return html`
    <a class="card tile ${problem ? "old" : ""}" href=${to}>
      <span class="name">${name}</span>
      <span class="figure ${tone}">${data === null ? "–" : children}</span>
      <span class="quiet">${problem ? dated(polled) : data === null ? "asking…" : words}</span>
    </a>
  `;
}

/** The age of data that could not be renewed.
 * @param {import("../live.js").Polled<unknown>} polled */
export function dated({ data, atMs }) {
  return data === null ? "no answer" : `as of ${exact(new Date(atMs).toISOString())}`;
}
