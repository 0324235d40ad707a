// Package demo holds the two programs of "clew demo", so that the command needs
// neither this repository nor a Go toolchain to run them: it starts itself
// again as one of them. They are copies of examples/server and examples/client.
// A test fails when they differ, and writes them with
//
//	go test ./cmd/clew/internal/demo -update
package demo

import (
	"os"
	"strings"

	"github.com/clewtrace/clew/cmd/clew/internal/demo/client"
	"github.com/clewtrace/clew/cmd/clew/internal/demo/server"
)

// The names of the programs.
const (
	Server = "server"
	Client = "client"
)

// programs has the main functions of the programs. They end the process.
var programs = map[string]func(){Server: server.Main, Client: client.Main}

// prefix precedes the name of a program in the first argument of a process.
const prefix = "demo-program-"

// Args returns the arguments with which a process of this command becomes the program
// with that name.
func Args(name string, args ...string) []string {
	return append([]string{prefix + name}, args...)
}

// Run runs the program that the arguments of this process name, and then does not
// return. It returns if they name none.
func Run() {
	if len(os.Args) < 2 || !strings.HasPrefix(os.Args[1], prefix) {
		return
	}
	name := strings.TrimPrefix(os.Args[1], prefix)
	if main := programs[name]; main != nil {
		os.Args = append([]string{name}, os.Args[2:]...)
		main()
	}
}
