// A receiver that verifies signatures: SECRET=… go run receiver.go
package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

var (
	secret       = []byte(os.Getenv("SECRET"))
	tolerance, _ = strconv.ParseFloat(os.Getenv("TOLERANCE"), 64) // seconds; 0: accept replays
)

const largest = 2 << 20 // an event has at most 1 MiB

func sign(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// One of the two signatures must match our secret; body holds the raw bytes.
func isGenuine(header http.Header, body []byte) bool {
	expected := sign(body)
	for _, name := range []string{"X-AKENEO-SIGNATURE-PRIMARY", "X-AKENEO-SIGNATURE-SECONDARY"} {
		sent, err := hex.DecodeString(header.Get(name))
		// hmac.Equal compares in constant time.
		if err == nil && hmac.Equal(sent, expected) {
			return true
		}
	}
	return false
}

// Standard Webhooks: the signature also covers the time of the attempt, so replays can be detected.
func isFresh(header http.Header, body []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || math.Abs(time.Since(time.Unix(seconds, 0)).Seconds()) > tolerance {
		return false
	}
	expected := sign([]byte(id+"."+timestamp+"."), body)
	for _, signature := range strings.Split(header.Get("webhook-signature"), " ") {
		text, isV1 := strings.CutPrefix(signature, "v1,")
		sent, err := base64.StdEncoding.DecodeString(text)
		if isV1 && err == nil && hmac.Equal(sent, expected) {
			return true
		}
	}
	return false
}

func receive(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, largest))
	if err != nil {
		response.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if !isGenuine(request.Header, body) || tolerance > 0 && !isFresh(request.Header, body) {
		response.WriteHeader(http.StatusUnauthorized)
		return
	}
	// Only now. Queue it, answer, and process it afterwards.
	var event struct{ Type, Id string }
	if err := json.Unmarshal(body, &event); err != nil {
		response.WriteHeader(http.StatusBadRequest)
		return
	}
	fmt.Println(event.Type, event.Id)
	response.WriteHeader(http.StatusNoContent)
}

func main() {
	if len(secret) == 0 { // Anyone can sign with an empty key.
		log.Fatal("SECRET is not set")
	}
	address := "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "4000")
	log.Fatal(http.ListenAndServe(address, http.HandlerFunc(receive)))
}
