"""Tells how many of an item are left, by one call to a stock service. The first part of the path says by which client:
/urllib needs nothing but Python; /requests, /httpx, /http2 (httpx's), /aiohttp, /unary and /stream (grpcio's) need packages."""

import http.server
import json
import os
import traceback
import urllib.request

STOCK = os.environ.get("STOCK", "https://stock.example") + "/items"


def with_urllib(url, headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return json.load(answer)


def with_requests(url, headers):
    import requests

    return requests.get(url, headers=headers).json()


def with_httpx(url, headers):
    import httpx

    return httpx.get(url, headers=headers).json()


def with_http2(url, headers):
    import httpx

    with httpx.Client(http2=True) as client:
        answer = client.get(url, headers=headers)
    if url.startswith("https:"):
        assert answer.http_version == "HTTP/2", answer.http_version
    return answer.json()


def with_aiohttp(url, headers):
    import asyncio

    import aiohttp

    async def get():
        async with aiohttp.ClientSession() as session:
            async with session.get(url, headers=headers) as answer:
                return await answer.json()

    return asyncio.run(get())


def stock_channel():
    import grpc

    scheme, host = os.environ.get("STOCK", "https://stock.example").split("://")
    if scheme == "http":
        return grpc.insecure_channel(f"{host}:80")
    return grpc.secure_channel(f"{host}:443", grpc.ssl_channel_credentials())


# The messages are plain text here; any other message is bytes to a proxy just as well.
def with_unary(url, headers):
    with stock_channel() as channel:
        get = channel.unary_unary("/stock.Stock/Get", str.encode, bytes.decode)
        return {"left": int(get(url.split("/")[-1], metadata=tuple(headers.items()), timeout=30))}


def with_stream(url, headers):
    with stock_channel() as channel:
        list_shelves = channel.unary_stream("/stock.Stock/ListShelves", str.encode, bytes.decode)
        shelves = list_shelves(url.split("/")[-1], metadata=tuple(headers.items()), timeout=30)
        return {"left": sum(int(shelf) for shelf in shelves)}


CLIENTS = {
    "urllib": with_urllib,
    "requests": with_requests,
    "httpx": with_httpx,
    "http2": with_http2,
    "aiohttp": with_aiohttp,
    "unary": with_unary,
    "stream": with_stream,
}


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, client, *item = self.path.split("/")
        if client not in CLIENTS:
            self.send_error(404)
            return
        # What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
        traced = {name: self.headers[name] for name in ("traceparent", "tracestate") if self.headers[name]}
        try:
            left = CLIENTS[client](f"{STOCK}/{item[0]}", traced)["left"]
            wrong = 1 if os.environ.get("DEFECT") else 0
            self.answer(200, {"item": item[0], "left": left + wrong})
        except Exception as error:
            traceback.print_exc()
            self.answer(502, {"error": str(error)})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop).serve_forever()
