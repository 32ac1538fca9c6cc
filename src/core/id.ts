/** A user id: also a folder name, so nothing else is accepted (DESIGN, "User ids"). */
export const USER_ID = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/**
 * UUIDv7 (RFC 9562 §5.7): 48 bits of ms UTC, then randomness, so that ids sort by time.
 * `now` is integer ms UTC; `random` fills bytes and defaults to the platform's.
 */
export function uuidv7(
  now: number,
  random: (bytes: Uint8Array<ArrayBuffer>) => void = (b) => void crypto.getRandomValues(b),
): string {
  const bytes = new Uint8Array(16);
  random(bytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(now / 2 ** 32));
  view.setUint32(2, now >>> 0);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toHex();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
