/** `1 model`, `2 models`; `many` where it is not `one` with an s. Pure. */
export function toCount(n: number, one: string, many: string = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** A time in ms UTC to the minute, in this machine's time zone. */
export function toMinute(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16).replace("T", " ");
}
