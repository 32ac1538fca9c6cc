import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { findProgram } from "#/runner/program.ts";
import { SRC } from "../fixture/source_tree.ts";

Deno.test("findProgram() knows where a file of it lies and which Deno runs", () => {
  const program = findProgram(`${pathToFileURL(SRC).href}/runner/program.ts`);
  assert.equal(program.srcUrl, `${pathToFileURL(SRC).href}/`);
  assert.equal(program.source, "file");
  assert.equal(program.denoPath, Deno.realPathSync(Deno.execPath()));
  if (program.setprivPath !== null) assert.ok(Deno.statSync(program.setprivPath).isFile);
});

Deno.test("findProgram() takes what came over the network for a program from a URL", () => {
  for (const origin of ["http://127.0.0.1:8000", "https://oxydra.example"]) {
    const { srcUrl, source } = findProgram(`${origin}/v1/src/cli/launch.ts`);
    assert.deepEqual([srcUrl, source], [`${origin}/v1/src/`, "url"]);
  }
});
