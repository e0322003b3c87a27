// Command cri asks a container engine what a kubelet asks it, in its words: the
// messages are those of k8s.io/cri-api, as JSON.
//
// usage: cri METHOD [REQUEST]     prints the response
//
// After Exec and Attach its streams are the program's, and its status as well;
// after PortForward its streams are those of the port.
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// endpoint is where containerd listens.
const endpoint = "unix:///run/containerd/containerd.sock"

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fmt.Fprintln(os.Stderr, "usage: cri METHOD [REQUEST]")
		os.Exit(2)
	}
	request := "{}"
	if len(os.Args) == 3 {
		request = os.Args[2]
	}
	code, err := run(os.Args[1], request)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run returns the status to exit with.
func run(method, request string) (int, error) {
	ask, answer, err := messages(method)
	if err != nil {
		return 0, err
	}
	if err := protojson.Unmarshal([]byte(request), ask); err != nil {
		return 0, err
	}
	if err := call(method, ask, answer); err != nil {
		return 0, err
	}
	if place, ok := answer.(interface{ GetUrl() string }); ok {
		switch ask := ask.(type) {
		case wanted:
			return attach(place.GetUrl(), ask)
		case *runtime.PortForwardRequest:
			return 0, forward(place.GetUrl(), ask.Port)
		}
	}
	text, err := protojson.Marshal(answer)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Printf("%s\n", text)
	return 0, err
}

// messages makes the messages of a method.
func messages(method string) (ask, answer proto.Message, err error) {
	name := protoreflect.FullName(runtime.RuntimeService_ServiceDesc.ServiceName).Append(protoreflect.Name(method))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, nil, err
	}
	known, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, nil, fmt.Errorf("%s is no method", name)
	}
	input, err := protoregistry.GlobalTypes.FindMessageByName(known.Input().FullName())
	if err != nil {
		return nil, nil, err
	}
	output, err := protoregistry.GlobalTypes.FindMessageByName(known.Output().FullName())
	if err != nil {
		return nil, nil, err
	}
	return input.New().Interface(), output.New().Interface(), nil
}

func call(method string, ask, answer proto.Message) error {
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	err = conn.Invoke(context.Background(), "/"+runtime.RuntimeService_ServiceDesc.ServiceName+"/"+method, ask, answer)
	if said, ok := status.FromError(err); err != nil && ok {
		return fmt.Errorf("%s: %s", said.Code(), said.Message())
	}
	return err
}
