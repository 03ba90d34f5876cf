"""A service with two dependencies: tells how many of an item are left, and what it costs."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

STOCK = os.environ["STOCK"]
PRICES = os.environ["PRICES"]
DEFECT = bool(os.environ.get("DEFECT"))


def call(url, headers, body=None):
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers = {**headers, "content-type": "application/json"}
    with urlopen(Request(url, data=data, headers=headers), timeout=30) as answer:
        return json.load(answer)


def item(number, headers):
    stock = call(f"{STOCK}/items/{number}", headers)
    currency = "USD" if DEFECT else "EUR"
    price = call(f"{PRICES}/quotes", headers, {"item": number, "currency": currency})
    return {"item": number, "left": stock["left"], "cents": price["cents"] + DEFECT}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
        names = ("traceparent", "tracestate")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        body = json.dumps(item(self.path.rsplit("/", 1)[-1], headers)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
