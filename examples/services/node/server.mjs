// Tells how many of an item are left, by one call to a stock service. The first part of the path says by which client:
// /fetch, /http, /agent and /subclass need nothing but Node; /axios, /undici, /got and /node-fetch need those packages.
import http from "node:http";
import https from "node:https";

const STOCK = `${process.env.STOCK ?? "https://stock.example"}/items`;
// Node has a module for each of the two.
const { Agent, request: call } = STOCK.startsWith("https:") ? https : http;

const agent = new Agent({ keepAlive: true });

// As agentkeepalive and others do that look after their connections.
class Subclass extends Agent {
  createConnection(options, done) {
    return super.createConnection(options, done);
  }
}

const subclass = new Subclass();

function get(url, options) {
  return new Promise((resolve, reject) => {
    const sent = call(url, options, (answer) => {
      let text = "";
      answer.on("data", (part) => (text += part));
      answer.on("end", () => resolve(JSON.parse(text)));
    });
    sent.on("error", reject);
    sent.end();
  });
}

const clients = {
  fetch: async (url, headers) => (await fetch(url, { headers })).json(),
  http: (url, headers) => get(url, { headers }),
  agent: (url, headers) => get(url, { headers, agent }),
  subclass: (url, headers) => get(url, { headers, agent: subclass }),
  axios: async (url, headers) => (await (await import("axios")).default.get(url, { headers })).data,
  undici: async (url, headers) => (await (await import("undici")).request(url, { headers })).body.json(),
  got: async (url, headers) => (await import("got")).default(url, { headers }).json(),
  "node-fetch": async (url, headers) => (await (await import("node-fetch")).default(url, { headers })).json(),
};

// What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
function traced(headers) {
  return Object.fromEntries(["traceparent", "tracestate"].filter((name) => headers[name]).map((name) => [name, headers[name]]));
}

const server = http.createServer(async (request, response) => {
  const [, client, item] = request.url.split("/");
  if (!clients[client]) {
    response.writeHead(404).end();
    return;
  }
  try {
    const { left } = await clients[client](`${STOCK}/${item}`, traced(request.headers));
    const wrong = process.env.DEFECT ? 1 : 0;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ item, left: left + wrong }));
  } catch (error) {
    console.error(error);
    response.writeHead(502, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: String(error) }));
  }
});

server.listen(Number(process.env.PORT), "127.0.0.1", () => console.log(`listening on ${process.env.PORT}`));
