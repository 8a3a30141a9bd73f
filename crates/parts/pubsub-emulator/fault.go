package main

import (
	"bytes"
	"context"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What goes wrong with requests to publish.
type fault struct {
	// The topic's full name.
	Topic string `json:"topic"`
	// Only requests that have a message whose data contains this.
	Holding string `json:"holding"`
	// The answer's code; none: after the delay, all is well.
	Code string `json:"code"`
	// What the answer says.
	Message string `json:"message"`
	// Before the answer.
	DelayMillis int `json:"delay_ms"`
	// There is no answer at all.
	Hang bool `json:"hang"`
	// The messages are taken before.
	After bool `json:"after"`
	// How often it happens; 0: always.
	Times int `json:"times"`

	left int
}

// What requests to publish to a topic there were.
type counts struct {
	// Whether they succeeded or not.
	Calls int `json:"calls"`
	// Of the successful ones.
	Messages int `json:"messages"`
	Bytes    int `json:"bytes"`
}

// Counts a request, and says what is to go wrong with it.
func (s *server) meet(request *pubsubpb.PublishRequest) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(request.Topic).Calls++
	for index, fault := range s.faults {
		if fault.Topic != request.Topic || !fault.concerns(request) {
			continue
		}
		if fault.Times > 0 {
			if fault.left--; fault.left == 0 {
				s.faults = append(s.faults[:index:index], s.faults[index+1:]...)
			}
		}
		return fault
	}
	return nil
}

func (s *server) published(request *pubsubpb.PublishRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.of(request.Topic)
	counts.Messages += len(request.Messages)
	for _, message := range request.Messages {
		counts.Bytes += len(message.Data)
	}
}

func (s *server) of(topic string) *counts {
	found := s.counts[topic]
	if found == nil {
		found = &counts{}
		s.counts[topic] = found
	}
	return found
}

func (f *fault) concerns(request *pubsubpb.PublishRequest) bool {
	if f.Holding == "" {
		return true
	}
	for _, message := range request.Messages {
		if bytes.Contains(message.Data, []byte(f.Holding)) {
			return true
		}
	}
	return false
}

func (f *fault) happen(ctx context.Context) error {
	if f.Hang {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(f.DelayMillis) * time.Millisecond):
	}
	if f.Code == "" {
		return nil
	}
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(`"` + f.Code + `"`)); err != nil {
		return status.Errorf(codes.Internal, "the test names a code that does not exist: %s", f.Code)
	}
	return status.Error(code, f.Message)
}

// What the real service refuses and the fake takes.
// https://cloud.google.com/pubsub/quotas#resource_limits
func refuse(request *pubsubpb.PublishRequest) error {
	invalid := func(what string) error { return status.Error(codes.InvalidArgument, what) }
	if len(request.Messages) == 0 || len(request.Messages) > 1000 {
		return invalid("a request has 1 to 1000 messages")
	}
	size := len(request.Topic)
	for _, message := range request.Messages {
		size += len(message.Data) + len(message.OrderingKey)
		if len(message.Data) == 0 && len(message.Attributes) == 0 {
			return invalid("some messages are empty")
		}
		if message.OrderingKey != request.Messages[0].OrderingKey {
			return invalid("all messages of a request must have the same ordering key")
		}
		if len(message.OrderingKey) > 1024 {
			return invalid("an ordering key has at most 1024 bytes")
		}
		if len(message.Attributes) > 100 {
			return invalid("a message has at most 100 attributes")
		}
		for name, value := range message.Attributes {
			size += len(name) + len(value)
			if len(name) == 0 || len(name) > 256 || len(value) > 1024 {
				return invalid("an attribute is too long, or has no name")
			}
		}
	}
	if size > 10_000_000 {
		return invalid("a request has at most 10 MB")
	}
	return nil
}
