/** `1 entry`, `2 entries`. Pure. */
export function toCount(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** A time in ms UTC to the minute, in this machine's time zone. */
export function toMinute(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16).replace("T", " ");
}
