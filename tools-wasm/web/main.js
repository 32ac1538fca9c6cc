// The only file with WIT imports: plain JavaScript, since no type checker resolves them. Everything else gets the host as a value.
import * as config from "oxydra:tool/config";
import * as http from "oxydra:tool/http";
import * as log from "oxydra:tool/log";
import * as random from "oxydra:tool/random";
import { toExports } from "../sdk/execute.ts";
import { IDENTITY, TOOLS } from "./tools.ts";

export const { describe, execute } = toExports(IDENTITY, TOOLS, {
  http,
  config,
  random,
  log,
});
