// Command dist makes what is handed out of a version: for each system an archive
// with a static program, its pages and its examples, and the archives' sums. Two
// makes of one commit with one Go are the same to the byte.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// system is one that there is an archive for.
type system struct{ os, arch string }

var systems = []system{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}}

// carried are the files of the checkout that lie in each archive, where they
// lie in the checkout.
var carried = []string{
	"CHANGELOG.md", "LICENSE", "README.md", "docs/*.md", "docs/adr/*.md",
	"configs/importer.example.yaml", "configs/simulate.yaml", "configs/systemd/*",
}

// shells are those that there are completions for, and the files' usual names.
var shells = map[string]string{"bash": "importer.bash", "zsh": "_importer", "fish": "importer.fish", "powershell": "importer.ps1"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Getenv("VERSION"), os.Getenv("SOURCE_DATE_EPOCH"), "dist")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// run makes the archives of a version in the folder out. epoch is the time that
// all of their files have, in seconds; the commit's own is right.
func run(ctx context.Context, version, epoch, out string) (err error) {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if version == "" || err != nil {
		return errors.New("VERSION and SOURCE_DATE_EPOCH tell what is made: run make dist in a git checkout, or set both")
	}
	tmp, err := os.MkdirTemp("", "importer-dist-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	common, err := commonFiles(ctx, tmp, version, epoch)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(out), os.Mkdir(out, 0o755)); err != nil { //nolint:gosec // it is for everybody
		return err
	}

	var sums strings.Builder
	for _, s := range systems {
		name := fmt.Sprintf("importer_%s_%s_%s", strings.TrimPrefix(version, "v"), s.os, s.arch)
		program := filepath.Join(tmp, name)
		if err := build(ctx, s, version, program); err != nil {
			return err
		}
		files := append(slices.Clone(common), file{name: "importer", path: program, mode: 0o755})
		archive := name + ".tar.gz"
		sum, err := pack(filepath.Join(out, archive), name, time.Unix(seconds, 0), files)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, archive)
		fmt.Fprintln(os.Stdout, filepath.Join(out, archive))
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644) //nolint:gosec // it is for everybody
}

// commonFiles are what every archive holds beside its program: the checkout's
// files, and the pages and completions that the program writes of itself.
func commonFiles(ctx context.Context, tmp, version, epoch string) ([]file, error) {
	var files []file
	for _, pattern := range carried {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("%s is not there: run this at the top of the checkout", pattern)
		}
		for _, path := range paths {
			files = append(files, file{name: path, path: path, mode: 0o644})
		}
	}

	program := filepath.Join(tmp, "importer")
	if err := build(ctx, system{}, version, program); err != nil {
		return nil, err
	}
	made := filepath.Join(tmp, "made")
	man := exec.CommandContext(ctx, program, "man", filepath.Join(made, "man", "man1"))
	man.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+epoch, "TZ=UTC")
	if text, err := man.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the man pages cannot be made: %w: %s", err, text)
	}
	for shell, name := range shells {
		text, err := exec.CommandContext(ctx, program, "completion", shell).Output()
		if err != nil {
			return nil, fmt.Errorf("the completions for %s cannot be made: %w", shell, err)
		}
		path := filepath.Join(made, "completions", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644)); err != nil { //nolint:gosec // they are for everybody
			return nil, err
		}
	}
	err := filepath.WalkDir(made, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(made, path)
		files = append(files, file{name: name, path: path, mode: 0o644})
		return err
	})
	return files, err
}

// build builds the program for a system, the zero one being this machine.
func build(ctx context.Context, s system, version, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", //nolint:gosec // whoever makes a version names it
		"-ldflags", "-s -w -X main.stamp="+version, "-o", to, "./cmd/importer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if s != (system{}) {
		cmd.Env = append(cmd.Env, "GOOS="+s.os, "GOARCH="+s.arch)
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the program for %s/%s cannot be built: %w: %s", s.os, s.arch, err, text)
	}
	return nil
}

// sumOf is the SHA-256 of a file's bytes as sha256sum writes it.
func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
