# Runs the hooks of Python files for softprobe: line-delimited JSON on standard input and output.
import sys

# The working directory may have a file with the name of a module that is imported here.
sys.path = [folder for folder in sys.path if folder]

import asyncio
import concurrent.futures
import importlib.util
import inspect
import json
import os
import re
import select
import threading
import traceback

# Standard output carries only the replies; what hooks and the programs they start print goes to standard error.
replies = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
os.dup2(2, 1)
sys.stdout = sys.stderr
# Standard input carries the calls, so a hook that reads from it finds nothing.
calls, sys.stdin = sys.stdin, open(os.devnull)
writing = threading.Lock()


def end_with_the_runner():
    # Wakes up when nobody holds the other end of standard input any more, without reading from it.
    poll = select.poll()
    poll.register(calls.fileno(), select.POLLHUP)
    while not any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll()):
        pass
    os._exit(0)


def reply(message):
    line = json.dumps(message, allow_nan=False)
    with writing:
        replies.write(line + "\n")
        replies.flush()


def describe(error, file):
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if os.path.dirname(frame.filename) == os.path.dirname(file):
            return f"{text} ({os.path.basename(frame.filename)}:{frame.lineno})"
    return text


def load(number, file):
    stem = os.path.splitext(os.path.basename(file))[0]
    folder = os.path.dirname(file)
    if folder not in sys.path:
        # After the standard library, some of which is only imported later, and before what is installed.
        installed = (n for n, path in enumerate(sys.path) if path.endswith("-packages"))
        sys.path.insert(next(installed, len(sys.path)), folder)
    name = f"softprobe_hooks_{number}_{stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == name and not key.startswith("_")
    }


def snake(key):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower()


def call(function, payload):
    given = {snake(key): value for key, value in payload.items()}
    parameters = inspect.signature(function).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        wanted = {p.name for p in parameters}
        given = {key: value for key, value in given.items() if key in wanted}
    result = function(**given)
    if inspect.isawaitable(result):

        async def wait():
            return await result

        result = asyncio.run(wait())
    return result


# A message also has the hook's `kind`, which a function can tell from what it is given.
def answer(functions, message):
    file = message["file"]
    try:
        result = call(functions[file][message["hook"]], message["payload"])
        reply({"id": message["id"], "result": result})
    except BaseException as error:
        reply({"id": message["id"], "error": describe(error, file)})


def main():
    if hasattr(select, "poll"):
        threading.Thread(target=end_with_the_runner, daemon=True).start()
    functions, files = {}, []
    for number, file in enumerate(sys.argv[1:]):
        try:
            functions[file] = load(number, file)
            files.append({"file": file, "hooks": list(functions[file])})
        except BaseException as error:
            files.append({"file": file, "error": describe(error, file)})
    ready = {"ready": True, "files": files}
    failed = [f"{each['file']}: {each['error']}" for each in files if "error" in each]
    if failed:
        ready["error"] = "; ".join(failed)
    reply(ready)
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=64)
    for line in calls:
        if not line.strip():
            continue
        message = json.loads(line)
        if message.get("ping"):
            reply({"id": message["id"], "result": None})
        else:
            pool.submit(answer, functions, message)
    # No caller waits for calls that are still running.
    os._exit(0)


main()
