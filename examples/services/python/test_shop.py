"""A test written by hand, which `softprobe exec -- pytest` gives a runtime and the service to."""

import json
import os
import pathlib
import urllib.request

RUNTIME = os.environ["SOFTPROBE_RUNTIME_URL"]
CASE = pathlib.Path(__file__).parent.parent / "item.case.json"
NO_STOCK = {
    "version": 1,
    "rules": [
        {
            "name": "stock",
            "when": {"host": "stock.example"},
            "then": {"action": "mock", "response": {"body": {"left": 0}}},
        }
    ],
}


def call(url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", **headers}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)


def test_an_item_that_is_sold_out():
    session = call(f"{RUNTIME}/v1/sessions", {"mode": "replay"})["sessionId"]
    try:
        call(f"{RUNTIME}/v1/sessions/{session}/load-case", json.loads(CASE.read_text()))
        call(f"{RUNTIME}/v1/sessions/{session}/policy", {"externalHttp": "strict"})
        call(f"{RUNTIME}/v1/sessions/{session}/rules", NO_STOCK)
        traced = {"x-softprobe-session-id": session, "tracestate": f"x-softprobe-session-id={session}"}
        answer = call(f"{os.environ['APP_URL']}/urllib/7", **traced)
        assert answer == {"item": "7", "left": 0}
    finally:
        call(f"{RUNTIME}/v1/sessions/{session}/close", {})
