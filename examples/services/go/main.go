// Tells how many of an item are left, by one call to a stock service with Go's own client.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

var stock = "https://stock.example"

func main() {
	if given := os.Getenv("STOCK"); given != "" {
		stock = given
	}
	http.HandleFunc("/http/", func(w http.ResponseWriter, r *http.Request) {
		item := strings.TrimPrefix(r.URL.Path, "/http/")
		left, err := left(r, item)
		w.Header().Set("content-type", "application/json")
		if err != nil {
			log.Print(err)
			w.WriteHeader(http.StatusBadGateway)
			json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
			return
		}
		if os.Getenv("DEFECT") != "" {
			left++
		}
		json.NewEncoder(w).Encode(map[string]any{"item": item, "left": left})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func left(r *http.Request, item string) (int, error) {
	call, err := http.NewRequestWithContext(r.Context(), "GET", stock+"/items/"+item, nil)
	if err != nil {
		return 0, err
	}
	// What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
	for _, name := range []string{"traceparent", "tracestate"} {
		if value := r.Header.Get(name); value != "" {
			call.Header.Set(name, value)
		}
	}
	answer, err := http.DefaultClient.Do(call)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	var found struct{ Left int }
	if err := json.Unmarshal(body, &found); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", answer.Status, err, body)
	}
	return found.Left, nil
}
