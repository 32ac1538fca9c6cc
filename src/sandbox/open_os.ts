import { AppError } from "#/core/error.ts";
import { openLinuxOs } from "#/sandbox/os_linux.ts";
import type { Os } from "#/sandbox/os.ts";

/** File operations of this platform. Throws AppError `platform_unsupported` where none were proven. */
export function openOs(platform: string = Deno.build.os): Os {
  if (platform === "linux") return openLinuxOs();
  if (platform === "windows") {
    throw new AppError("platform_unsupported", "Tools do not run on Windows itself. Start this program inside WSL2.");
  }
  throw new AppError("platform_unsupported", `File tools are not available on ${platform} yet. Use Linux.`);
}
