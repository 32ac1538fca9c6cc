import type { GuestTool } from "../sdk/execute.ts";
import type { WebHost } from "../sdk/host.ts";
import { fetchPage } from "./fetch.ts";
import { searchWeb } from "./search.ts";

/** What `describe` says. */
export const IDENTITY = { name: "web", version: "0.1.0" };

/** Every tool of this component, by the name that the model uses. */
export const TOOLS: Record<string, GuestTool<WebHost>> = {
  web_fetch: fetchPage,
  web_search: searchWeb,
};
