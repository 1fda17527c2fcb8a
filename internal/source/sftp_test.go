package source_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// sftpOptions log in to a server whose host key is known.
func sftpOptions(l sourcetest.Login) source.SFTPOptions {
	return source.SFTPOptions{
		Host: l.Host, Port: l.Port, User: l.User, Key: func() string { return l.Key },
		Fingerprints: []string{l.Fingerprint()}, Timeout: 20 * time.Second, Feed: "acme",
	}
}

// newSFTP opens a place for the length of a test.
func newSFTP(t *testing.T, o source.SFTPOptions) *source.SFTP {
	t.Helper()
	p, err := source.NewSFTP(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// sftpAt opens a folder of a server.
func sftpAt(t *testing.T, l sourcetest.Login, folder string) *source.SFTP {
	t.Helper()
	o := sftpOptions(l)
	o.Folder = folder
	return newSFTP(t, o)
}

// quick is the patience of tests in which it runs out.
const quick = 200 * time.Millisecond

func TestDownloadSurvivesALineThatBreaksEvery64kB(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		login sourcetest.Login
		bytes int
	}{
		"OpenSSH":    {sourcetest.SSHD(t), 700_000}, // a process for each connection takes its time
		"in-process": {new(sourcetest.Server).Start(t).Login, 5_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sourcetest.Dir(t)
			content := lay(t, dir, "a.csv", random(k.bytes))
			line := &sourcetest.Line{Cut: 64 << 10}
			o := sftpOptions(line.To(t, k.login))
			o.Folder, o.Timeout = dir, 5*time.Second
			got, err := fetch(t, newSFTP(t, o), listed(t, dir, "a.csv"))
			require.NoError(t, err)
			require.Equal(t, sha256.Sum256(content), sha256.Sum256(got))
			require.Greater(t, line.Connections(), int64(k.bytes/(64<<10)))
		})
	}
}

func TestDownloadSurvivesALineThatBreaksAnywhere(t *testing.T) {
	t.Parallel()
	s := new(sourcetest.Server).Start(t)
	dir := sourcetest.Dir(t)
	content := lay(t, dir, "a.csv", random(400_000))
	f := listed(t, dir, "a.csv")
	for cut := int64(40_000); cut < 420_000; cut += 20_011 {
		line := &sourcetest.Line{Cut: cut}
		got, err := fetch(t, sftpAt(t, line.To(t, s.Login), dir), f)
		require.NoError(t, err, cut)
		require.True(t, bytes.Equal(content, got), cut)
	}
}

func TestLineThatBringsNothingEndsInAnError(t *testing.T) {
	t.Parallel()
	var s *sourcetest.Server
	s = (&sourcetest.Server{Before: func(method, _ string) error {
		if method == "Read" {
			s.Disconnect()
		}
		return nil
	}}).Start(t)
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", random(100_000))
	o := sftpOptions(s.Login)
	o.Folder, o.Timeout = dir, 4*time.Second
	_, err := fetch(t, newSFTP(t, o), listed(t, dir, "a.csv"))
	require.ErrorContains(t, err, "reading a.csv: the connection was lost")
	require.False(t, isFinal(err), "another time it may go well")
	require.Equal(t, 4, s.Calls("Login"))
}

func TestFileThatChangesWhileItIsReadIsNotTaken(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(file string) error{
		"grows": func(file string) error {
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(random(100_000))
			return errors.Join(err, f.Close())
		},
		"is truncated": func(file string) error { return os.Truncate(file, 150_000) },
		"is replaced": func(file string) error {
			if err := os.WriteFile(file+".new", []byte(random(1000)), 0o644); err != nil {
				return err
			}
			return os.Rename(file+".new", file)
		},
		"is written again": func(file string) error { return os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sourcetest.Dir(t)
			lay(t, dir, "a.csv", random(3_000_000))
			f := listed(t, dir, "a.csv")
			var reads atomic.Int64
			s := (&sourcetest.Server{Before: func(method, file string) error {
				if method == "Read" && reads.Add(1) == 10 {
					return change(file)
				}
				return nil
			}}).Start(t)
			_, err := fetch(t, sftpAt(t, s.Login, dir), f)
			require.ErrorIs(t, err, source.ErrChanged)
			require.False(t, isFinal(err))
		})
	}
}

func TestFileThatIsReplacedWhileTheLineIsBrokenIsNotTaken(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", random(300_000))
	f := listed(t, dir, "a.csv")
	var s *sourcetest.Server
	var reads atomic.Int64
	s = (&sourcetest.Server{Before: func(method, file string) error {
		if method == "Read" && reads.Add(1) == 6 {
			// Of the same size and time: only its content tells.
			next := file + ".new"
			err := errors.Join(os.WriteFile(next, []byte(random(300_000)), 0o644), os.Chtimes(next, f.Modified, f.Modified), os.Rename(next, file))
			if err != nil {
				return err
			}
			s.Disconnect()
		}
		return nil
	}}).Start(t)
	got, err := fetch(t, sftpAt(t, s.Login, dir), f)
	if err != nil {
		require.ErrorIs(t, err, source.ErrChanged)
		return
	}
	now, err := os.ReadFile(filepath.Join(dir, "a.csv"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(now, got), "the new file whole, nothing of the old one")
}

func TestServerThatSendsLessThanItIsAskedFor(t *testing.T) {
	t.Parallel()
	s := (&sourcetest.Server{Piece: 10_000}).Start(t)
	dir := sourcetest.Dir(t)
	content := lay(t, dir, "a.csv", random(500_000))
	p := sftpAt(t, s.Login, dir)
	got, err := fetch(t, p, listed(t, dir, "a.csv"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
}

func TestServerThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"List", "Lstat", "Get", "Read", "Rename", "Remove", "Put", "Mkdir"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			var s *sourcetest.Server
			s = (&sourcetest.Server{Before: func(m, _ string) error {
				if m == method {
					<-s.Closed()
				}
				return nil
			}}).Start(t)
			dir := sourcetest.Dir(t)
			lay(t, dir, "a.csv", "12345")
			o := sftpOptions(s.Login)
			o.Folder, o.Timeout = dir, quick
			p := newSFTP(t, o)
			var err error
			switch method {
			case "List":
				_, err = p.List(t.Context())
			case "Lstat", "Get", "Read":
				_, err = fetch(t, p, listed(t, dir, "a.csv"))
			case "Rename":
				err = p.Move(t.Context(), named("a.csv"), "b.csv")
			case "Mkdir":
				err = p.Move(t.Context(), named("a.csv"), "done/b.csv")
			case "Remove":
				err = p.Remove(t.Context(), named("a.csv"))
			case "Put":
				err = p.Write(t.Context(), "b.csv", strings.NewReader("1"))
			}
			require.Regexp(t, "200ms|the connection was lost", err) // of silence, or before on a busy machine
			require.False(t, isFinal(err))
		})
	}
}

func TestServerThatIsSlowButSpeaksIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	names := make([]string, 2000)
	for i := range names {
		names[i] = fmt.Sprintf("%060d.csv", i)
	}
	s := (&sourcetest.Server{Names: names, Before: func(method, _ string) error {
		if method == "Page" { // there are twenty
			<-time.After(300 * time.Millisecond)
		}
		return nil
	}}).Start(t)
	o := sftpOptions(s.Login)
	o.Folder, o.Timeout = dir, 5*time.Second
	files, err := newSFTP(t, o).List(t.Context())
	require.NoError(t, err)
	require.Len(t, files, 2000)
	require.Equal(t, 1, s.Calls("List"), "one listing")
}

func TestNamesThatAServerMakesUp(t *testing.T) {
	t.Parallel()
	s := (&sourcetest.Server{Names: []string{"../../etc/passwd", "nul\x00.csv", "line\nfeed.csv", "a/../b.csv", "b.csv", "..", "c/.."}}).Start(t)
	dir := sourcetest.Dir(t)
	p := sftpAt(t, s.Login, dir)
	files, err := p.List(t.Context())
	require.NoError(t, err)
	for _, f := range files {
		if f.Odd == "" { // a name without the folder that was before it
			_, err := fetch(t, p, f)
			require.ErrorIs(t, err, fs.ErrNotExist, f.Path)
			continue
		}
		require.Contains(t, []string{"a name with control characters", "one of several of this name", "no name of a file"}, f.Odd)
	}
	for _, name := range s.Asked() {
		require.True(t, strings.HasPrefix(name, dir), name)
	}
}

func TestConnectionThatDiedMeanwhileIsReplaced(t *testing.T) {
	t.Parallel()
	s := new(sourcetest.Server).Start(t)
	dir := sourcetest.Dir(t)
	content := lay(t, dir, "a.csv", "12345")
	p := sftpAt(t, s.Login, dir)
	for _, step := range []func() error{
		func() error { _, err := p.List(t.Context()); return err },
		func() error {
			got, err := fetch(t, p, listed(t, dir, "a.csv"))
			require.Equal(t, content, got)
			return err
		},
		func() error { return p.Write(t.Context(), "a.rejects.csv", strings.NewReader("1")) },
		func() error { return p.Move(t.Context(), named("a.csv"), "done/a.csv") },
		func() error { return p.Remove(t.Context(), named("done/a.csv")) },
	} {
		require.NoError(t, step())
		s.Disconnect()
	}
	require.Equal(t, []string{"a.rejects.csv"}, tree(t, dir))
	require.Equal(t, 5, s.Calls("Login"))
}

func TestUnusedConnectionIsKeptAlive(t *testing.T) {
	t.Parallel()
	s := new(sourcetest.Server).Start(t)
	o := sftpOptions(s.Login)
	o.Folder, o.Timeout = sourcetest.Dir(t), 4*time.Second
	p := newSFTP(t, o)
	_, err := p.List(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(s.Global()) > 0 }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "keepalive@openssh.com", s.Global()[0])
	_, err = p.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, s.Calls("Login"))
}

func TestRenameThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]sourcetest.Login{
		"in-process": (&sourcetest.Server{Before: func(method, _ string) error {
			if method == "Rename" {
				return errors.New("no")
			}
			return nil
		}}).Start(t).Login,
		"OpenSSH": sourcetest.SSHD(t, "ForceCommand internal-sftp -P rename"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sourcetest.Dir(t)
			lay(t, dir, "a.csv", "1")
			p := sftpAt(t, s, dir)
			require.Error(t, p.Move(t.Context(), named("a.csv"), "b.csv"))
			require.Error(t, p.Write(t.Context(), "c.csv", strings.NewReader("1")))
			require.Equal(t, []string{"a.csv"}, tree(t, dir))
		})
	}
}

func TestFileThatIsReplacedWhileItIsMovedIsMovedBack(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"once": false, "and once more": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sourcetest.Dir(t)
			renamed := false
			replace := func(content string) error { return os.WriteFile(filepath.Join(dir, "a.csv"), []byte(content), 0o644) }
			s := (&sourcetest.Server{Before: func(method, path string) error {
				switch {
				case method == "Rename" && !renamed:
					renamed = true
					return replace("new")
				case method == "Lstat" && renamed && again && path == filepath.Join(dir, "b.csv"):
					return replace("newer")
				}
				return nil
			}}).Start(t)
			lay(t, dir, "a.csv", "12345")
			err := sftpAt(t, s.Login, dir).Move(t.Context(), listed(t, dir, "a.csv"), "b.csv")
			require.ErrorIs(t, err, source.ErrChanged)
			content, readErr := os.ReadFile(filepath.Join(dir, "a.csv"))
			require.NoError(t, readErr)
			if !again {
				require.Equal(t, "new", string(content))
				require.Equal(t, []string{"a.csv"}, tree(t, dir))
				return
			}
			require.Equal(t, "newer", string(content), "nothing is overwritten")
			require.Equal(t, []string{"a.csv", "b.csv"}, tree(t, dir))
			require.ErrorContains(t, err, "a.csv changed while it was moved to b.csv, and could not be moved back")
		})
	}
}

func TestTargetThatAppearsInTheLastMomentIsNotOverwritten(t *testing.T) {
	t.Parallel()
	login := sourcetest.SSHD(t)
	dir := sourcetest.Dir(t)
	p := sftpAt(t, login, dir)
	// OpenSSH's rename itself overwrites nothing: no look before it is needed
	// for that. Many at once, one wins.
	for i := range 5 {
		name := strconv.Itoa(i)
		for _, file := range []string{name + "-a", name + "-b"} {
			lay(t, dir, file, "a")
			// Where the system lets nobody link to a file of somebody else that he
			// may not write to, OpenSSH looks and then renames.
			require.NoError(t, os.Chmod(filepath.Join(dir, file), 0o666))
		}
		q := sftpAt(t, login, dir)
		done := make(chan error)
		go func() { done <- q.Move(t.Context(), named(name+"-b"), "done/"+name) }()
		first, second := p.Move(t.Context(), named(name+"-a"), "done/"+name), <-done
		require.NotEqual(t, first == nil, second == nil, "%v, %v", first, second)
		require.ErrorIs(t, errors.Join(first, second), fs.ErrExist)
	}
	require.Len(t, tree(t, dir), 10)
}

func TestNoPermission(t *testing.T) {
	t.Parallel()
	readOnly := sourcetest.SSHD(t, "ForceCommand internal-sftp -R")
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", "1")
	lay(t, dir, "closed/b.csv", "1")
	lay(t, dir, "secret.csv", "1")
	require.NoError(t, os.Chmod(filepath.Join(dir, "secret.csv"), 0))
	require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0))
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "closed"), 0o755) }) // to be removed
	p := sftpAt(t, readOnly, dir)
	_, err := fetch(t, p, listed(t, dir, "secret.csv"))
	for _, err := range []error{
		err,
		look(t, overSFTPFor(t, readOnly), filepath.Join(dir, "closed")),
		p.Move(t.Context(), named("a.csv"), "b.csv"),
		p.Move(t.Context(), named("a.csv"), "done/b.csv"),
		p.Remove(t.Context(), named("a.csv")),
		p.Write(t.Context(), "b.csv", strings.NewReader("1")),
	} {
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, "ask the vendor for")
		require.True(t, isFinal(err))
	}
	o := sftpOptions(readOnly)
	o.Folder, o.Recursive = dir, true
	files, err := newSFTP(t, o).List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a.csv", "closed", "secret.csv"}, paths(files))
	require.Equal(t, "a folder that this login may not look into", files[1].Odd)
}

func overSFTPFor(t *testing.T, l sourcetest.Login) func(view) source.Keeper {
	open := overSFTP(l)
	return func(v view) source.Keeper {
		p, err := open(v)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close()) })
		return p
	}
}

func TestFullDiskHereIsToldAsSuch(t *testing.T) {
	t.Parallel()
	s := new(sourcetest.Server).Start(t)
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", random(100_000))
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { full.Close() })
	err = sftpAt(t, s.Login, dir).Fetch(t.Context(), listed(t, dir, "a.csv"), full)
	require.ErrorIs(t, err, syscall.ENOSPC)
}

func TestListWithoutAnEndIsGivenUp(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	s := (&sourcetest.Server{Endless: true}).Start(t)
	_, err := sftpAt(t, s.Login, dir).List(t.Context())
	require.ErrorContains(t, err, "has no end")
	require.True(t, isFinal(err))
}
