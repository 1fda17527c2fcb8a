package localpg

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// dieWithParent has the kernel send sig to the child when the thread that
// started it ends: that thread must be locked to a goroutine that lives on.
func dieWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) {
	attr.Pdeathsig = sig
}

// commandLine is how the process was started; empty when there is none.
func commandLine(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(b), "\x00", " ")
}
