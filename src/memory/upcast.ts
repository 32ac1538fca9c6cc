import type { EventType } from "#/core/event.ts";
import { EVENT_PAYLOADS } from "#/memory/event_payload.ts";

/** For each kind the steps from version 1 to 2, from 2 to 3 and so on: each takes an old payload and gives the next one. */
export type Upcasts = { readonly [T in EventType]?: readonly ((payload: unknown) => unknown)[] };

/** Every kind is at version 1 so far. */
export const UPCASTS: Upcasts = {};

/** A payload of version `v` as the last version would have written it. Throws RangeError for a version that is not known. */
export function upcast(type: EventType, v: number, payload: unknown, upcasts: Upcasts = UPCASTS): unknown {
  const steps = upcasts[type] ?? [];
  if (!Number.isInteger(v) || v < 1 || v > steps.length + 1) throw new RangeError(`${type} has no version ${v}`);
  return steps.slice(v - 1).reduce((old, step) => step(old), payload);
}

/** Every kind and version that can be read, as `type:v`; only these types when given. */
export function knownKinds(types?: readonly EventType[], upcasts: Upcasts = UPCASTS): readonly string[] {
  const all = Object.keys(EVENT_PAYLOADS) as EventType[];
  const kinds = types === undefined ? all : all.filter((type) => types.includes(type));
  return kinds.flatMap((type) => [...upcasts[type] ?? [], null].map((_, index) => `${type}:${index + 1}`));
}
