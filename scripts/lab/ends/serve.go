package main

import (
	"encoding/json"
	"io"
	"net"
	"sync"
	"time"
)

// serve opens every port and never returns, unless a port is taken.
func serve(_ []string) error {
	failed := make(chan error)
	start := func(run func() error) { go func() { failed <- run() }() }

	start(func() error { return listenHTTP(portHTTP, web()) })
	start(func() error { return listenHTTP(portControl, control()) })
	start(func() error { return listenUDP(portEcho, echoDatagram) })
	start(func() error { return listenUDP(portUDPSink, countDatagram) })
	for port, handle := range map[string]func(*net.TCPConn){
		portEcho:   echo,
		portSink:   sink,
		portSource: source,
		portReset:  reset,
		portDeaf:   deaf,
		portHalf:   half,
		portUrgent: urgent,
		portAbrupt: abrupt,
	} {
		start(func() error { return listenTCP(port, handle) })
	}
	return <-failed
}

func listenTCP(port string, handle func(*net.TCPConn)) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			handle(connection.(*net.TCPConn))
		}()
	}
}

func listenUDP(port string, handle func(socket net.PacketConn, datagram []byte, from net.Addr)) error {
	socket, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return err
	}
	socket.(*net.UDPConn).SetReadBuffer(8 << 20)
	buffer := make([]byte, 64<<10)
	for {
		size, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return err
		}
		handle(socket, buffer[:size], from)
	}
}

func echoDatagram(socket net.PacketConn, datagram []byte, from net.Addr) {
	socket.WriteTo(datagram, from)
}

// A plain copy loop: io.Copy would splice, and then urgent and short data take other paths in the kernel.
func echo(connection *net.TCPConn) {
	buffer := make([]byte, 64<<10)
	for {
		size, err := connection.Read(buffer)
		if _, failed := connection.Write(buffer[:size]); err != nil || failed != nil {
			return
		}
	}
}

type report struct {
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// finish ends an upload of zeros where the client cannot close its direction alone: a forwarded port cannot.
const finish = 1

func sink(connection *net.TCPConn) {
	started := time.Now()
	size := drain(connection)
	json.NewEncoder(connection).Encode(report{size, time.Since(started).Seconds()})
}

func drain(reader io.Reader) (size int64) {
	buffer := make([]byte, 256<<10)
	for {
		more, err := reader.Read(buffer)
		size += int64(more)
		if err != nil || buffer[more-1] == finish {
			return size
		}
	}
}

func source(connection *net.TCPConn) {
	zeros := make([]byte, 256<<10)
	for {
		if _, err := connection.Write(zeros); err != nil {
			return
		}
	}
}

// records keeps what the last odd connection of each kind brought, for the control port.
type records struct {
	sync.Mutex
	last map[string]any
}

var seen = records{last: map[string]any{}}

func (r *records) keep(kind string, value any) {
	r.Lock()
	defer r.Unlock()
	r.last[kind] = value
}

func (r *records) get(kind string) any {
	r.Lock()
	defer r.Unlock()
	return r.last[kind]
}
