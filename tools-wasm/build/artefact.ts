/** One file of an artefact: hex sha256 of its bytes, and the bytes as base64 of gzip. */
export interface PackedFile {
  readonly name: string;
  readonly sha256: string;
  readonly gz: string;
}

/** What is committed: the component, and the form that runs without a transpiler. */
export interface Artefact {
  readonly package: string;
  readonly version: string;
  readonly world: string;
  /** WIT interfaces, without versions, as the glue asks for them. */
  readonly imports: readonly string[];
  readonly component: { readonly sha256: string; readonly gz: string };
  readonly files: readonly PackedFile[];
}

/** The committed text of an artefact. */
export function toText(artefact: Artefact): string {
  return `${JSON.stringify(artefact, null, 1)}\n`;
}

/** Hash and packed form of some bytes. The gzip head of the platform holds no time, so equal bytes give equal text. */
export async function pack(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<{ sha256: string; gz: string }> {
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
    .toHex();
  const stream = new Blob([bytes]).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  return { sha256, gz: (await new Response(stream).bytes()).toBase64() };
}

/** Names of the parts in which two artefacts differ; empty when they are equal. */
export function differences(a: Artefact, b: Artefact): string[] {
  const names = new Set([...a.files, ...b.files].map((file) => file.name));
  const parts = [...names].filter((name) => hashOf(a, name) !== hashOf(b, name));
  if (a.component.sha256 !== b.component.sha256) parts.unshift("component");
  const head = (it: Artefact) => JSON.stringify([it.package, it.version, it.world, it.imports]);
  if (head(a) !== head(b)) parts.unshift("head");
  return parts.length === 0 && toText(a) !== toText(b) ? ["packing"] : parts;
}

function hashOf(artefact: Artefact, name: string): string | undefined {
  return artefact.files.find((file) => file.name === name)?.sha256;
}
