#!/usr/bin/env node
// Runs the program in the package for this platform, which npm installs as an optional dependency of this one.
"use strict";

const { spawn } = require("node:child_process");

function libc() {
  if (process.platform !== "linux") return "";
  return process.report.getReport().header.glibcVersionRuntime ? "" : "-musl";
}

const platform = `${process.platform}-${process.arch}${libc()}`;
const name = `@softprobe/${platform}`;

function program() {
  try {
    return require.resolve(`${name}/bin/softprobe`);
  } catch {
    const { optionalDependencies = {} } = require("./package.json");
    const there = Object.keys(optionalDependencies).map((other) => other.replace("@softprobe/", ""));
    console.error(
      there.includes(platform)
        ? `softprobe: the package ${name} is missing; install again without leaving out optional dependencies ` +
            "(npm: --include=optional), and not from a lock file that was written for another platform alone"
        : `softprobe: there is no package for ${platform}, only for ${there.join(", ") || "none"}; ` +
            "with a Rust toolchain, build it from its repository: cargo install --path .",
    );
    process.exit(1);
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
child.on("error", (error) => {
  console.error(`softprobe: ${error.message}`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  if (signal === null) {
    process.exitCode = code;
    return;
  }
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
