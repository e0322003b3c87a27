// Package tty is about both ends of a container's terminal: Open makes the
// pseudo-terminal from the inside, and a Session connects it with the terminal
// of the person outside: raw mode, window size, copying.
//
// It handles no signal: who catches SIGWINCH calls Session.Resize. It trusts no
// name in the container but the one that is a mount of the plan's.
package tty
