package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// A command: one of the members is there.
type command struct {
	// Makes a topic, by its full name.
	CreateTopic string `json:"create_topic"`
	// Deletes one.
	DeleteTopic string `json:"delete_topic"`
	// Subscribes to a topic.
	CreateSubscription *subscription `json:"create_subscription"`
	// Goes wrong from now on.
	Fault *fault `json:"fault"`
	// Nothing goes wrong with this topic any more.
	Heal string `json:"heal"`
	// What there was.
	Counts string `json:"counts"`
	// Stops listening (true) and listens again (false).
	Down *bool `json:"down"`
}

type subscription struct {
	Name    string `json:"name"`
	Topic   string `json:"topic"`
	Ordered bool   `json:"ordered"`
}

type answer struct {
	Error  string  `json:"error,omitempty"`
	Counts *counts `json:"counts,omitempty"`
}

func (s *server) obey(address string) error {
	listener, err := net.Listen("tcp", address)
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
			lines := bufio.NewScanner(connection)
			answers := json.NewEncoder(connection)
			for lines.Scan() {
				if answers.Encode(s.do(lines.Bytes())) != nil {
					return
				}
			}
		}()
	}
}

func (s *server) do(line []byte) answer {
	var do command
	if err := json.Unmarshal(line, &do); err != nil {
		return answer{Error: err.Error()}
	}
	var err error
	ctx, fake := context.Background(), &s.fake.GServer
	switch {
	case do.CreateTopic != "":
		_, err = fake.CreateTopic(ctx, &pubsubpb.Topic{Name: do.CreateTopic})
	case do.DeleteTopic != "":
		_, err = fake.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: do.DeleteTopic})
	case do.CreateSubscription != nil:
		_, err = fake.CreateSubscription(ctx, &pubsubpb.Subscription{
			Name:                  do.CreateSubscription.Name,
			Topic:                 do.CreateSubscription.Topic,
			EnableMessageOrdering: do.CreateSubscription.Ordered,
			AckDeadlineSeconds:    600,
		})
	case do.Fault != nil:
		s.mu.Lock()
		do.Fault.left = do.Fault.Times
		s.faults = append(s.faults, do.Fault)
		s.mu.Unlock()
	case do.Heal != "":
		s.mu.Lock()
		var others []*fault
		for _, fault := range s.faults {
			if fault.Topic != do.Heal {
				others = append(others, fault)
			}
		}
		s.faults = others
		s.mu.Unlock()
	case do.Counts != "":
		s.mu.Lock()
		counted := *s.of(do.Counts)
		s.mu.Unlock()
		return answer{Counts: &counted}
	case do.Down != nil && *do.Down:
		s.close()
	case do.Down != nil:
		err = s.listen()
	default:
		return answer{Error: "no command"}
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{}
}
