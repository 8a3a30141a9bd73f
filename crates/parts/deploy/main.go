// Reads Kubernetes' manifests from standard input and prints them as a JSON array. ServiceMonitors are read as the
// Prometheus Operator does; fields that it does not know are refused.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

func main() {
	manifests, err := read(documents.NewYAMLReader(bufio.NewReader(os.Stdin)))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(manifests)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(reader *documents.YAMLReader) ([]map[string]any, error) {
	manifests := []map[string]any{}
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return manifests, nil
		}
		if err != nil {
			return nil, err
		}
		var manifest map[string]any
		if err := yaml.UnmarshalStrict(text, &manifest); err != nil {
			return nil, err
		}
		if manifest == nil {
			continue
		}
		if manifest["kind"] == monitoring.ServiceMonitorsKind {
			if err := yaml.UnmarshalStrict(text, &monitoring.ServiceMonitor{}); err != nil {
				return nil, err
			}
		}
		manifests = append(manifests, manifest)
	}
}
