// A modal dialog: the native element. Focus goes to its heading, and returns to what opened it.
import { html, useEffect, useId, useRef } from "../vendor/ui.js";

/** @param {{title: string, close?: () => void, children?: import("../vendor/ui.js").Child}} props without *close* the
 *   dialog stays until its owner takes it away */
export function Dialog({ title, close, children }) {
  const own = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    own.current?.showModal();
    own.current?.querySelector("h2")?.focus();
    return () => {
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    close?.();
  };
  return html`<dialog ref=${own} aria-labelledby=${id} onCancel=${cancel}>
    <header>
      <h2 id=${id} tabindex="-1">${title}</h2>
      ${close && html`<button class="plain" type="button" onClick=${close}>Close</button>`}
    </header>
    ${children}
  </dialog>`;
}
