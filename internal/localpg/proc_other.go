//go:build unix && !linux

package localpg

import (
	"os/exec"
	"strconv"
	"syscall"
)

// dieWithParent does nothing: only Linux knows how. A server whose supervisor
// was killed lives until the next start finds and stops it.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// commandLine is how the process was started; empty when there is none.
func commandLine(pid int) string {
	out, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(out)
}
