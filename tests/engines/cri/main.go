// Command cri asks a container engine what a kubelet asks it, in its words: the
// messages are those of k8s.io/cri-api, as JSON.
//
// usage: cri METHOD [REQUEST]     prints the response
//
//	cri UpdateTask CONTAINER RESOURCES
//
// For Await, which is ContainerStatus, there is one when the container has ended,
// and for GetContainerEvents one with each event, until the engine ends.
// After Exec and Attach its streams are the program's, and its status as well;
// after PortForward its streams are those of the port.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

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
	args := os.Args[1:]
	if len(args) == 1 {
		args = append(args, "{}")
	}
	if len(args) != 2 && (len(args) != 3 || args[0] != "UpdateTask") {
		fmt.Fprintln(os.Stderr, "usage: cri METHOD [REQUEST]")
		os.Exit(2)
	}
	code, err := run(args[0], args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run returns the status to exit with.
func run(method string, args []string) (int, error) {
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	request := args[0]
	switch method {
	case "UpdateTask":
		return 0, updateTask(conn, request, args[1])
	case "Await":
		return 0, await(conn, request)
	case "GetContainerEvents":
		return 0, watch(conn)
	}
	ask, answer, err := call(conn, method, request)
	if err != nil {
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
	return 0, show(answer)
}

// await shows the status of a container when that has ended.
func await(conn *grpc.ClientConn, request string) error {
	for {
		_, answer, err := call(conn, "ContainerStatus", request)
		if err != nil {
			return err
		}
		said, ok := answer.(*runtime.ContainerStatusResponse)
		if ok && said.GetStatus().GetState() == runtime.ContainerState_CONTAINER_EXITED {
			return show(answer)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// watch shows what happens to containers.
func watch(conn *grpc.ClientConn) error {
	events, err := runtime.NewRuntimeServiceClient(conn).GetContainerEvents(context.Background(), &runtime.GetEventsRequest{})
	for err == nil {
		var event *runtime.ContainerEventResponse
		if event, err = events.Recv(); err == nil {
			err = show(event)
		}
	}
	return err
}

func show(answer proto.Message) error {
	text, err := protojson.Marshal(answer)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s\n", text)
	return err
}

// call makes a call. What goes wrong is told as a kubelet tells it.
func call(conn *grpc.ClientConn, method, request string) (ask, answer proto.Message, err error) {
	ask, answer, err = messages(method)
	if err != nil {
		return nil, nil, err
	}
	if err := protojson.Unmarshal([]byte(request), ask); err != nil {
		return nil, nil, err
	}
	err = conn.Invoke(context.Background(), "/"+runtime.RuntimeService_ServiceDesc.ServiceName+"/"+method, ask, answer)
	if said, ok := status.FromError(err); err != nil && ok {
		err = fmt.Errorf("%s: %s", said.Code(), said.Message())
	}
	return ask, answer, err
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
