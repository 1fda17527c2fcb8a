package health

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Started tells the service manager that the daemon has begun its work, or that it
// works on after a reload.
func (h *Health) Started() { h.tell(daemon.SdNotifyReady, "STATUS="+h.status()) }

// Reloading tells the service manager that the configuration is read again.
// Whatever comes of it, Started has to follow.
func (h *Health) Reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // the clock exists on every system that this program is built for
	}
	h.tell(daemon.SdNotifyReloading, "MONOTONIC_USEC="+strconv.FormatInt(now.Nano()/1000, 10), "STATUS=reading the configuration again")
}

// Stopping tells everybody that no run begins here any more.
func (h *Health) Stopping() {
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock()
	h.tell(daemon.SdNotifyStopping, "STATUS="+h.status())
}

// Report tells the service manager how the daemon is, until ctx ends: in a sentence
// when that has changed, and, as long as it is live, that it need not be killed.
func (h *Health) Report(ctx context.Context) {
	every, most := asks, h.watchdog()
	if most > 0 {
		every = min(every, most/2)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	said := ""
	for {
		var lines []string
		if most > 0 && h.Live() == nil {
			lines = append(lines, daemon.SdNotifyWatchdog)
		}
		if status := h.status(); status != said {
			said = status
			lines = append(lines, "STATUS="+status)
		}
		if lines != nil {
			h.tell(lines...)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// watchdog is how long the service manager waits for a sign of life, 0: it does not.
func (h *Health) watchdog() time.Duration {
	most, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		h.Log.Warn("the service manager's watchdog is not understood, it gets no signs of life: see WatchdogSec of the unit", "err", err)
	}
	return most
}

// status says in a sentence how the daemon is.
func (h *Health) status() string {
	if err := h.Ready(); err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("runs going: %d", h.going.Load())
	if feed, at := h.feeds.next(); feed != "" {
		text += fmt.Sprintf(", next slot: %s at %s", feed, at.UTC().Format(time.RFC3339))
	}
	return text
}

// tell sends one message to the service manager, if there is one.
func (h *Health) tell(lines ...string) {
	_, err := daemon.SdNotify(false, strings.Join(lines, "\n"))
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && !h.mute {
		h.Log.Warn("the service manager could not be told how the daemon is, see NOTIFY_SOCKET", "err", err)
	}
	h.mute = err != nil
}
