package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/containerd/console"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// wanted are the streams that a request names.
type wanted interface {
	GetStdin() bool
	GetStdout() bool
	GetStderr() bool
	GetTty() bool
}

// attach copies the streams of a program until they end, and returns its status.
func attach(url string, want wanted) (int, error) {
	conn, err := dial(url, "v4.channel.k8s.io")
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	end, err := open(conn, "error")
	if err != nil {
		return 0, err
	}
	if want.GetStdin() {
		stream, err := open(conn, "stdin")
		if err != nil {
			return 0, err
		}
		go func() {
			_, _ = io.Copy(stream, os.Stdin)
			_ = stream.Close() // this direction only
		}()
	}
	copied := make(chan error, 2)
	outputs := 0
	for name, to := range outputsOf(want) {
		stream, err := open(conn, name)
		if err != nil {
			return 0, err
		}
		outputs++
		go func() {
			_, err := io.Copy(to, stream)
			copied <- err
		}()
	}
	if want.GetTty() {
		restore, err := lend(conn)
		if err != nil {
			return 0, err
		}
		defer restore()
	}
	for range outputs {
		if err := <-copied; err != nil {
			return 0, err
		}
	}
	return exitStatus(end)
}

func outputsOf(want wanted) map[string]io.Writer {
	outputs := map[string]io.Writer{}
	if want.GetStdout() {
		outputs["stdout"] = os.Stdout
	}
	if want.GetStderr() {
		outputs["stderr"] = os.Stderr
	}
	return outputs
}

// lend gives the program the use of our terminal: its size, now and whenever it
// changes, and each key.
func lend(conn httpstream.Connection) (restore func(), err error) {
	terminal, err := console.ConsoleFromFile(os.Stdin)
	if err != nil {
		return nil, err
	}
	if err := terminal.SetRaw(); err != nil {
		return nil, err
	}
	stream, err := open(conn, "resize")
	if err != nil {
		return nil, err
	}
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	changed <- syscall.SIGWINCH
	go func() {
		for range changed {
			if size, err := terminal.Size(); err == nil {
				_ = json.NewEncoder(stream).Encode(map[string]uint16{"Width": size.Width, "Height": size.Height})
			}
		}
	}()
	return func() { _ = terminal.Reset() }, nil
}

// exitStatus is what the server says in the end, as a Status of Kubernetes.
func exitStatus(end io.Reader) (int, error) {
	var said struct {
		Status, Message, Reason string
		Details                 struct {
			Causes []struct{ Reason, Message string }
		}
	}
	switch err := json.NewDecoder(end).Decode(&said); {
	case errors.Is(err, io.EOF), err == nil && said.Status == "Success":
		return 0, nil
	case err != nil:
		return 0, err
	}
	if said.Reason == "NonZeroExitCode" && len(said.Details.Causes) == 1 {
		return strconv.Atoi(said.Details.Causes[0].Message)
	}
	return 0, errors.New(said.Message)
}

// forward copies between our streams and a port of a pod.
func forward(url string, ports []int32) error {
	if len(ports) != 1 {
		return errors.New("one port at a time")
	}
	conn, err := dial(url, "portforward.k8s.io")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	port := http.Header{"Port": {strconv.Itoa(int(ports[0]))}, "Requestid": {"0"}}
	end, err := openWith(conn, "error", port)
	if err != nil {
		return err
	}
	data, err := openWith(conn, "data", port)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(data, os.Stdin)
		_ = data.Close() // this direction only
	}()
	if _, err := io.Copy(os.Stdout, data); err != nil {
		return err
	}
	said, err := io.ReadAll(end)
	if err == nil && len(said) > 0 {
		return fmt.Errorf("%s", said)
	}
	return err
}

// dial opens a connection of many streams.
func dial(url, protocol string) (httpstream.Connection, error) {
	tripper, err := spdy.NewRoundTripper(nil)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set(httpstream.HeaderProtocolVersion, protocol)
	response, err := tripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	return tripper.NewConnection(response)
}

func open(conn httpstream.Connection, kind string) (httpstream.Stream, error) {
	return openWith(conn, kind, http.Header{})
}

func openWith(conn httpstream.Connection, kind string, headers http.Header) (httpstream.Stream, error) {
	headers.Set("streamType", kind)
	return conn.CreateStream(headers)
}
