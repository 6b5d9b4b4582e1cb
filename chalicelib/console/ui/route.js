// The address: #/<page>[/<id>][?filters]. Pages and filters stand in the fragment, which no server sees.
import { signal } from "./vendor/ui.js";

/** @typedef {{page: string, id: string, query: Record<string, string>}} Route */

/** Read the fragment of an address. A part that cannot be decoded stays as it stands.
 * @param {string} fragment
 * @returns {Route} */
export function parse(fragment) {
  const [path = "", search = ""] = fragment.replace(/^#?\/?/, "").split("?", 2);
  const [page = "", ...rest] = path.split("/");
  return {
    page,
    id: decoded(rest.join("/")),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Write an address; empty filters are left out.
 * @param {string} page
 * @param {string} [id]
 * @param {Record<string, string>} [query] */
export function href(page, id = "", query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value);
  const search = kept.length ? `?${new URLSearchParams(kept)}` : "";
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}${search}`;
}

export const route = signal(parse(""));

/** Follow the address of the window from now on. */
export function follow() {
  const read = () => (route.value = parse(location.hash));
  addEventListener("hashchange", read);
  read();
}

/** Go to an address.
 * @param {string} to */
export function go(to) {
  location.hash = to;
}
