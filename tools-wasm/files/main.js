// The only file with WIT imports: plain JavaScript, since no type checker resolves them. Everything else gets the host as a value.
import * as read from "oxydra:tool/fs-read";
import * as write from "oxydra:tool/fs-write";
import { toExports } from "../sdk/execute.ts";
import { IDENTITY, TOOLS } from "./tools.ts";

export const { describe, execute } = toExports(IDENTITY, TOOLS, {
  read,
  write,
});
