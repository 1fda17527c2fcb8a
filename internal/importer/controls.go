package importer

import (
	"cmp"
	"context"
	"slices"
	"time"

	"importer/internal/crashpoint"
)

// controlRows is how many leads known to be there each lead_search carries
// along: an old one and a young one. A search that is cut short keeps the
// young ones, and one that failed finds neither.
const controlRows = 2

// controls finds leads of the list that must turn up in a search if its answer
// is worth anything.
func (d *delivery) controls(ctx context.Context, list string) ([]OwnLead, error) {
	if d.line.firstAsk(list) {
		// A lost lead may be older than all that this run has added.
		var own []OwnLead
		err := d.patiently(ctx, func(ctx context.Context) (err error) {
			own, err = d.Ledger.Ours(ctx, d.drop.Dialer, list, controlRows)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, o := range own {
			d.line.remember(o)
		}
	}
	own := d.line.remembered(list)
	if len(own) <= controlRows {
		return own, nil
	}
	return []OwnLead{own[0], own[len(own)-1]}, nil
}

// search asks for the inquiry's numbers. controlled tells that the leads known
// to be there were found, so that "none" may be believed.
func (d *delivery) search(ctx context.Context, in inquiry, controls []OwnLead) (found map[string][]int64, controlled bool, err error) {
	for _, c := range controls {
		in.add(in.list, c.Phone) // unless it stands there already, or too near to another
	}
	err = d.ask(ctx, func(ctx context.Context) (err error) {
		found, err = d.Dialer.Search(ctx, in.list, in.phones)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	missing := false
	for _, c := range controls {
		leads, asked := found[c.Phone]
		switch {
		case !asked:
		case slices.Contains(leads, c.LeadID):
			controlled = true
		default:
			missing = true
			d.doubt(ctx, c)
		}
	}
	return found, controlled && !missing, nil
}

// doubt looks whether a control that was not found is still ours: a lead that
// was deleted or moved since is none for the next search.
func (d *delivery) doubt(ctx context.Context, c OwnLead) {
	token, err := d.token(ctx, c.LeadID)
	if err != nil || !d.Keys.Owns(token, c.Feed, c.SHA256, c.Record) {
		d.line.forget(c)
	}
}

// token reads what a lead carries in its token field.
func (d *delivery) token(ctx context.Context, leadID int64) (token string, err error) {
	err = d.ask(ctx, func(ctx context.Context) (err error) {
		token, err = d.Dialer.Field(ctx, leadID, d.Limits.TokenField)
		return err
	})
	return token, err
}

// prove tells for which rows a lookup that begins now may say "absent": the call
// can no longer take effect, and the lead table has answered a write since.
// Blocked inserts wait unseen while searches are answered. Where only the write is
// missing, a harmless one is made to one of our own leads, unless the dialer is silent.
func (d *delivery) prove(ctx context.Context, batch []*item, controls []OwnLead) []bool {
	if d.silence.knocks == 0 {
		d.writeOwn(ctx, batch, controls)
	}
	proven, now := make([]bool, len(batch)), d.Clock()
	for i, it := range batch {
		proven[i] = now > it.quiet && d.line.wroteSince(it.quiet)
	}
	return proven
}

func (d *delivery) writeOwn(ctx context.Context, batch []*item, controls []OwnLead) {
	now := d.Clock()
	needed := slices.ContainsFunc(batch, func(it *item) bool {
		return now > it.quiet && !d.line.wroteSince(it.quiet)
	})
	if !needed {
		return
	}
	for _, c := range controls {
		token, err := d.token(ctx, c.LeadID)
		if err != nil || !d.Keys.Owns(token, c.Feed, c.SHA256, c.Record) {
			continue // not ours any more: not ours to write to
		}
		if err := d.touch(ctx, c.LeadID, token); err != nil {
			d.Log.Warn("a harmless write was not answered", "lead", c.LeadID, "err", err)
		}
		return
	}
}

// touch writes a lead's own token to it once more.
func (d *delivery) touch(ctx context.Context, lead int64, token string) error {
	var began time.Duration
	err := d.ask(ctx, func(ctx context.Context) error {
		began = d.Clock()
		return d.Dialer.Touch(ctx, lead, d.Limits.TokenField, token)
	})
	if err == nil {
		crashpoint.Reach(crashpoint.BarrierWritten)
		d.line.touched(began)
	}
	return err
}

// remember keeps some of the leads that we added to a list, the oldest and the
// latest, by lead id.
func (l *line) remember(o OwnLead) {
	const keep = 4
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.own[o.ListID]
	at, known := slices.BinarySearchFunc(own, o, func(a, b OwnLead) int { return cmp.Compare(a.LeadID, b.LeadID) })
	if known {
		return
	}
	own = slices.Insert(slices.Clone(own), at, o)
	if len(own) > keep {
		own = slices.Delete(own, keep-1, keep)
	}
	l.own[o.ListID] = own
}

// forget drops a lead that is no control any more.
func (l *line) forget(o OwnLead) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own[o.ListID] = slices.DeleteFunc(slices.Clone(l.own[o.ListID]), func(own OwnLead) bool { return own.LeadID == o.LeadID })
}

// remembered lists the leads of a list that were remembered, the oldest first.
func (l *line) remembered(list string) []OwnLead {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own[list]
}

// firstAsk tells whether the ledger has not yet been asked for a list's leads.
func (l *line) firstAsk(list string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.looked[list]
	l.looked[list] = true
	return first
}
