package linux

// ResolveCached has openat2(2) fail with EAGAIN instead of asking a filesystem for
// what the kernel does not know by heart (RESOLVE_CACHED, Linux 5.12).
const ResolveCached = 0x20
