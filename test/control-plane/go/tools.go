//go:build tools

// Package tools pins the Kubernetes programs that the tests run. It is never built itself: the imports below are
// what makes `go mod tidy` keep their module, and test/control-plane/binaries.ts builds the commands by path.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
