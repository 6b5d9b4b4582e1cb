// A state as people see it: a shape, a word and a colour. Shapes differ without their colours.
import { html } from "../vendor/ui.js";
import { stateOf } from "../words.js";

const SHAPES = {
  busy: html`
    <circle cx="8" cy="8" r="6.5" stroke-dasharray="3 2" />
    <path d="M8 4.5V8l2.5 1.5" />
  `,
  good: html`
    <circle cx="8" cy="8" r="6.5" />
    <path d="M5 8.2l2.1 2.1L11 6.2" />
  `,
  warn: html`
    <circle cx="8" cy="8" r="6.5" />
    <path d="M8 4.5v4M8 11v.3" />
  `,
  bad: html`
    <circle cx="8" cy="8" r="6.5" />
    <path d="M5.5 5.5l5 5M10.5 5.5l-5 5" />
  `,
  mute: html`
    <circle cx="8" cy="8" r="6.5" />
    <path d="M5 8h6" />
  `,
};

/** The shape of a tone alone, beside words that say the state.
 * @param {{tone: import("../words.js").Tone}} props */
export function Shape({ tone }) {
  return html`
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">${SHAPES[tone]}</svg>
  `;
}

/** @param {{state: string}} props */
export function State({ state }) {
  const [tone, word] = stateOf(state);
  return html`<${Mark} tone=${tone} word=${word} />`;
}

/** A state in words of a page's own.
 * @param {{tone: import("../words.js").Tone, word: string}} props */
export function Mark({ tone, word }) {
  return html`<span class="state ${tone}">
    <${Shape} tone=${tone} />${word}
  </span>`;
}
