package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Datagrams of one sender begin with its run number, so that several can be counted at the same time.
type tally struct {
	Packets int64 `json:"packets"`
	Bytes   int64 `json:"bytes"`
}

type tallies struct {
	sync.Mutex
	runs map[uint64]tally
}

var runs = tallies{runs: map[uint64]tally{}}

func (t *tallies) count(run uint64, size int) {
	t.Lock()
	defer t.Unlock()
	now := t.runs[run]
	t.runs[run] = tally{now.Packets + 1, now.Bytes + int64(size)}
}

func (t *tallies) get(run uint64) tally {
	t.Lock()
	defer t.Unlock()
	return t.runs[run]
}

func countDatagram(_ net.PacketConn, datagram []byte, _ net.Addr) {
	if len(datagram) >= 8 {
		runs.count(binary.BigEndian.Uint64(datagram), len(datagram))
	}
}

// udp sends datagrams at a rate, and then asks the control port how many came.
func udp(arguments []string) error {
	options := flag.NewFlagSet("udp", flag.ExitOnError)
	megabits := options.Float64("mbit", 100, "rate, 0: as fast as it goes")
	size := options.Int("size", 1200, "bytes of a datagram")
	duration := options.Duration("t", 5*time.Second, "how long")
	host, err := hostAndOptions(options, arguments)
	if err != nil {
		return err
	}
	if *size < 8 || *size > 65507 {
		return errors.New("a datagram has 8 to 65507 bytes")
	}
	connection, err := net.Dial("udp", net.JoinHostPort(host, portUDPSink))
	if err != nil {
		return err
	}
	run := rand.Uint64()
	datagram := binary.BigEndian.AppendUint64(nil, run)
	datagram = append(datagram, make([]byte, *size-len(datagram))...)
	sent, seconds := pace(connection, datagram, *megabits*1e6/8, *duration)
	received, err := settled(host, run)
	if err != nil {
		return err
	}
	return printJSON(map[string]any{
		"sent": sent, "received": received.Packets, "lost": sent - received.Packets, "seconds": seconds,
		"gbit": float64(received.Bytes) * 8 / seconds / 1e9,
	})
}

func pace(connection net.Conn, datagram []byte, rate float64, duration time.Duration) (sent int64, seconds float64) {
	started := time.Now()
	for time.Since(started) < duration {
		if rate > 0 {
			due := time.Duration(float64(sent) * float64(len(datagram)) / rate * 1e9)
			time.Sleep(due - time.Since(started))
		}
		if _, err := connection.Write(datagram); err == nil {
			sent++
		}
	}
	return sent, time.Since(started).Seconds()
}

// settled reads the count until it no longer grows.
func settled(host string, run uint64) (now tally, err error) {
	before := int64(-1)
	for now.Packets != before {
		before = now.Packets
		time.Sleep(300 * time.Millisecond)
		if now, err = count(host, run); err != nil {
			return now, err
		}
	}
	return now, nil
}

func count(host string, run uint64) (now tally, err error) {
	query := "?run=" + strconv.FormatUint(run, 10)
	response, err := http.Get("http://" + net.JoinHostPort(host, portControl) + "/udp" + query)
	if err != nil {
		return now, err
	}
	defer response.Body.Close()
	return now, json.NewDecoder(response.Body).Decode(&now)
}
