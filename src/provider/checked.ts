import { type Protocol, toHost } from "#/provider/base_url.ts";
import { withFitted } from "#/provider/fitted.ts";
import { withOwnReplay } from "#/provider/own_replay.ts";
import type { WarmProvider } from "#/provider/warm_provider.ts";

/** A provider whose requests are checked against their model before they are sent, and have of earlier replies what this address asked for. */
export function checked(provider: WarmProvider, protocol: Protocol, baseUrl: string | undefined): WarmProvider {
  return withFitted(withOwnReplay(provider, toHost(baseUrl, protocol)), protocol);
}
