// A test written by hand, which `softprobe exec -- npx jest` gives a runtime and the service to.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const runtime = process.env.SOFTPROBE_RUNTIME_URL;
const captured = JSON.parse(readFileSync(join(__dirname, "..", "item.case.json"), "utf8"));
const noStock = {
  version: 1,
  rules: [
    {
      name: "stock",
      when: { host: "stock.example" },
      then: { action: "mock", response: { body: { left: 0 } } },
    },
  ],
};

async function call(url, body, headers = {}) {
  const options = { headers: { "content-type": "application/json", ...headers } };
  const answer = await fetch(url, body ? { ...options, method: "POST", body: JSON.stringify(body) } : options);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

test("an item that is sold out", async () => {
  const { sessionId } = await call(`${runtime}/v1/sessions`, { mode: "replay" });
  const session = `${runtime}/v1/sessions/${sessionId}`;
  try {
    await call(`${session}/load-case`, captured);
    await call(`${session}/policy`, { externalHttp: "strict" });
    await call(`${session}/rules`, noStock);
    const traced = { "x-softprobe-session-id": sessionId, tracestate: `x-softprobe-session-id=${sessionId}` };
    expect(await call(`${process.env.APP_URL}/http/7`, undefined, traced)).toEqual({ item: "7", left: 0 });
  } finally {
    await call(`${session}/close`, {});
  }
});
