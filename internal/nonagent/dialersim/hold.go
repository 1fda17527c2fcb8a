package dialersim

import (
	"sync"
	"time"
)

// Block locks the lead table against writes, as a long statement on a MyISAM
// table does: lookups answer, while inserts and updates wait for release, or
// for Heal, and are then executed in the order in which they came.
func (d *Dialer) Block() (release func()) {
	d.table.enter(d.desk.stopped)
	release = sync.OnceFunc(func() {
		d.blocked.Store(nil)
		d.table.leave()
	})
	d.blocked.Store(&release)
	return release
}

// blockFor lets a long statement queue up for the lead table now; it then keeps
// the table for that long, or until over where that is 0. While one is at work,
// no second one comes.
func (d *Dialer) blockFor(lasts time.Duration, over <-chan struct{}) {
	if !d.blocking.CompareAndSwap(false, true) {
		return
	}
	turn := d.table.queue()
	go func() {
		if !await(turn, d.desk.stopped) {
			return
		}
		d.desk.sleepAtMost(lasts, over)
		d.blocking.Store(false)
		d.table.leave()
	}()
}

// freezeFor stops the database for that long, or until over where that is 0:
// every request waits.
func (d *Dialer) freezeFor(lasts time.Duration, over <-chan struct{}) {
	thaw := make(chan struct{})
	if !d.frozen.CompareAndSwap(nil, &thaw) {
		return
	}
	go func() {
		d.desk.sleepAtMost(lasts, over)
		d.frozen.Store(nil)
		close(thaw)
	}()
}

// thawed waits until the database runs. False: the dialer was stopped.
func (d *Dialer) thawed() bool {
	for {
		frozen := d.frozen.Load()
		if frozen == nil {
			return true
		}
		select {
		case <-*frozen:
		case <-d.desk.stopped:
			return false
		}
	}
}
