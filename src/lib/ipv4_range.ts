/** True when `address` is an IPv4 literal inside the CIDR range. Pure. */
export function isInRange(address: string, range: string): boolean {
  const value = toUint32(address);
  const [base = "", bits = "32"] = range.split("/");
  const start = toUint32(base);
  if (value === null || start === null) return false;
  const mask = bits === "0" ? 0 : (0xffffffff << (32 - Number(bits))) >>> 0;
  return ((value & mask) >>> 0) === ((start & mask) >>> 0);
}

function toUint32(address: string): number | null {
  const parts = address.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return null;
  return parts.reduce((sum, part) => (sum * 256 + Number(part)) >>> 0, 0);
}
