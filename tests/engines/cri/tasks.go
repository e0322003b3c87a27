package main

import (
	"context"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/anypb"
)

// updateTask changes the limits of a container of containerd's own, for which ctr
// has no command. The resources are those of the OCI runtime specification, as JSON.
func updateTask(conn *grpc.ClientConn, id, resources string) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "containerd-namespace", "default")
	_, err := tasks.NewTasksClient(conn).Update(ctx, &tasks.UpdateTaskRequest{
		ContainerID: id,
		Resources:   &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources", Value: []byte(resources)},
	})
	return err
}
