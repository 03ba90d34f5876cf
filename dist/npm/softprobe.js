#!/usr/bin/env node
// Runs the program in the package for this platform, which npm installs as an optional dependency of this one.
"use strict";

const { spawn } = require("node:child_process");

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

for (const signal of ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    // A terminal sends these two to the program as well.
    const isSent = process.stdin.isTTY && ["SIGINT", "SIGQUIT"].includes(signal);
    if (!isSent) child.kill(signal);
  });
}
child.on("error", (error) => fail(isMusl() ? `${error.message}: the program needs glibc, not musl` : error.message));
child.on("exit", (code, signal) => {
  if (signal === null) {
    process.exitCode = code;
    return;
  }
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
