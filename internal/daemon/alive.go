package daemon

import (
	"context"
	"time"
)

// How often the ledger is told that this process lives, and for how long it is
// then believed.
const (
	tells = 30 * time.Second
	lives = 4 * tells
)

// alive is what the ledger was told; the planner's.
type alive struct {
	replica int64     // the number by which the ledger knows this process; 0: it does not
	told    time.Time // when
}

// live tells the ledger that this process lives and plans.
func (d *Daemon) live(ctx context.Context) {
	now := time.Now()
	if now.Sub(d.alive.told) < tells {
		return
	}
	replica, err := d.Ledger.Live(ctx, d.alive.replica, d.Host, lives)
	if err != nil {
		return // as planning is about to say
	}
	d.alive = alive{replica, now}
}

// gone tells the ledger that this process serves no more. One that cannot is taken
// for dead soon.
func (d *Daemon) gone(ctx context.Context) {
	if d.alive.replica == 0 {
		return
	}
	outliving, end := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer end()
	if _, err := d.Ledger.Live(outliving, d.alive.replica, d.Host, 0); err != nil {
		d.Log.Warn("the ledger could not be told that importer serve ends here, it believes so in a while", "in", lives.String(), "err", err)
	}
}
