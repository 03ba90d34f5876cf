"""Tells how many of an item are left, by one call to a stock service with a program: /curl or /wget."""

import http.server
import json
import os
import subprocess

STOCK = os.environ.get("STOCK", "https://stock.example") + "/items"


def with_curl(url, headers):
    return ["curl", "--silent", "--show-error", *(word for h in headers for word in ("--header", h)), url]


def with_wget(url, headers):
    return ["wget", "--quiet", "--output-document=-", *(f"--header={h}" for h in headers), url]


CLIENTS = {"curl": with_curl, "wget": with_wget}


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, client, item = self.path.split("/")
        # What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
        traced = [f"{name}: {self.headers[name]}" for name in ("traceparent", "tracestate") if self.headers[name]]
        call = subprocess.run(CLIENTS[client](f"{STOCK}/{item}", traced), stdout=subprocess.PIPE)
        if call.returncode == 0:
            wrong = 1 if os.environ.get("DEFECT") else 0
            status, body = 200, {"item": item, "left": json.loads(call.stdout)["left"] + wrong}
        else:
            status, body = 502, {"error": f"exit status {call.returncode}"}
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop).serve_forever()
