//go:build tools

// Package tools pins KEDA. It is never built itself: the imports below are what makes `go mod tidy` keep their
// module, and test/programs/programs.ts builds the commands by path.
package tools

import (
	_ "github.com/kedacore/keda/v2/cmd/adapter"
	_ "github.com/kedacore/keda/v2/cmd/operator"
)
