// A bar of several parts side by side. Parts differ by colour and pattern, and the numbers stand beside the bar in words.
import { html } from "../vendor/ui.js";
import { shares } from "../chart.js";

/** *whole* is the sum that fills the bar.
 * @param {{parts: {name: string, count: number}[], whole: number}} props */
export function Bar({ parts, whole }) {
  const widths = shares(parts.map(({ count }) => count), whole);
  return html`
    <span class="stack" aria-hidden="true">${parts.map(({ name }, index) =>
      html`<span key=${name} class="part ${name}" style=${{ width: `${widths[index]}%` }}></span>`
    )}</span>
  `;
}
