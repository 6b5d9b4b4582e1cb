// Results of actions, said once: a line at the bottom that screen readers hear too.
import { html, signal, useEffect } from "../vendor/ui.js";

const SHOWN_MS = 6_000;
const said = signal({ text: "", number: 0 });

/** @param {string} text */
export function toast(text) {
  said.value = { text, number: said.peek().number + 1 };
}

export function Toast() {
  const { text, number } = said.value;
  useEffect(() => {
    const timer = setTimeout(() => (said.value = { text: "", number }), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [number]);
  return html`<div class="toast" role="status">${text && html`<p>${text}</p>`}</div>`;
}
