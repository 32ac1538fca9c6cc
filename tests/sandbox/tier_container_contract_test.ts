import { testTier } from "../contract/tier_contract.ts";
import { hasRunsc, whyNoEngine } from "../fixture/engine.ts";
import { withContainers } from "./container_kit.ts";

const ignore = whyNoEngine() !== undefined;

testTier("ContainerTier on dockerd", (body) => withContainers(body), { ignore });
testTier("ContainerTier on dockerd, of a user who is not root,", (body) => withContainers(body, { owner: 1001 }), {
  ignore,
});
testTier("ContainerTier as micro_vm on gVisor", (body) => withContainers(body, { name: "micro_vm" }), {
  ignore: ignore || !hasRunsc(),
  // gVisor takes RLIMIT_CPU and does nothing about it (measured: it ran on for two minutes).
  skip: ["what computes for too long ends"],
});
testTier("ContainerTier on Podman", (body) => withContainers(body, { kind: "podman" }), {
  ignore: whyNoEngine("podman") !== undefined,
  // Podman 4.3 sets `container` and HOSTNAME whatever it is asked for (measured): neither tells anything of the host.
  skip: ["the environment is the spec's and four names more, whatever a value holds"],
});
