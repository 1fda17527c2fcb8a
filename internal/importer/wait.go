package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sethvargo/go-retry"
)

// patiently makes a ledger call again while the ledger is away, for at most
// Limits.LedgerWait. Each of the ledger's calls may be repeated.
func (im *Importer) patiently(ctx context.Context, call func(context.Context) error) error {
	return im.insist(ctx, im.Limits.LedgerWait, call)
}

// briefly is patiently for bookkeeping that must outlive a cancelled run: it
// goes on after ctx has ended, but not for long.
func (im *Importer) briefly(ctx context.Context, call func(context.Context) error) error {
	const long = 30 * time.Second
	outliving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if sleep(outliving, long) == nil {
			cancel()
		}
	})()
	return im.insist(outliving, im.Limits.LedgerWait, call)
}

func (im *Importer) insist(ctx context.Context, wait time.Duration, call func(context.Context) error) error {
	const first, longest = 50 * time.Millisecond, 5 * time.Second
	// The cap is outside of the jitter: jitter around a capped wait exceeds it.
	backoff := retry.WithMaxDuration(wait, retry.WithCappedDuration(longest, retry.WithJitterPercent(20, retry.NewExponential(first))))
	away := false
	var last error
	err := retry.Do(ctx, backoff, func(ctx context.Context) error {
		last = call(ctx)
		if errors.Is(last, ErrUnavailable) && ctx.Err() == nil {
			if !away {
				away = true
				im.Log.Warn("the ledger is away, waiting for it", "at_most", wait.String())
				im.Watcher.Waiting("the ledger is away")
			}
			return retry.RetryableError(last)
		}
		return last
	})
	if away {
		im.Watcher.Waiting("")
		if err == nil {
			im.Log.Info("the ledger is back")
		}
	}
	if away && ctx.Err() == nil && errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("the ledger did not come back within %s, the same command goes on when it is there again: %w", wait, err)
	}
	// go-retry forgets the call's error when the context ends while it waits.
	if err != nil && last != nil && !errors.Is(err, last) {
		return fmt.Errorf("%w (last: %w)", err, last)
	}
	return err
}

// join is errors.Join, but says only once that the ledger is away: everything
// that is tried after that fails in the same way.
func join(errs ...error) error {
	said := false
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool {
		again := said && errors.Is(err, ErrUnavailable)
		said = said || errors.Is(err, ErrUnavailable)
		return again
	})...)
}

// sleep waits unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
