package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strconv"
)

func listenHTTP(port string, handler http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := http.Server{Addr: ":" + port, Handler: handler, Protocols: protocols}
	return server.ListenAndServe()
}

func web() http.Handler {
	name, _ := os.Hostname()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(name + "\n")) })
	mux.HandleFunc("GET /bytes/{count}", sendBytes)
	mux.HandleFunc("POST /sha256", func(w http.ResponseWriter, r *http.Request) { answer(w, digestOf(r.Body)) })
	mux.HandleFunc("/request", func(w http.ResponseWriter, r *http.Request) { answer(w, describe(r, name)) })
	return mux
}

func sendBytes(w http.ResponseWriter, r *http.Request) {
	count, err := strconv.Atoi(r.PathValue("count"))
	if err != nil || count < 0 {
		http.Error(w, "how many bytes?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(count))
	zeros := make([]byte, 256<<10)
	for count > 0 {
		size, err := w.Write(zeros[:min(count, len(zeros))])
		if err != nil {
			return
		}
		count -= size
	}
}

func describe(r *http.Request, server string) map[string]any {
	peer, _, _ := net.SplitHostPort(r.RemoteAddr)
	return map[string]any{
		"method": r.Method, "path": r.URL.Path, "host": r.Host, "headers": r.Header, "protocol": r.Proto,
		"peer": peer, "server": server,
	}
}

func control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /udp", func(w http.ResponseWriter, r *http.Request) {
		run, _ := strconv.ParseUint(r.FormValue("run"), 10, 64)
		answer(w, runs.get(run))
	})
	mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) { answer(w, seen.get("half")) })
	mux.HandleFunc("GET /urgent", func(w http.ResponseWriter, _ *http.Request) { answer(w, seen.get("urgent")) })
	return mux
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}
