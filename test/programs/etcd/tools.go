//go:build tools

// Package tools pins etcd. It has a module of its own because etcd and Kubernetes need different versions of what
// they share.
package tools

import _ "go.etcd.io/etcd/server/v3"
