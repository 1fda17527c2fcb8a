package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Issue 5, proof 4: the dialer is away when the slot comes, whose run is made up for
// as soon as it is back.
func TestARunThatTheDialerWasAwayForIsTriedAgain(t *testing.T) {
	t.Parallel()
	v := newServed(t, "")
	v.write(t, "importer.yaml", strings.Replace(punctual, `listen: ""`, `listen: "", retry_after: 100ms`, 1)+v.fedBy("acme", ""))
	proxy := v.poisoned(t)
	proxy.Stop()
	v.leaves(t, "acme", 20)
	p := v.serves(t)
	v.does(t, "run", "acme", "--detach")
	v.eventually(t, `SELECT count(*) >= 2 FROM schedule_slots WHERE verdict = 'again' AND ended IS NOT NULL`)
	require.NoError(t, proxy.Start())
	v.loaded(t, 20)
	v.eventually(t, `SELECT count(*) = 0 FROM schedule_slots WHERE ended IS NULL`)
	p.terminate(t)
	require.Equal(t, []string{"asked 0"}, v.ask(t, `SELECT verdict || ' ' || tries FROM schedule_slots WHERE verdict <> 'again'`))
	require.Equal(t, []string{"t t t"}, v.ask(t, `
		SELECT concat_ws(' ', max(tries) = count(*), count(DISTINCT origin) = 1, min(origin) = (SELECT slot FROM schedule_slots WHERE verdict = 'asked'))
		FROM schedule_slots WHERE verdict = 'again'`))
	require.Equal(t, []string{"true"}, v.ask(t, `SELECT (error = '')::text FROM runs ORDER BY id DESC LIMIT 1`))
	v.requireEachLeadOnce(t, 20)
}

// What a person must change is not tried again: it would be as before, and an account
// may be locked.
func TestARefusedLoginIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	v := newServed(t, "")
	v.write(t, "importer.yaml", strings.Replace(punctual, `listen: ""`, `listen: "", retry_after: 1ms`, 1)+v.fedBy("acme", ""))
	v.env = append(v.env, "DIALER_PASSWORD=another")
	v.leaves(t, "acme", 20)
	p := v.serves(t)
	v.does(t, "run", "acme", "--detach")
	v.eventually(t, `SELECT count(*) = 1 FROM schedule_slots WHERE ended IS NOT NULL`)
	p.terminate(t)
	require.Equal(t, []string{"asked"}, v.verdicts(t, "acme"))
}
