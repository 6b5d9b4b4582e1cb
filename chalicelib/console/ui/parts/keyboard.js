// The dialogs of the keyboard: help, and the palette that goes to a page, or to something by its id.
import { html, useEffect, useId, useRef, useState } from "../vendor/ui.js";
import { help, shown } from "../keys.js";
import { may, places } from "../places.js";
import { go, href } from "../route.js";
import { Dialog } from "./dialog.js";

const ID = /^[0-9A-HJKMNP-TV-Z]{26}$/i;
const DELIVERY = /^dlv_[0-9a-f]{40}$/i;
/** The pages of things that are named by an id, and what the things are.
 * @type {[string, string][]} */
const BY_ID = [["applications", "Application"], ["webhooks", "Webhook"]];

/** The dialog that is open, if one is. */
export function Keyboard() {
  const close = () => (shown.value = "");
  if (shown.value === "help") return html`<${Help} close=${close} />`;
  if (shown.value === "palette") return html`<${Palette} close=${close} />`;
  return null;
}

/** @param {{close: () => void}} props */
function Help({ close }) {
  return html`
    <${Dialog} title="Keys" close=${close}>
      <dl class="pairs keys">${help().map(([keys, words]) =>
        html`
          <div>
            <dt><kbd>${keys}</kbd></dt>
            <dd>${words}</dd>
          </div>
        `
      )}</dl>
      <p
        class="hint">Keys do nothing while you type in a field. Your own page switches keys without Ctrl off.</p>
      <//>
  `;
}

/** @param {{close: () => void}} props */
function Palette({ close }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const id = useId();
  useEffect(() => field.current?.focus(), []);
  const found = matches(text.trim());
  const open = (/** @type {string | undefined} */ to) => {
    if (!to) return;
    close();
    go(to);
  };
  const keys = (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !found.length) return;
    event.preventDefault();
    setAt((at + by + found.length) % found.length);
  };
  const read = (/** @type {{currentTarget: HTMLInputElement}} */ event) => {
    setText(event.currentTarget.value);
    setAt(0);
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    open(found[at]?.[0]);
  };
  return html`
    <${Dialog} title="Go to" close=${close}>
      <form onSubmit=${submit}>
        <input ref=${field} value=${text} onInput=${read} onKeyDown=${keys} autocomplete="off"
          role="combobox" aria-label="Page, or an id" placeholder="Page, or an id"
          aria-expanded="true" aria-controls=${id} aria-activedescendant=${found.length
            ? `${id}-${at}`
            : undefined} />
        <ul class="options" id=${id} role="listbox" aria-label="Places">${found.map((
          [to, words],
          index,
        ) =>
          html`
            <li id="${id}-${index}" role="option" aria-selected=${index === at}
              onClick=${() => open(to)}>${words}</li>
          `
        )}</ul>
        ${!found.length && html`<p class="quiet" role="status">Nothing matches.</p>`}
      </form>
      <//>
  `;
}

/** The addresses and titles that a text may mean: pages whose title has the text, or what has that id.
 * @param {string} text
 * @returns {[string, string][]} */
export function matches(text) {
  if (ID.test(text)) {
    const id = text.toUpperCase();
    return [
      [href("approvals", id), `Question ${text}`],
      ...BY_ID.filter(([page]) => may(page)).map((
        [page, noun],
      ) => /** @type {[string, string]} */ ([href(page, id), `${noun} ${text}`])),
    ];
  }
  if (DELIVERY.test(text) && may("webhooks")) {
    return [[href("deliveries", text.toLowerCase()), `Delivery ${text}`]];
  }
  return places().filter(({ title }) => title.toLowerCase().includes(text.toLowerCase()))
    .map(({ page, title }) => [href(page), title]);
}
