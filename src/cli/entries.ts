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
    () => import("#/sandbox/tunnel_egress.ts"),
    () => import("#/sandbox/shell_rules_process.ts"),
  ];
}
