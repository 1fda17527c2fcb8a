package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"importer/internal/importer"
	"importer/internal/nonagent"
)

// answer is what became of one question to a dialer.
type answer string

const (
	answerOK       answer = "ok"
	answerFailed   answer = "FAILED"
	answerUnproven answer = "unproven" // nobody can tell yet; importing is not held back
	answerWarning  answer = "warning"  // importing works, something should be better
)

// question is one harmless thing to ask a dialer, and what it answered.
type question struct {
	What   string `json:"question"`
	Answer answer `json:"answer"`
	Why    string `json:"why,omitempty"`
}

// doubt is an error that is no failure.
type doubt struct {
	answer answer
	why    string
}

func (d *doubt) Error() string { return d.why }

func unproven(format string, a ...any) error {
	return &doubt{answerUnproven, fmt.Sprintf(format, a...)}
}

func warning(format string, a ...any) error {
	return &doubt{answerWarning, fmt.Sprintf(format, a...)}
}

// inquiry asks one question after the other.
type inquiry struct {
	asked
	questions []question
	over      bool // every further question would fail as the last one has
}

// ask asks a question, unless it is known how it would end. The error is the
// question's, and noted.
func (q *inquiry) ask(what string, ask func() error) error {
	if q.over {
		return nil
	}
	err := ask()
	note := question{What: what, Answer: answerOK}
	if err != nil {
		note.Answer, note.Why = answerFailed, err.Error()
	}
	var d *doubt
	if errors.As(err, &d) {
		note.Answer = d.answer
	}
	q.questions = append(q.questions, note)
	// A refused login, for example: ten of them lock the account.
	var known importer.LookupError
	if errors.As(err, &known) {
		_, q.over = known.Final()
	}
	return err
}

// dialerCheck asks whether importing will work: one harmless question for each
// thing that it needs.
func dialerCheck(ctx context.Context, d asked, _ []string) error {
	v, speed, err := measure(ctx, d.Client)
	if err != nil {
		return err
	}
	q := &inquiry{asked: d}
	q.rights(ctx)
	q.lists(ctx)
	_ = q.ask("reading one of our leads back by its token", func() error { return q.readBack(ctx) })
	_ = q.ask("no rights beyond the need", func() error { return q.excess(ctx) })
	_ = q.ask("speed", speed.judge)

	failed := 0
	text := fmt.Sprintf("%s, answered in %s, of which the network took %s", versionSentence(d.name, v), short(speed.answer), short(speed.network))
	for _, a := range q.questions {
		text += fmt.Sprintf("\n  %-8s  %s", a.Answer, a.What)
		if a.Why != "" {
			text += ": " + a.Why
		}
		if a.Answer == answerFailed {
			failed++
		}
	}
	err = d.say(map[string]any{
		"dialer": d.name, "version": v.Version, "build": v.Build, "ready": failed == 0, "questions": q.questions,
		"seconds": speed.answer.Seconds(), "network_seconds": speed.network.Seconds(),
	}, "%s", text)
	if err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("dialer %s is not ready: %d of %d questions failed", d.name, failed, len(q.questions))
	}
	return nil
}

// speed is how fast a dialer answers a call that does nothing.
type speed struct {
	answer  time.Duration // half of the calls were faster
	network time.Duration // of it: one way there and back
}

// measure asks for the version several times.
func measure(ctx context.Context, c *nonagent.Client) (v nonagent.Version, s speed, err error) {
	const calls = 5
	var answers []time.Duration
	for range calls {
		if v, err = c.Version(ctx); err != nil {
			return v, s, err
		}
		answers = append(answers, v.Answer)
		s.network = max(s.network, v.Connect) // that of the one connection that was set up
	}
	slices.Sort(answers)
	s.answer = answers[calls/2]
	s.network = min(s.network, s.answer)
	return v, s, nil
}

// judge recognises a PHP that compiles the API's script anew for every call:
// 60 ms instead of 5, measured.
func (s speed) judge() error {
	const slow = 40 * time.Millisecond
	own := s.answer - s.network
	if own < slow {
		return nil
	}
	return warning("the dialer itself takes %s to answer a call that does nothing, where 5ms are usual: this looks like a PHP without its opcode cache, or a machine without a free processor; install PHP's opcache and set opcache.enable=1 on the dialer's web server, every call will be faster", short(own))
}

// rights asks for each function that importing needs.
func (q *inquiry) rights(ctx context.Context) {
	_ = q.ask("login (campaigns_list)", func() error {
		_, err := q.CampaignsList(ctx)
		return err
	})
	_ = q.ask("finding leads (lead_search)", func() error {
		_, err := q.Search(ctx, "999", []string{"1000000000"})
		return err
	})
	_ = q.ask("reading leads (lead_field_info)", func() error {
		_, err := q.Field(ctx, 1, "source_id")
		var e *nonagent.Error
		if errors.As(err, &e) && e.Kind == nonagent.KindNotFound {
			return nil
		}
		return err
	})
	_ = q.ask("updating leads (update_lead, told to change nothing)", func() error { return q.MayUpdate(ctx) })
	if len(q.listsOf(q.name)) > 0 {
		return // asked for each of them
	}
	_ = q.ask("adding leads (add_lead, with a number of one digit)", func() error {
		err := q.MayAdd(ctx, "999")
		var e *nonagent.Error
		if errors.As(err, &e) && e.Reason == nonagent.ReasonListNotDefined {
			return nil // rights come first
		}
		return err
	})
}

// lists asks whether the feeds' lists are there, and may be added to.
func (q *inquiry) lists(ctx context.Context) {
	lists := q.listsOf(q.name)
	for _, id := range sortedKeys(lists) {
		list := fmt.Sprintf("list %s of feed %s", id, strings.Join(lists[id], ", "))
		err := q.ask(list+" (list_info)", func() error {
			l, err := q.ListInfo(ctx, id)
			if err == nil && !l.Active {
				return fmt.Errorf("the list is inactive: its leads will not be dialled until it is switched on (campaign %s)", l.Campaign)
			}
			return err
		})
		var e *nonagent.Error
		if errors.As(err, &e) && e.Reason == nonagent.ReasonListNotDefined {
			continue
		}
		_ = q.ask("adding leads to "+list+" (add_lead, with a number of one digit)", func() error { return q.MayAdd(ctx, id) })
	}
}

// excess warns of rights that this user does not need.
func (q *inquiry) excess(ctx context.Context) error {
	functions, err := q.Excess(ctx)
	if err != nil || len(functions) == 0 {
		return err
	}
	return warning("the API user may also call %s, and so probably every function: limit its Allowed API Functions to %s",
		strings.Join(functions, ", "), strings.Join(nonagent.Functions(), " "))
}

// readBack finds a lead that the ledger says is ours and reads its token, as
// is done after a lost answer.
func (q *inquiry) readBack(ctx context.Context) error {
	const newest = 5
	field := q.conf.TokenField
	if field == "none" {
		return unproven("leads carry no token (token_field: none), so rows whose answers are lost will wait for a person")
	}
	own, err := q.ownLeads(ctx, newest)
	if err != nil {
		return err
	}
	if len(own) == 0 {
		return unproven("not proven yet, since the ledger has no lead at this dialer: import one lead, then check again")
	}
	for _, o := range own {
		found, err := q.Search(ctx, o.ListID, []string{o.Phone})
		if err != nil {
			return err
		}
		if !slices.Contains(found[o.Phone], o.LeadID) {
			continue // deleted, or moved to another list
		}
		token, err := q.Field(ctx, o.LeadID, field)
		if err != nil {
			return fmt.Errorf("lead %d is found, but cannot be read: %w", o.LeadID, err)
		}
		if !q.keys.Owns(token, o.Feed, o.SHA256, o.Record) {
			return fmt.Errorf("lead %d is found, but its %s does not hold the token that it was added with: something else writes that field, choose another token_field", o.LeadID, field)
		}
		return nil
	}
	return unproven("not proven, since none of the %d leads added last is in the list that it was added to: import one lead, then check again", len(own))
}

// ownLeads are leads that the ledger says are at the dialer. A ledger that is
// not there yet has none, and is not made for the question.
func (q *inquiry) ownLeads(ctx context.Context, limit int) ([]importer.OwnLead, error) {
	if q.cfg.Ledger.DSN.Reveal() == "" {
		_, err := os.Stat(filepath.Join(q.cfg.StateDir, "postgres"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	err := q.openLedger(ctx)
	if err == nil {
		var own []importer.OwnLead
		if own, err = q.ledger.Ours(ctx, q.name, "", limit); err == nil {
			return own, nil
		}
	}
	return nil, unproven("not proven, since the ledger cannot be read: %v", err)
}
