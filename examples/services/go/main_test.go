package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"testing"
)

const noStock = `{"version": 1, "rules": [{"name": "stock", "when": {"host": "stock.example"},
	"then": {"action": "mock", "response": {"body": {"left": 0}}}}]}`

// A test written by hand, which `softprobe exec -- go test ./...` gives a runtime and the service to.
func TestAnItemThatIsSoldOut(t *testing.T) {
	sessions := os.Getenv("SOFTPROBE_RUNTIME_URL") + "/v1/sessions"
	var opened struct{ SessionId string }
	call(t, "POST", sessions, `{"mode": "replay"}`, "", &opened)
	session := sessions + "/" + opened.SessionId
	defer call(t, "POST", session+"/close", "{}", "", nil)
	captured, err := os.ReadFile("../item.case.json")
	if err != nil {
		t.Fatal(err)
	}
	call(t, "POST", session+"/load-case", string(captured), "", nil)
	call(t, "POST", session+"/policy", `{"externalHttp": "strict"}`, "", nil)
	call(t, "POST", session+"/rules", noStock, "", nil)
	var found struct {
		Item string
		Left int
	}
	call(t, "GET", os.Getenv("APP_URL")+"/http/7", "", opened.SessionId, &found)
	if found.Item != "7" || found.Left != 0 {
		t.Errorf("the service answered %+v", found)
	}
}

func call(t *testing.T, method, url, body, session string, into any) {
	t.Helper()
	request, err := http.NewRequest(method, url, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("content-type", "application/json")
	if session != "" {
		request.Header.Set("x-softprobe-session-id", session)
		request.Header.Set("tracestate", "x-softprobe-session-id="+session)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, answer.Status)
	}
	if into != nil {
		if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
}
