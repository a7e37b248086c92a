package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"syscall"
	"time"
	"unsafe"
)

// reset waits for the first byte, so that the client has surely seen the connection open.
func reset(connection *net.TCPConn) {
	connection.Read(make([]byte, 1))
	abrupt(connection)
}

func abrupt(connection *net.TCPConn) {
	connection.SetLinger(0)
}

func deaf(connection *net.TCPConn) {
	connection.SetReadBuffer(16 << 10)
	for alive(connection) {
		time.Sleep(100 * time.Millisecond)
	}
}

// alive asks for the state of the connection without reading from it.
func alive(connection *net.TCPConn) bool {
	const established = 1
	raw, err := connection.SyscallConn()
	if err != nil {
		return false
	}
	state := byte(0)
	raw.Control(func(socket uintptr) {
		info, err := syscall.GetsockoptInt(int(socket), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		if err == nil {
			state = byte(info) // the first member
		}
	})
	return state == established
}

type digest struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func digestOf(reader io.Reader) digest {
	hash := sha256.New()
	size, _ := io.Copy(hash, reader)
	return digest{size, hex.EncodeToString(hash.Sum(nil))}
}

func half(connection *net.TCPConn) {
	connection.Write([]byte("bye\n"))
	connection.CloseWrite()
	seen.keep("half", digestOf(connection))
}

type urgency struct {
	Plain  string `json:"plain"`
	Urgent string `json:"urgent"`
}

// urgent takes urgent data in line and asks before each piece whether it is the one: out of line, a byte that nobody has
// fetched yet is lost as soon as the data behind it is read.
func urgent(connection *net.TCPConn) {
	raw, err := connection.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(socket uintptr) {
		syscall.SetsockoptInt(int(socket), syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1)
	})
	var got urgency
	for more := true; more; {
		raw.Read(func(socket uintptr) bool {
			more, err = got.take(int(socket))
			return err != syscall.EAGAIN
		})
		seen.keep("urgent", got)
	}
}

func (u *urgency) take(socket int) (more bool, err error) {
	const atMarkRequest = 0x8905 // SIOCATMARK
	var atMark int32
	syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), atMarkRequest, uintptr(unsafe.Pointer(&atMark)))
	buffer, text := make([]byte, 4096), &u.Plain
	if atMark != 0 {
		buffer, text = buffer[:1], &u.Urgent
	}
	size, _, err := syscall.Recvfrom(socket, buffer, syscall.MSG_DONTWAIT)
	if err == nil {
		*text += string(buffer[:size])
	}
	return size > 0 || err == syscall.EAGAIN, err
}
