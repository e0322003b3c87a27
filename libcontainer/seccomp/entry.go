package seccomp

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// A cached file is
//
//	magic[8] key[32] flags[4] program[8n] sha256[32]
//
// with flags in native byte order and the checksum over all before it. It
// begins with its own key, so a file under a wrong name is not taken either.
const (
	entryMagic  = "hullbpf\x01"
	entryKey    = len(entryMagic)
	entryFlags  = entryKey + sha256.Size
	entryCode   = entryFlags + 4
	entryAround = entryCode + sha256.Size
	maxEntry    = int64(entryAround + unix.BPF_MAXINSNS*instructionSize)
)

// errEntry is why a cached file is not used.
var errEntry = errors.New("not a cached filter, or damaged")

func encodeEntry(k key, f *Filter) []byte {
	b := make([]byte, 0, entryAround+len(f.Program))
	b = append(b, entryMagic...)
	b = append(b, k[:]...)
	b = binary.NativeEndian.AppendUint32(b, f.Flags)
	b = append(b, f.Program...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeEntry is the inverse of encodeEntry. The program shares memory with b.
func decodeEntry(k key, b []byte) (*Filter, error) {
	code := len(b) - entryAround
	if code <= 0 || code%instructionSize != 0 {
		return nil, errEntry
	}
	end := entryCode + code
	sum := sha256.Sum256(b[:end])
	if string(b[:entryKey]) != entryMagic || key(b[entryKey:entryFlags]) != k || [sha256.Size]byte(b[end:]) != sum {
		return nil, errEntry
	}
	return &Filter{
		Program: b[entryCode:end:end],
		Flags:   binary.NativeEndian.Uint32(b[entryFlags:]),
	}, nil
}
