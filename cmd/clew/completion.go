package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const completionHelp = `Usage: clew completion bash|zsh|fish

Prints a script. To load it:

  bash   source <(clew completion bash)
  zsh    source <(clew completion zsh)
  fish   clew completion fish | source
`

func runCompletion(_ context.Context, args []string, std stdio) error {
	f := newFlagSet("completion")
	if err := parse(f, args); err != nil {
		return err
	}
	write := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[f.Arg(0)]
	if write == nil || f.NArg() != 1 {
		return usageError{fmt.Errorf("shell %q: must be bash, zsh or fish", strings.Join(f.Args(), " "))}
	}
	fmt.Fprint(std.out, write())
	return nil
}

func commandNames() []string { return slices.Sorted(maps.Keys(commands())) }

// words returns what can follow a command: its flags, as its help lists them.
func words(name string) []string {
	if name == "completion" {
		return []string{"bash", "zsh", "fish"}
	}
	var flags []string
	for _, m := range regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllStringSubmatch(commands()[name].help, -1) {
		flags = append(flags, m[1])
	}
	return flags
}

func bashCompletion() string {
	var b strings.Builder
	b.WriteString("_clew() {\n  local cur=${COMP_WORDS[COMP_CWORD]} words=\n  case ${COMP_WORDS[1]} in\n")
	for _, name := range commandNames() {
		fmt.Fprintf(&b, "  %s) words=%q ;;\n", name, strings.Join(words(name), " "))
	}
	fmt.Fprintf(&b, "  esac\n  [[ $COMP_CWORD -eq 1 ]] && words=%q\n", strings.Join(commandNames(), " "))
	b.WriteString("  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _clew clew\n")
	return b.String()
}

// zshCompletion returns a script that makes zsh use the one for bash.
func zshCompletion() string {
	return "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" + bashCompletion()
}

func fishCompletion() string {
	var b strings.Builder
	fmt.Fprintf(&b, "complete -c clew -f -n __fish_use_subcommand -a %q\n", strings.Join(commandNames(), " "))
	for _, name := range commandNames() {
		fmt.Fprintf(&b, "complete -c clew -n '__fish_seen_subcommand_from %s' -a %q\n", name, strings.Join(words(name), " "))
	}
	return b.String()
}
