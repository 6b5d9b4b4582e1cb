// A time in a page: relative, with local time, UTC and ISO on hover; and the time left until an end.
import { html } from "../vendor/ui.js";
import { exact, left, relative, serverNow, tick } from "../time.js";

/** @param {{at: string}} props */
export function Time({ at }) {
  tick.value;
  return html`<time datetime=${at} title="${exact(at)} · ${at}">${
    relative(at, serverNow())
  }</time>`;
}

/** The time left until *at*, by the server's clock; then words, until the server says what became of the question.
 * @param {{at: string}} props */
export function Countdown({ at }) {
  tick.value;
  const ms = Date.parse(at) - serverNow();
  const words = ms > 0 ? html`${left(ms)} left` : "time is up";
  return html`<time class="countdown ${ms < 10_000 ? "soon" : ""}" datetime=${at} title=${
    exact(at)
  }>${words}</time>`;
}
