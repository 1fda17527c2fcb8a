package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/crashpoint"
	"importer/internal/source/sourcetest"
)

// isOfFiles tells the points that only importers reach which pull.
func isOfFiles(point crashpoint.Point) bool { return strings.HasPrefix(string(point), "file") }

// isOfDrops tells those at which a file is on its way from its place to its end.
func isOfDrops(point crashpoint.Point) bool {
	return regexp.MustCompile(`^(file|spool|drop|close|unspooled|finish)`).MatchString(string(point))
}

// Killed between any two of list, download, spool, import and put away, and
// once more while it recovers: the next run brings everything to its end.
func TestPullKilledAtEachNamedPoint(t *testing.T) {
	t.Parallel()
	for _, point := range namedPoints(t) {
		if !isOfDrops(point) {
			continue
		}
		for place, at := range places {
			if place == "sftp" && !isOfFiles(point) && point != crashpoint.DropLeased {
				continue // they differ in the files' way alone
			}
			t.Run(string(point)+" "+place, func(t *testing.T) {
				t.Parallel()
				v := newVendor(t, at, eager)
				v.layAll(t, true, place == "sftp")
				require.True(t, v.killedAt(t, point), "nobody reaches this point")
				v.killedAt(t, point)
				p := v.start(t, "run", "acme")
				// It fails if it is the one that finds the broken file.
				require.Contains(t, []int{exitDone, exitFailed}, p.ends(t), &p.err)
				v.requireTidy(t)
				v.requireNothingLeft(t)
			})
		}
	}
}

// overtakable are the points at which another importer may do all the work.
var overtakable = []crashpoint.Point{
	crashpoint.FilesListed, crashpoint.FileFetched, crashpoint.SpoolWritten, crashpoint.SpoolNamed,
	crashpoint.DropOpened, crashpoint.FileTaken, crashpoint.FilePutAway, crashpoint.FileEnded,
}

// One importer stands still while another one, with the same spool or on
// another host, brings everything in.
func TestPullOvertakenAtEachStep(t *testing.T) {
	t.Parallel()
	for _, point := range overtakable {
		for _, config := range []string{"importer.yaml", "other.yaml"} {
			t.Run(string(point)+" "+config, func(t *testing.T) {
				t.Parallel()
				v := newVendor(t, places["sftp"], eager)
				v.onAnotherHost(t)
				v.layAll(t, false, false)
				slow := v.startTo(t, point, "run", "acme")
				require.True(t, slow.stops(t), "nobody reaches this point")
				v.pull(t, exitDone, "--config", config)
				slow.goesOn(t)
				require.NotContains(t, slow.err.String(), "could not be put away")
				v.requireEachLeadOnce(t, vendorLeads)
				v.requireTidy(t)
				v.requireNothingLeft(t)
			})
		}
	}
}

func TestTwoPullersOfOneFolderTakeEachFileOnce(t *testing.T) {
	t.Parallel()
	for _, config := range []string{"importer.yaml", "other.yaml"} {
		t.Run(config, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, lockedSFTP, eager)
			v.write(t, "importer.yaml", with(v.config(t), "lease: 1m")) // neither is to be taken for dead
			v.onAnotherHost(t)
			v.layAll(t, false, false)
			one := v.startTo(t, crashpoint.FilesListed, "run", "acme", "--json")
			two := v.startTo(t, crashpoint.FilesListed, "run", "acme", "--json", "--config", config)
			require.True(t, one.stops(t), &one.err)
			require.True(t, two.stops(t), &two.err)
			one.wake(t)
			two.wake(t)
			require.Equal(t, exitDone, one.ends(t), &one.err)
			require.Equal(t, exitDone, two.ends(t), &two.err)
			require.Equal(t, vendorLeads, one.result(t).Calls+two.result(t).Calls)
			v.requireEachLeadOnce(t, vendorLeads)
			v.requireTidy(t)
			v.requireNothingLeft(t)
		})
	}
}

// A host dies with the copies in its spool; another one fetches the files again.
func TestPullGoesOnOnAnotherHost(t *testing.T) {
	t.Parallel()
	for _, point := range []crashpoint.Point{
		crashpoint.DropOpened, crashpoint.FileTaken, crashpoint.DropLeased, crashpoint.Recorded,
		crashpoint.Settled, crashpoint.Closed, crashpoint.FilePutAway,
	} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, places["sftp"], eager)
			v.onAnotherHost(t)
			v.layAll(t, false, false)
			require.True(t, v.killedAt(t, point), "nobody reaches this point")
			v.pull(t, exitDone, "--config", "other.yaml")
			v.requireEachLeadOnce(t, vendorLeads)
			v.requireNothingLeft(t)
		})
	}
}

// The host dies between two batches of one file.
func TestPullReadsOnOnAnotherHost(t *testing.T) {
	t.Parallel()
	v := newVendor(t, places["directory"], eager)
	v.onAnotherHost(t)
	rows := manyContacts(1100)
	v.lay(t, "leads.csv", v.people("leads.csv", rows))
	require.True(t, v.killedAt(t, crashpoint.Recorded))
	require.Equal(t, []string{"false"}, v.ask(t, `SELECT complete::text FROM drops`))
	v.pull(t, exitDone, "--config", "other.yaml")
	v.requireEachLeadOnce(t, 1100)
	v.requireNothingLeft(t)
}

// The dead host's lease has still to run out: by then its files were looked at
// once, and nobody else was to take them.
func TestPullFetchesWhatADeadHostHadLeased(t *testing.T) {
	t.Parallel()
	v := newVendor(t, places["directory"], eager)
	v.write(t, "importer.yaml", strings.Replace(v.config(t), "lease: 300ms", "lease: 2s", 1))
	v.onAnotherHost(t)
	v.lay(t, "contacts.csv", v.people("contacts.csv", contacts()[:41]))
	require.True(t, v.killedAt(t, crashpoint.DropLeased))
	v.pull(t, exitDone, "--config", "other.yaml")
	v.requireEachLeadOnce(t, 40)
	v.requireNothingLeft(t)
}

func TestARefusedLoginShowsNoSecrets(t *testing.T) {
	t.Parallel()
	v := newVendor(t, lockedSFTP, eager)
	_, stranger := sourcetest.NewKey(t)
	v.write(t, "importer.yaml", strings.Replace(v.config(t), "vendor_key", "stranger", 1))
	v.write(t, "stranger", string(stranger))
	p := v.start(t, "run", "acme")
	require.Equal(t, exitFailed, p.ends(t)) // the site looks at what it has said
	require.Contains(t, p.err.String(), "login")
}
