// Package tty is about both ends of a container's terminal: Open makes the
// pseudo-terminal from the inside, Streams.SetUp prepares it for its program, and
// a Session connects it with the terminal of the person outside: raw mode, window
// size, copying.
//
// It handles no signal: who catches SIGWINCH calls Session.Resize, and who is
// stopped Session.Release before and Session.Retake afterwards. It trusts no
// name in the container but the one that is a mount of the plan's.
package tty
