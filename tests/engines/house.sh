#!/bin/sh
# Makes a house: namespaces in which an engine finds a machine of its own, and
# can leave nothing on the one around it.
#
# usage: house.sh keep INIT NAME RUNTIME...
#
# INIT is the first process: tini, or systemd where cgroups are of version 2.
# It prints the pid of the house's init when all is furnished, and keeps the
# house until its standard input ends: the other end of that pipe is the test's,
# so that the house falls with the test, however that ends. The RUNTIMEs are in
# /usr/local/sbin there.
#
# usage: house.sh enter NAME PID COMMAND...
#
# It runs a command in the house.
set -eu

hierarchies() { findmnt -rn -t cgroup,cgroup2 -o TARGET; }

# Engines load profiles of AppArmor, which has one list for the whole machine.
policy=/sys/kernel/security/apparmor
profiles() { sed 's/ ([a-z]*)$//' $policy/profiles 2>/dev/null || :; }

keep() {
	trap '' INT TERM HUP # the test has them too, and ends
	loaded=$(profiles)
	trap "raze '$2'" EXIT
	hierarchies | while read -r top; do
		mkdir "$top/$2"
		# A cpuset of version 1 takes no process before it has these.
		for file in cpuset.cpus cpuset.mems; do
			[ ! -e "$top/$2/tasks" ] || [ ! -e "$top/$2/$file" ] || cat "$top/$file" >"$top/$2/$file"
		done
	done
	exec 3<&0
	unshare --mount --pid --net --ipc --uts --fork --kill-child sh "$0" join "$@" <&3 &
	exec 3<&-
	cat >/dev/null
}

# Tini has read the end of the same pipe, systemd has not. The processes of the
# house die with its init, but one that version 1 has frozen not before it is thawed.
raze() {
	pkill -KILL -P $! || :
	hierarchies | while read -r top; do
		[ ! -d "$top/$1" ] || find "$top/$1" -name freezer.state
	done | while read -r state; do echo THAWED >"$state"; done
	wait
	hierarchies | while read -r top; do
		[ ! -d "$top/$1" ] || find "$top/$1" -depth -type d -exec rmdir {} +
	done
	profiles | grep -vxF "$loaded" | while read -r profile; do
		printf %s "$profile" >$policy/.remove || : # of a profile in another one, which goes with it
	done
}

# In the namespaces, but before that of cgroups: its root is where one is then.
join() {
	trap echo EXIT # an empty line: no house
	hierarchies | while read -r top; do enter_cgroup "$top/$2"; done
	exec unshare --cgroup sh "$0" furnish "$@"
}

# In version 1 as one thread, for which the kernel need not stop all others.
enter_cgroup() {
	if [ -e "$1/tasks" ]; then echo $$ >"$1/tasks"; else echo $$ >"$1/cgroup.procs"; fi
}

furnish() {
	trap echo EXIT
	init=$1
	shift 2
	read -r pid _ </proc/self/stat # the host's proc: the host's pid
	mount --make-rprivate /
	umount --recursive --lazy /run 2>/dev/null || :
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir /run/sbin
	cp "$@" /run/sbin
	cp -a /etc /run/etc
	mount --bind /run/etc /etc
	mount --bind /run/sbin /usr/local/sbin
	for dir in /tmp /var/tmp /var/lib /var/log /root /opt /dev/shm; do
		mkdir -p "$dir"
		mount -t tmpfs -o mode=1777 tmpfs "$dir"
	done
	mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts /dev/pts
	[ ! -d /dev/mqueue ] || mount -t mqueue mqueue /dev/mqueue
	furnish_sys
	mount -t proc proc /proc
	mount -o remount,bind,ro /
	mount --make-rshared / # as systemd has it
	ip link set lo up
	hostname house
	[ "$init" = tini ] || furnish_systemd
	echo "$pid"
	case $init in
	tini) exec tini -- cat >/dev/null ;;
	systemd) exec env -i container=house /lib/systemd/systemd --unit=house.target --show-status=false </dev/null >/dev/null 2>&1 ;;
	esac
}

# Of all that systemd starts on a machine, only the bus.
furnish_systemd() {
	units=/etc/systemd/system
	mkdir -p "$units"
	cat >"$units/house.target" <<-END
		[Unit]
		DefaultDependencies=no
		Requires=dbus.socket
	END
	cat >"$units/dbus.socket" <<-END
		[Unit]
		DefaultDependencies=no
		[Socket]
		ListenStream=/run/dbus/system_bus_socket
	END
	cat >"$units/dbus.service" <<-END
		[Unit]
		DefaultDependencies=no
		Requires=dbus.socket
		[Service]
		Type=notify
		ExecStart=dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only
	END
}

# /sys of the new network namespace, with the same hierarchies as outside.
furnish_sys() {
	table=$(findmnt -rn -t cgroup,cgroup2 -o TARGET,FSTYPE,FS-OPTIONS)
	security=$(findmnt -rn -t securityfs -o TARGET || :)
	umount --recursive --lazy /sys
	mount -t sysfs sysfs /sys
	[ -z "$security" ] || mount -t securityfs securityfs "$security"
	case $table in
	"/sys/fs/cgroup "*)
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mkdir /sys/fs/cgroup/engine
		[ "$init" = tini ] || return 0 # systemd takes the cgroup that it is in for the root
		enter_cgroup /sys/fs/cgroup/engine
		# Processes are in leaves only: the engine in one, containers beside it.
		sed 's/[a-z]\+/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
		return
		;;
	esac
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
	echo "$table" | while read -r top type options; do
		mkdir "$top"
		[ "$type" = cgroup2 ] && options=rw
		mount -t "$type" -o "$options" "$type" "$top"
	done
}

# From outside: where cgroup2 is mounted with nsdelegate, nobody gets into a
# cgroup of another namespace than his own.
enter() {
	name=$1 pid=$2
	shift 2
	for top in $(hierarchies); do
		if [ -d "$top/$name/engine" ]; then enter_cgroup "$top/$name/engine"; else enter_cgroup "$top/$name"; fi
	done
	exec nsenter --target "$pid" --all --wdns=/root -- "$@"
}

"$@"
