package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"importer/internal/config"
	"importer/internal/daemon/health"
)

const (
	dockerfile    = "../../Dockerfile"
	composeFile   = "../../docker-compose.yml"
	composeConfig = "../../configs/compose/importer.yaml"
	composeEnv    = "../../configs/compose/importer.env"
	unitFile      = "../../configs/systemd/importer.service"
)

// composed is what the tests ask of docker-compose.yml.
type composed struct {
	Services map[string]composedService `yaml:"services"`
	Volumes  map[string]any             `yaml:"volumes"`
}

type composedService struct {
	Build     any      `yaml:"build"`
	Command   []string `yaml:"command"`
	Ports     []any    `yaml:"ports"`
	ReadOnly  bool     `yaml:"read_only"`
	CapDrop   []string `yaml:"cap_drop"`
	Volumes   []string `yaml:"volumes"`
	StopGrace string   `yaml:"stop_grace_period"`
}

// isImporter tells the services that are this program.
func (s composedService) isImporter() bool {
	build, ok := s.Build.(map[string]any)
	return ok && build["context"] == "."
}

func TestWhatIsShippedCallsThisProgramAsItWantsToBeCalled(t *testing.T) {
	t.Parallel()
	calls := map[string][]string{
		"the image":               instruction(t, `(?m)^CMD (.+)$`),
		"the image's healthcheck": instruction(t, `(?m)^HEALTHCHECK .*CMD (.+)$`)[1:],
		"the unit":                strings.Fields(unit(t)["ExecStart"])[1:],
	}
	for name, s := range compose(t).Services {
		if s.isImporter() {
			calls["the service "+name] = s.Command
		}
	}
	require.Len(t, calls, 5)
	for who, call := range calls {
		cmd, rest, err := newRoot(strings.NewReader(""), io.Discard, io.Discard).Find(call)
		require.NoError(t, err, who)
		require.NoError(t, cmd.ParseFlags(rest), who)
		require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), who)
	}
	program := instruction(t, `(?m)^ENTRYPOINT (.+)$`)
	require.Equal(t, program[0], instruction(t, `(?m)^HEALTHCHECK .*CMD (.+)$`)[0])
	require.Equal(t, program[0], strings.Fields(unit(t)["ExecStart"])[0])
}

func TestTheImageIsBuiltByTheGoThatTheModuleAsksFor(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	image, err := os.ReadFile(dockerfile)
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	require.NotNil(t, version)
	require.Contains(t, string(image), "FROM golang:"+string(version[1])+"-")
}

func TestServeIsGivenTheTimeThatItTakesToStop(t *testing.T) {
	cfg := rehearsal(t)
	const postgresStops = 10 * time.Second // localpg waits so long for its own
	for who, text := range map[string]string{
		"the service": compose(t).Services["importer"].StopGrace,
		"the unit":    strings.Replace(unit(t)["TimeoutStopSec"], "min", "m", 1),
	} {
		given, err := time.ParseDuration(text)
		require.NoError(t, err, who)
		require.Greater(t, given, cfg.Serve.StopTimeout.Std()+postgresStops, who)
	}
	require.Equal(t, "mixed", unit(t)["KillMode"])
}

func TestTheRehearsalFindsWhatItNeeds(t *testing.T) {
	cfg, services := rehearsal(t), compose(t).Services
	require.Empty(t, cfg.Warnings)
	for name, d := range cfg.Dialers {
		address, err := url.Parse(d.URL)
		require.NoError(t, err)
		require.Contains(t, services, address.Hostname(), name)
		require.Contains(t, services[address.Hostname()].Command, "0.0.0.0:"+address.Port(), name)
	}
	dsn, err := url.Parse(cfg.Ledger.DSN.Reveal())
	require.NoError(t, err)
	require.Contains(t, services, dsn.Hostname())

	var mounted []string
	for _, volume := range services["importer"].Volumes {
		mounted = append(mounted, strings.Split(volume[strings.LastIndex(volume, ":/")+1:], ":")[0])
	}
	require.Contains(t, mounted, cfg.StateDir)
	require.Contains(t, mounted, cfg.Feeds["acme"].Source.Directory.Path)
	require.Contains(t, services, cfg.Feeds["bravo"].Source.SFTP.Host)
	for name, f := range cfg.Feeds {
		require.NotEmpty(t, f.Schedule, name)
	}
}

func TestServicesReachNoFurtherThanTheyMust(t *testing.T) {
	t.Parallel()
	for name, s := range compose(t).Services {
		require.Empty(t, s.Ports, name)
		if s.isImporter() {
			require.True(t, s.ReadOnly, name)
			require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		}
	}
}

func TestHealthcheckBelievesReadyAlone(t *testing.T) {
	t.Parallel()
	ready := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(health.VersionHeader, "1")
		switch {
		case r.URL.Path != "/readyz":
			w.WriteHeader(http.StatusNotFound)
		case !ready:
			http.Error(w, "the ledger is away", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	require.EqualError(t, askReady(t.Context(), address), "importer serve is not ready (503): the ledger is away")
	ready = true
	require.NoError(t, askReady(t.Context(), address))
	require.ErrorContains(t, askReady(t.Context(), free(t)), "no importer serve answers at serve.listen")
}

func compose(t *testing.T) composed {
	t.Helper()
	text, err := os.ReadFile(composeFile)
	require.NoError(t, err)
	var c composed
	require.NoError(t, yaml.Unmarshal(text, &c))
	return c
}

// rehearsal is the configuration of docker-compose.yml as the program reads it.
func rehearsal(t *testing.T) *config.Config {
	t.Helper()
	text, err := os.ReadFile(composeEnv)
	require.NoError(t, err)
	for _, pair := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		t.Setenv(pair[1], pair[2])
	}
	sh := &shell{config: composeConfig, out: io.Discard, errOut: io.Discard}
	a, err := sh.load()
	require.NoError(t, err)
	return a.cfg
}

// instruction is the list of words in the Dockerfile that an expression finds.
func instruction(t *testing.T, expression string) (words []string) {
	t.Helper()
	text, err := os.ReadFile(dockerfile)
	require.NoError(t, err)
	m := regexp.MustCompile(expression).FindSubmatch(text)
	require.NotNil(t, m, expression)
	require.NoError(t, json.Unmarshal(m[1], &words))
	return words
}

// unit are the unit's settings, the last of each.
func unit(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(unitFile)
	require.NoError(t, err)
	defer f.Close()
	settings := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), "="); found && !strings.HasPrefix(key, "#") {
			settings[key] = value
		}
	}
	return settings
}
