// Reads a file of rules as Prometheus does, and prints as JSON which series each alert asks for.
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

type selector struct {
	Alert  string   `json:"alert"`
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

func main() {
	parse := parser.NewParser(parser.Options{})
	groups, problems := rulefmt.ParseFile(os.Args[1], false, model.UTF8Validation, parse, slog.Default())
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	selectors := []selector{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			expression, err := parse.ParseExpr(rule.Expr)
			if err != nil {
				fmt.Fprintln(os.Stderr, rule.Alert, err)
				os.Exit(1)
			}
			parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
				if vector, ok := node.(*parser.VectorSelector); ok {
					found := selector{Alert: rule.Alert, Metric: vector.Name, Labels: []string{}}
					for _, matcher := range vector.LabelMatchers {
						if matcher.Name != labels.MetricName {
							found.Labels = append(found.Labels, matcher.Name)
						}
					}
					selectors = append(selectors, found)
				}
				return nil
			})
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(selectors); err != nil {
		panic(err)
	}
}
