// Package tty connects the terminal of this process with the one of a
// container that runs in the foreground: raw mode, window size, copying.
//
// It handles no signal: who catches SIGWINCH calls Session.Resize.
package tty
