//go:build tools

// Package tools pins kubeconform, which checks manifests against schemas. It is never built itself: the imports below are what makes `go mod tidy` keep their
// module, and test/programs/programs.ts builds the commands by path.
package tools

import (
	_ "github.com/yannh/kubeconform/cmd/kubeconform"
)
