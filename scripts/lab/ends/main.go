// ends is what stands at both ends of a connection in the end-to-end tests: servers with good and bad manners for the
// pods, measuring clients for the laptop.
//
//	ends serve
//
//	port  protocol  does
//	8080  HTTP      GET / the host's name; GET /bytes/N; POST /sha256 {bytes, sha256} of the body; ANY /request {method,
//	                path, host, headers, peer, server} as it arrived
//	7007  TCP, UDP  echo (datagrams up to 65507 bytes)
//	7008  TCP       sink: reads to the end, or to a byte 1 as the last, then says {bytes, seconds}
//	7009  TCP       source: zeros until the client goes
//	7010  UDP       sink: counts datagrams by their first eight bytes, the run; counts are at the control port
//	7011  HTTP      control: GET /udp?run=N {packets, bytes}; GET /half, /urgent: what the last such connection brought
//	7012  TCP       reset: accepts, and resets as soon as anything arrives
//	7013  TCP       deaf: accepts and never reads, so its window closes
//	7014  TCP       half: says "bye", closes its direction, reads on to the end; /half {bytes, sha256}
//	7015  TCP       urgent: reads to the end and keeps urgent data apart; /urgent {plain, urgent}
//	7016  TCP       abrupt: resets before the client has said anything
//
//	ends flows up|down HOST [-n 4] [-t 5s]          {bytes, seconds, gbit, flows}
//	ends rpc HOST [-n 1000] [-size 64]              {count, min_us, p50_us, p99_us}
//	ends udp HOST [-mbit 100] [-size 1200] [-t 5s]  {sent, received, lost, gbit}; -mbit 0 as fast as it goes
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

const (
	portEcho    = "7007"
	portSink    = "7008"
	portSource  = "7009"
	portUDPSink = "7010"
	portControl = "7011"
	portReset   = "7012"
	portDeaf    = "7013"
	portHalf    = "7014"
	portUrgent  = "7015"
	portAbrupt  = "7016"
	portHTTP    = "8080"
)

var commands = map[string]func(arguments []string) error{
	"serve": serve,
	"flows": flows,
	"rpc":   rpc,
	"udp":   udp,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: ends serve | flows up|down HOST | rpc HOST | udp HOST")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "ends:", err)
		os.Exit(1)
	}
}

func printJSON(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
