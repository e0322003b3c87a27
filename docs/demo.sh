#!/bin/sh
# What hull does, in two containers. `make demo` builds hull and runs this.
set -eu
cd "$(dirname "$0")/.."
RUNTIME=${RUNTIME:-$PWD/hull}

work=$(mktemp -d)
# The state directory is the demo's own, so that it sees no other containers.
hull() {
	"$RUNTIME" --root "$work/state" "$@"
}
clean() {
	for id in hello web; do
		hull delete --force "$id" >/dev/null 2>&1 || true
	done
	rm -rf --one-file-system "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

say() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}
# Prints a command as a user would type it, then runs it.
run() {
	line='$'
	for word; do
		case $word in
		*[!a-zA-Z0-9._/-]*) line="$line '$word'" ;;
		*) line="$line $word" ;;
		esac
	done
	echo "$line"
	"$@"
}

if [ "$(id -u)" -ne 0 ]; then
	echo "demo: needs root" >&2
	exit 1
fi

cd "$work"

say "A bundle is a directory with a root filesystem and a config.json"
echo '$ mkdir -p hello/rootfs/bin && cp /bin/busybox hello/rootfs/bin/'
mkdir -p hello/rootfs/bin
cp "$(command -v busybox)" hello/rootfs/bin/busybox
for applet in sh id hostname sleep awk; do
	ln -s busybox "hello/rootfs/bin/$applet"
done
cat >hello/rootfs/look <<'LOOK'
#!/bin/sh
set -- /proc/[0-9]*
field() { awk -v name="$1:" '$1 == name { print $2 }' /proc/self/status; }
echo "  pid            $$, of $# process(es) it can see"
echo "  hostname       $(hostname)"
echo "  user           $(id)"
echo "  mounts         $(awk '{ printf "%s ", $2 }' /proc/mounts)"
echo "  capabilities   $(field CapEff), no new privileges: $(field NoNewPrivs)"
echo "  cgroup         $(awk -F: '$2 == "memory" || $1 == 0 { path = $3 } END { print path }' /proc/self/cgroup)"
echo "  seccomp mode   $(field Seccomp)"
LOOK
chmod +x hello/rootfs/look
cp -a hello web
run hull spec --bundle hello
run hull spec --bundle web

say "Its process needs no terminal here, runs a script, and may not make namespaces"
profile='"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["unshare"], "action": "SCMP_ACT_ERRNO"}]},'
run sed -i 's|"terminal": true|"terminal": false|; s|"sh"|"/look"|' hello/config.json
run sed -i "s|\"linux\": {|\"linux\": { $profile|" hello/config.json

say "What it sees"
run hull run --bundle hello hello

say "Step by step, as an engine does it"
run sed -i 's|"terminal": true|"terminal": false|; s|"sh"|"sleep", "60"|' web/config.json
run hull create --bundle web web </dev/null
run hull state web && echo
run hull start web
run hull list
run hull kill web KILL
# A signal is sent, not awaited.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	! hull state web | grep -q '"running"' || sleep 0.1
done
run hull delete web

say "Nothing is left"
run hull list

say "Try next"
echo "  $RUNTIME --help               all commands"
echo "  make test                     what is known to work, and the proof"
echo "  make bench                    hull beside crun and runc"
echo "  docs/                         how it is built, and why"
