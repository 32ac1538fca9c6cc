/**
 * Never called. The literal imports put the entries of the other processes into the module graph of this file, and with it into
 * Deno's cache when the program runs from a URL (facts/packaging.md §1.5).
 */
export function nameEntries(): readonly (() => Promise<unknown>)[] {
  return [
    () => import("#/app/guest.ts"),
    () => import("#/app/model_probe.ts"),
    () => import("#/cli/client.ts"),
    () => import("#/cli/log_copier.ts"),
    () => import("#/cli/log_reader.ts"),
    () => import("#/cli/reread.ts"),
    () => import("#/provider/catalog_snapshot.json", { with: { type: "json" } }),
    () => import("#/runner/control_frames.ts"),
    () => import("#/runner/describe_start.ts"),
    () => import("#/runner/read_logs.ts"),
    () => import("#/runner/guest_box.ts"),
    () => import("#/runner/relay.ts"),
    () => import("#/runner/reload.ts"),
    () => import("#/runner/watch_files.ts"),
    () => import("#/sandbox/child.ts"),
    () => import("#/sandbox/component_inspect.ts"),
    () => import("#/sandbox/egress.ts"),
    () => import("#/sandbox/self_test_probe.ts"),
    () => import("#/sandbox/browser.ts"),
    () => import("#/sandbox/browser_plan.ts"),
    () => import("#/sandbox/browsers.ts"),
    () => import("#/sandbox/shell_rules.ts"),
    () => import("#/sandbox/shell_rules_process.ts"),
    () => import("#/sandbox/shells.ts"),
    () => import("#/sandbox/tier_bwrap.ts"),
    () => import("#/sandbox/tier_container.ts"),
    () => import("#/sandbox/tier_seatbelt.ts"),
    () => import("#/sandbox/tunnel_client.ts"),
    () => import("#/sandbox/tunnel_egress.ts"),
    () => import("#/sandbox/tunnel_forward.ts"),
    () => import("#/runner/find_browser.ts"),
    () => import("#/runner/shell_host.ts"),
    () => import("#/config/credential_refs.ts"),
  ];
}
