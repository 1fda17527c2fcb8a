package main

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"importer/internal/importer"
)

// progress shows a person how a run proceeds: a bar on a terminal, nothing
// elsewhere.
type progress struct {
	mu       sync.Mutex
	bar      *progressbar.ProgressBar // nil: nobody watches
	recorded int
	settled  int
}

func newProgress(w io.Writer) *progress {
	p := &progress{}
	if isTerminal(w) {
		p.bar = progressbar.NewOptions(1,
			progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("rows"), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

// Recorded implements importer.Watcher.
func (p *progress) Recorded(rows int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recorded += rows
	if p.bar != nil && p.recorded > 0 {
		p.bar.ChangeMax(p.recorded + 1) // a full bar is a finished one
	}
}

// Settled implements importer.Watcher.
func (p *progress) Settled(_ importer.StateReason, rows int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled += rows
	p.draw(func() error { return p.bar.Set(p.settled) })
}

// Waiting implements importer.Watcher.
func (p *progress) Waiting(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draw(func() error { p.bar.Describe(why); return nil })
}

func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draw(func() error { return p.bar.Clear() })
	p.bar = nil
}

// draw is called with mu held. A terminal that went away costs the bar only.
func (p *progress) draw(how func() error) {
	if p.bar != nil && how() != nil {
		p.bar = nil
	}
}
