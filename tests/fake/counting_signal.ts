/** A signal that counts its listeners: who leaves one behind on a long-lived signal leaks. */
export function countingSignal(): { readonly control: AbortController; readonly listeners: () => number } {
  const control = new AbortController();
  const { signal } = control;
  let count = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<AbortSignal["addEventListener"]>) => {
    count++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<AbortSignal["removeEventListener"]>) => {
    count--;
    remove(...args);
  };
  return { control, listeners: () => count };
}
