package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"slices"
	"time"
)

var errUsage = errors.New("which host?")

// hostAndOptions takes the host before or after the options.
func hostAndOptions(options *flag.FlagSet, arguments []string) (string, error) {
	options.Parse(arguments)
	if options.NArg() == 0 {
		return "", errUsage
	}
	host := options.Arg(0)
	options.Parse(options.Args()[1:])
	return host, nil
}

func flows(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("up or down?")
	}
	port, move := portSink, upload
	if arguments[0] == "down" {
		port, move = portSource, download
	}
	options := flag.NewFlagSet("flows", flag.ExitOnError)
	number := options.Int("n", 4, "how many at once")
	duration := options.Duration("t", 5*time.Second, "how long")
	host, err := hostAndOptions(options, arguments[1:])
	if err != nil {
		return err
	}
	results, errs := make(chan report), make(chan error)
	for range *number {
		go func() {
			result, err := move(net.JoinHostPort(host, port), *duration)
			if err != nil {
				errs <- err
				return
			}
			results <- result
		}()
	}
	return summarise(*number, results, errs)
}

func summarise(number int, results chan report, errs chan error) error {
	var bytes int64
	var seconds float64
	each := []report{}
	for range number {
		select {
		case result := <-results:
			bytes += result.Bytes
			seconds = max(seconds, result.Seconds)
			each = append(each, result)
		case err := <-errs:
			return err
		}
	}
	gbit := float64(bytes) * 8 / seconds / 1e9
	return printJSON(map[string]any{"bytes": bytes, "seconds": seconds, "gbit": gbit, "flows": each})
}

// upload counts what the sink says that it received, over the whole time until it said so.
func upload(address string, duration time.Duration) (result report, err error) {
	connection, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return result, err
	}
	defer connection.Close()
	started := time.Now()
	zeros := make([]byte, 256<<10)
	connection.SetWriteDeadline(started.Add(duration))
	for err == nil {
		_, err = connection.Write(zeros)
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		return result, err
	}
	connection.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err = connection.Write([]byte{finish}); err != nil {
		return result, err
	}
	err = json.NewDecoder(connection).Decode(&result)
	result.Seconds = time.Since(started).Seconds()
	return result, err
}

func download(address string, duration time.Duration) (result report, err error) {
	connection, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return result, err
	}
	defer connection.Close()
	started := time.Now()
	connection.SetReadDeadline(started.Add(duration))
	size := drain(connection)
	return report{size, time.Since(started).Seconds()}, nil
}

func rpc(arguments []string) error {
	options := flag.NewFlagSet("rpc", flag.ExitOnError)
	number := options.Int("n", 1000, "how many, one after the other")
	size := options.Int("size", 64, "bytes of request and of response")
	host, err := hostAndOptions(options, arguments)
	if err != nil {
		return err
	}
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(host, portEcho), 10*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	times := make([]float64, *number)
	message := make([]byte, *size)
	for index := range times {
		connection.SetDeadline(time.Now().Add(30 * time.Second))
		started := time.Now()
		if _, err := connection.Write(message); err != nil {
			return err
		}
		if _, err := io.ReadFull(connection, message); err != nil {
			return err
		}
		times[index] = float64(time.Since(started).Nanoseconds()) / 1e3
	}
	slices.Sort(times)
	return printJSON(map[string]any{
		"count": *number, "min_us": times[0], "p50_us": times[*number/2], "p99_us": times[*number*99/100],
	})
}
