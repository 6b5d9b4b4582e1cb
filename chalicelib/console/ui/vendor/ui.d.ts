/** A description of markup, made by `html`. */
export type VNode = { readonly type: unknown };
export type Child = VNode | VNode[] | string | number | boolean | null | undefined | Child[];
export interface Signal<T> {
  value: T;
  peek(): T;
}
export type Cleanup = void | (() => void);
export declare function html(strings: TemplateStringsArray, ...values: unknown[]): VNode;
export declare function render(node: VNode, into: Element): void;
export declare function signal<T>(value: T): Signal<T>;
export declare function computed<T>(compute: () => T): Readonly<Signal<T>>;
export declare function effect(run: () => Cleanup): () => void;
export declare function batch<T>(change: () => T): T;
export declare function useState<T>(
  initial: T | (() => T),
): [T, (next: T | ((before: T) => T)) => void];
export declare function useEffect(run: () => Cleanup, on?: unknown[]): void;
export declare function useLayoutEffect(run: () => Cleanup, on?: unknown[]): void;
export declare function useRef<T>(initial: T): { current: T };
export declare function useMemo<T>(make: () => T, on: unknown[]): T;
export declare function useId(): string;
export declare function useErrorBoundary(
  report?: (error: unknown) => void,
): [unknown, () => void];
