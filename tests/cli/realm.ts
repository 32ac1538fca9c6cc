/** What a command finds around it, replaced for one test: environment, current folder and where it prints. */
import process from "node:process";

/** The stand-in, until it is disposed of. */
export interface Realm extends Disposable {
  readonly out: () => string;
  readonly err: () => string;
}

/**
 * Replaces what the code of this test file sees of its machine. Test files that run at the same time share one process, so nothing
 * of it may change for real; within a file tests run one after another.
 */
export function enterRealm(machine: { readonly cwd: string; readonly env: Readonly<Record<string, string>> }): Realm {
  const text = { out: "", err: "" };
  const to = (key: "out" | "err") => (...words: unknown[]) => {
    text[key] += words.map((word) => typeof word === "string" ? word : Deno.inspect(word)).join(" ") + "\n";
  };
  const write = (key: "out" | "err") =>
    ((chunk: string | Uint8Array) => {
      text[key] += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
      return true;
    }) as typeof process.stdout.write;
  const undo = [
    replace(Deno, "cwd", () => machine.cwd),
    replace(Deno.env, "toObject", () => ({ ...machine.env })),
    replace(Deno.env, "get", (name: string) => machine.env[name]),
    replace(console, "log", to("out")),
    replace(console, "error", to("err")),
    replace(process.stdout, "write", write("out")),
    replace(process.stderr, "write", write("err")),
  ];
  return {
    out: () => text.out,
    err: () => text.err,
    [Symbol.dispose]: () => undo.forEach((one) => one()),
  };
}

function replace<T extends object, K extends keyof T>(owner: T, name: K, value: T[K]): () => void {
  const before = owner[name];
  owner[name] = value;
  return () => void (owner[name] = before);
}
