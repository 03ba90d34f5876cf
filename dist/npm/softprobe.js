#!/usr/bin/env node
// Runs the program in the package for this platform, which npm installs as an optional dependency of this one.
"use strict";

const { spawn } = require("node:child_process");
const os = require("node:os");
const tty = require("node:tty");

const platform = `${process.platform}-${process.arch}`;
const name = `@softprobe/${platform}`;

function fail(why) {
  console.error(`softprobe: ${why}`);
  process.exit(1);
}

function isMusl() {
  if (process.platform !== "linux") return false;
  process.report.excludeNetwork = true;
  return !process.report.getReport().header.glibcVersionRuntime;
}

function program() {
  try {
    return require.resolve(`${name}/bin/softprobe`);
  } catch {
    const { optionalDependencies = {} } = require("./package.json");
    const packages = Object.keys(optionalDependencies);
    if (isMusl()) fail("the program needs glibc, which Alpine and other systems with musl do not have; use an image based on Debian");
    if (packages.includes(name)) {
      fail(
        `the package ${name} is missing; install again without leaving out optional dependencies ` +
          "(npm: --include=optional), and not from a lock file that was written for another platform alone",
      );
    }
    return fail(
      `there is no package for ${platform}, only ${packages.join(", ") || "none"}; ` +
        "with a Rust toolchain, build it from its repository: cargo install --path .",
    );
  }
}

const child = spawn(program(), process.argv.slice(2), { stdio: "inherit" });
const onTerminal = [0, 1, 2].some((descriptor) => tty.isatty(descriptor));

for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP", "SIGTERM"]) {
  process.on(signal, () => {
    // A terminal sends the others to the program as well, which takes a second one for impatience.
    if (!onTerminal || signal === "SIGTERM") child.kill(signal);
  });
}
child.on("error", (error) => fail(isMusl() ? `${error.message}: the program needs glibc, not musl` : error.message));
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + os.constants.signals[signal];
});
