// What the console takes from its packages. scripts/vendor bundles this into ui.js.
import { h } from "preact";
import htm from "htm";

export { render } from "preact";
export {
  useEffect,
  useErrorBoundary,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "preact/hooks";
export { batch, computed, effect, signal } from "@preact/signals";
export const html = htm.bind(h);
