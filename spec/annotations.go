package spec

// Annotations of a config.json that act. Their names are those of crun and of
// systemd, because engines and users write them already.
const (
	// AnnotationKeepGroups leaves the process the supplementary groups of the
	// caller if its value is not "0".
	AnnotationKeepGroups = "run.oci.keep_original_groups"
	// AnnotationSeccompReceiver is the path of a Unix socket that gets the
	// listener of a filter with SCMP_ACT_NOTIFY.
	AnnotationSeccompReceiver = "run.oci.seccomp.receiver"
	// AnnotationSeccompStrict makes a system call that libseccomp does not know
	// an error if its value is not "0".
	AnnotationSeccompStrict = "run.oci.seccomp_fail_unknown_syscall"
	// AnnotationSeccompBPF is a filter in base64 that takes the place of
	// linux.seccomp.
	AnnotationSeccompBPF = "run.oci.seccomp_bpf_data"
	// AnnotationPidfdReceiver is the path of a Unix socket that gets a pidfd of
	// the container's init.
	AnnotationPidfdReceiver = "run.oci.pidfd_receiver"
	// AnnotationMountContext is the option with which linux.mountLabel is given
	// to filesystems: context, fscontext, defcontext or rootcontext.
	AnnotationMountContext = "run.oci.mount_context_type"
	// AnnotationHookStdout and AnnotationHookStderr are files to which the output
	// of hooks is appended.
	AnnotationHookStdout = "run.oci.hooks.stdout"
	// AnnotationHookStderr is like AnnotationHookStdout.
	AnnotationHookStderr = "run.oci.hooks.stderr"
	// AnnotationSubgroup is the cgroup below the one of systemd's scope that the
	// container lives in.
	AnnotationSubgroup = "run.oci.systemd.subgroup"
	// AnnotationDelegate is a cgroup below that one which belongs to the
	// container's root.
	AnnotationDelegate = "run.oci.delegate-cgroup"
	// AnnotationCRIU is the path of a configuration file of criu(8).
	AnnotationCRIU = "org.criu.config"
	// AnnotationSystemdPrefix stands before the name of a property of systemd's
	// scope, whose value is in the text form of GVariant.
	AnnotationSystemdPrefix = "org.systemd.property."
)

// UnsafeAnnotations lists the annotations that act, sorted; one that ends with a
// dot stands for all that start so (features.md, "Unsafe annotations in
// config.json").
func UnsafeAnnotations() []string {
	return []string{
		AnnotationCRIU,
		AnnotationSystemdPrefix,
		AnnotationDelegate,
		AnnotationHookStderr,
		AnnotationHookStdout,
		AnnotationKeepGroups,
		AnnotationMountContext,
		AnnotationPidfdReceiver,
		AnnotationSeccompReceiver,
		AnnotationSeccompBPF,
		AnnotationSeccompStrict,
		AnnotationSubgroup,
	}
}
