// Runs the hooks of JavaScript and TypeScript files for softprobe: line-delimited JSON on standard input
// and output.
import { createInterface } from "node:readline";
import { basename, dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

// A hook may block this thread. Another one notices that the runner is gone, and ends the process.
const watch = `
  const runner = process.ppid;
  setInterval(() => process.ppid === runner || process.kill(process.pid, "SIGKILL"), 500);
`;
new Worker(watch, { eval: true }).unref();

// Standard output carries only the replies; what hooks print goes to standard error.
const replies = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

// An integer that no number holds exactly is a BigInt here. In JSON text it is marked, since JSON knows no BigInt.
const mark = "\uF8FFbigint:";
const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
const isLarge = (token) => /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token));

function parse(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const marked = text.replace(tokens, (token) => (isLarge(token) ? `"${mark}${token}"` : token));
  const unmark = (_, value) =>
    typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value;
  return JSON.parse(marked, unmark);
}

// What JSON would leave out or change without a word is an error.
function member(key, value) {
  if (typeof value === "bigint") return mark + value;
  const kind = typeof value === "object" ? value?.constructor?.name : typeof value;
  const isLost = ["function", "symbol", "Map", "Set"].includes(kind);
  if (isLost || (kind === "number" && !Number.isFinite(value))) {
    const place = key === "result" ? "" : ` at \`${key}\``;
    throw `its result has ${kind === "number" ? value : `a ${kind}`}${place}, which is no JSON`;
  }
  return value;
}

function stringify(value) {
  const text = JSON.stringify(value, member);
  return text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1");
}

// Something else may have written to it without ending its line.
const reply = (message) => replies("\n" + stringify(message) + "\n");

function describe(error, file) {
  if (!(error instanceof Error)) return String(error);
  const text = `${error.name}: ${error.message}`;
  const folders = [pathToFileURL(dirname(file)).href, dirname(file)];
  const isOwn = (line) => folders.some((folder) => line.includes(folder + "/"));
  const place = (error.stack ?? "").split("\n").find(isOwn)?.match(/([^/]+:\d+):\d+\)?$/);
  return place ? `${text} (${place[1]})` : text;
}

async function load(file) {
  if (/\.m?ts$/.test(file) && !process.features.typescript) {
    throw `${basename(file)} is TypeScript, but this Node (${process.version}) does not strip types; ` +
      "use Node 22.6 or later (set SOFTPROBE_NODE to its path)";
  }
  const module = await import(pathToFileURL(file).href);
  const isFunction = ([, value]) => typeof value === "function";
  const functions = Object.entries(module).filter(isFunction);
  // A CommonJS module's exports are the members of its default export.
  const inner = module.default;
  if (inner && typeof inner === "object") {
    functions.push(...Object.entries(inner).filter(isFunction));
  }
  return new Map(functions);
}

const functions = new Map();

// A message also has the hook's `kind`, which a function can tell from what it is given.
async function answer(message) {
  const { id, hook, file, payload } = message;
  try {
    const result = (await functions.get(file).get(hook)(payload)) ?? null;
    reply({ id, result });
  } catch (error) {
    reply({ id, error: describe(error, file) });
  }
}

const files = [];
for (const file of process.argv.slice(1)) {
  try {
    functions.set(file, await load(file));
    files.push({ file, hooks: [...functions.get(file).keys()] });
  } catch (error) {
    files.push({ file, error: describe(error, file) });
  }
}
const failed = files.filter((each) => each.error).map((each) => `${each.file}: ${each.error}`);
reply({ ready: true, files, ...(failed.length > 0 && { error: failed.join("; ") }) });

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on("line", (line) => {
  if (!line.trim()) return;
  const message = parse(line);
  if (message.ping) reply({ id: message.id, result: null });
  else answer(message);
});
// No caller waits for calls that are still running.
lines.on("close", () => process.exit(0));
