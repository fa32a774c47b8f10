//go:build tools

// Package tools pins the Helm that many still have. It is never built itself: the imports below are what makes `go mod tidy` keep their
// module, and test/programs/programs.ts builds the commands by path.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
