package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// A call whose answer was lost may take effect after all that a dialer promises.
// What such calls may have left behind is looked for when so much time has passed
// since their run.
var auditedAfter = []time.Duration{time.Hour, 24 * time.Hour}

// AuditArgs is the job that has somebody look once more at the rows of a run whose
// answers had been lost.
type AuditArgs struct {
	Feed string `json:"feed"`
	Run  int64  `json:"run"`
}

// Kind names the job for River.
func (AuditArgs) Kind() string { return "audit" }

const (
	auditQueue  = "audits"
	auditWithin = 15 * time.Minute
	auditTries  = 100
)

// auditor works audits.
type auditor struct {
	river.WorkerDefaults[AuditArgs]

	daemon *Daemon
}

// Timeout implements river.Worker.
func (*auditor) Timeout(*river.Job[AuditArgs]) time.Duration { return auditWithin }

// NextRetry implements river.Worker.
func (*auditor) NextRetry(*river.Job[AuditArgs]) time.Time { return time.Now().Add(auditWithin) }

// Work implements river.Worker.
func (a *auditor) Work(ctx context.Context, job *river.Job[AuditArgs]) error {
	d := a.daemon
	f, ok := d.feed(job.Args.Feed)
	switch {
	case !ok && time.Since(job.CreatedAt) > week:
		d.Log.Info("the rows of a run whose answers had been lost are not looked at once more: its feed is not in the configuration any more", "feed", job.Args.Feed, "run", job.Args.Run)
		return nil
	case !ok:
		return river.JobSnooze(auditWithin)
	}
	s, err := f.Audit(ctx, job.Args.Run)
	// An audit that is tried again finds its alarms again.
	last := err == nil || job.Attempt >= job.MaxAttempts
	if len(s.Alarms) > 0 && (last || job.Attempt == 1) {
		told := d.Ledger.Within(ctx, func(ctx context.Context, tx pgx.Tx) error {
			return d.tell(ctx, tx, f, Event{What: EventRun, Run: s.Run})
		})
		err = errors.Join(err, told)
	}
	if err != nil && ctx.Err() == nil {
		d.Log.Warn("the rows of a run whose answers had been lost could not be looked at once more, trying again", "feed", f.Name, "run", job.Args.Run, "in", auditWithin.String(), "err", err)
	}
	return err
}

// audits has a run's doubtful rows looked at later.
func (d *Daemon) audits(ctx context.Context, tx pgx.Tx, feed string, run int64) error {
	for _, after := range auditedAfter {
		_, err := d.client.InsertTx(ctx, tx, AuditArgs{Feed: feed, Run: run}, &river.InsertOpts{
			Queue: auditQueue, MaxAttempts: auditTries, ScheduledAt: time.Now().Add(after),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
