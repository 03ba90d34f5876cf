// A service with two dependencies: tells how many of an item are left, and what it costs.
import http from "node:http";

const { STOCK, PRICES, DEFECT, PORT } = process.env;

// What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
function traced(headers) {
  return Object.fromEntries(["traceparent", "tracestate"].filter((name) => headers[name]).map((name) => [name, headers[name]]));
}

async function item(id, headers) {
  const stock = await fetch(`${STOCK}/items/${id}`, { headers });
  const price = await fetch(`${PRICES}/quotes`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ item: id, currency: DEFECT ? "USD" : "EUR" }),
  });
  const { left } = await stock.json();
  const { cents } = await price.json();
  return { item: id, left, cents: DEFECT ? cents + 1 : cents };
}

const server = http.createServer(async (request, response) => {
  try {
    const found = await item(request.url.split("/").pop(), traced(request.headers));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(found));
  } catch (error) {
    console.error(error);
    response.writeHead(502).end();
  }
});

server.listen(Number(PORT), "127.0.0.1");
