// A Pub/Sub server for tests: Google's own fake (pstest) behind a gRPC server that refuses what the real service refuses and does not
// answer as asked over a control port.
//
// The control port takes a JSON object a line and answers each with one: see control.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A request of Google's clients has 10 MB; faults are found with more.
const largestMessage = 20 << 20

type server struct {
	fake    *pstest.Server
	address string
	options []grpc.ServerOption
	tokens  bool

	mu     sync.Mutex
	grpc   *grpc.Server
	open   *listener
	faults []*fault
	counts map[string]*counts
}

func main() {
	port := flag.Int("port", 0, "port for gRPC")
	control := flag.Int("control", 0, "port for commands")
	certificate := flag.String("certificate", "", "PEM file of the certificate chain; with it, TLS, and requests need a token as Google's do")
	key := flag.String("key", "", "PEM file of its key")
	flag.Parse()

	// The fake's own listener is not used: it cannot be told to fail.
	s := &server{
		fake:    pstest.NewServerWithAddress("127.0.0.1:0"),
		address: fmt.Sprintf("127.0.0.1:%d", *port),
		counts:  map[string]*counts{},
	}
	s.options = []grpc.ServerOption{
		grpc.MaxRecvMsgSize(largestMessage),
		grpc.MaxSendMsgSize(largestMessage),
		grpc.UnaryInterceptor(s.intercept),
	}
	if *certificate != "" {
		tls, err := credentials.NewServerTLSFromFile(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		s.options = append(s.options, grpc.Creds(tls))
		s.tokens = true
	}
	if err := s.listen(); err != nil {
		log.Fatal(err)
	}
	go s.forget()
	log.Fatal(s.obey(fmt.Sprintf("127.0.0.1:%d", *control)))
}

// Listens, with all topics and messages of before.
func (s *server) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grpc != nil {
		return nil
	}
	tcp, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.open = &listener{Listener: tcp}
	s.grpc = grpc.NewServer(s.options...)
	pubsubpb.RegisterPublisherServer(s.grpc, &s.fake.GServer)
	pubsubpb.RegisterSubscriberServer(s.grpc, &s.fake.GServer)
	go s.grpc.Serve(s.open)
	return nil
}

// Closes all connections and does not listen any more.
func (s *server) close() {
	s.mu.Lock()
	stopped, open := s.grpc, s.open
	s.grpc = nil
	s.mu.Unlock()
	if stopped != nil {
		open.cut()
		stopped.Stop()
	}
}

// Stop waits for connections on which nothing was said yet; so this listener remembers what it accepted.
type listener struct {
	net.Listener
	mu          sync.Mutex
	connections []net.Conn
}

func (l *listener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.connections = append(l.connections, connection)
		l.mu.Unlock()
	}
	return connection, err
}

func (l *listener) cut() {
	l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, connection := range l.connections {
		connection.Close()
	}
}

// The fake keeps all messages that were ever published. Where nobody subscribes, they are only a burden.
func (s *server) forget() {
	for range time.Tick(time.Second) {
		answer, err := s.fake.GServer.ListSubscriptions(context.Background(), &pubsubpb.ListSubscriptionsRequest{Project: ""})
		if err == nil && len(answer.Subscriptions) == 0 {
			s.fake.ClearMessages()
		}
	}
}

func (s *server) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	publish, is := request.(*pubsubpb.PublishRequest)
	if !is {
		return next(ctx, request)
	}
	if known, _ := metadata.FromIncomingContext(ctx); s.tokens && !hasToken(known) {
		return nil, status.Error(codes.Unauthenticated, "there is no token")
	}
	fault := s.meet(publish)
	if fault != nil && !fault.After {
		if err := fault.happen(ctx); err != nil {
			return nil, err
		}
	}
	if err := refuse(publish); err != nil {
		return nil, err
	}
	answer, err := next(ctx, request)
	if err == nil {
		s.published(publish)
	}
	if fault != nil && fault.After {
		if err := fault.happen(ctx); err != nil {
			return nil, err
		}
	}
	return answer, err
}

// Whether there is one, not whether it is genuine.
func hasToken(known metadata.MD) bool {
	values := known.Get("authorization")
	return len(values) == 1 && strings.HasPrefix(values[0], "Bearer ") && len(values[0]) > 20
}
