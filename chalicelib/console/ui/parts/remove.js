// A button that ends or forgets one thing at once, as it can be made anew.
import { html } from "../vendor/ui.js";
import { act, Problem } from "../api.js";
import { refresh } from "../live.js";
import { ShowCall } from "./call.js";
import { toast } from "./toast.js";

/** @param {{words: string, name: string, path: string}} props */
export function Remove({ words, name, path }) {
  const remove = async () => {
    try {
      await act(name, "DELETE", path);
      toast("Done");
    } catch (error) {
      toast(error instanceof Problem ? error.message : String(error));
    }
    refresh();
  };
  return html`
    <button type="button" class="plain danger" onClick=${remove}>${words}</button>
    <${ShowCall} name=${name} would=${{ method: "DELETE", path }} />
  `;
}
