package config_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
)

const (
	hook   = "webhook: {url: 'https://hooks.example.com/hunter2'}"
	chat   = "chat: {url: 'https://chat.example.com/hunter2'}"
	letter = "host: smtp.example.com, from: importer@example.com, to: manager@example.com"
)

func TestEachMistakeInServingIsExplainedWithItsPlace(t *testing.T) {
	t.Parallel()
	pulled := func(keys string) string { return with("source: {" + folder + "}\n    " + keys) }
	serve := func(keys string) string { return "serve: {" + keys + "}\n" }
	target := func(way string) string { return "notify: {ops: {" + way + "}}\n" }
	mail := func(keys string) string { return target("mail: {" + keys + "}") }
	for name, tc := range map[string]struct{ text, want string }{
		"an address without port": {serve("listen: localhost"), "1:17: serve.listen must be HOST:PORT, such as 127.0.0.1:9180, or empty for none"},
		"an address of no port":   {serve("listen: 'localhost:http'"), "1:17: serve.listen must be HOST:PORT, such as 127.0.0.1:9180, or empty for none"},
		"an address of a page":    {serve("listen: 'http://localhost:80'"), "1:17: serve.listen must be HOST:PORT, such as 127.0.0.1:9180, or empty for none"},
		"a port too high":         {serve("listen: '127.0.0.1:65536'"), "1:17: serve.listen must be HOST:PORT, such as 127.0.0.1:9180, or empty for none"},
		"no runs":                 {serve("runs: 0"), "1:15: serve.runs must be from 1 to 100"},
		"too many runs":           {serve("runs: 101"), "1:15: serve.runs must be from 1 to 100"},
		"no time between tries":   {serve("retry_after: 0"), "1:22: serve.retry_after must be longer than 0"},
		"no time to stop":         {serve("stop_timeout: 0"), "1:23: serve.stop_timeout must be longer than 0"},

		"a schedule without a source":  {with("schedule: '@daily'"), "10:15: feeds.acme has a schedule, but no source that could be pulled: add a source, or remove the schedule"},
		"a source that is a text":      {with("source: drops\n    schedule: '@daily'"), "10:13: feeds.acme.source must be a mapping, with lines of the form key: value"},
		"a schedule of a mapping":      {pulled("schedule: {a: b}\n    expect_by: 07:30"), "11:5: feeds.acme.schedule must be a text or a list of texts"},
		"parts of a second":            {pulled("schedule: '@every 1.5s'"), "11:15: feeds.acme.schedule repeats in less than a second or between seconds: write whole seconds, such as @every 90s"},
		"a catch-up without unit":      {pulled("catch_up: 12"), `11:15: feeds.acme.catch_up must be a duration such as 500ms, 30s, 6m or 90d, not "12"`},
		"another overlap":              {pulled("overlap: both"), "11:14: feeds.acme.overlap must be one of skip, queue"},
		"a blackout of one time":       {pulled("blackouts: '22:00'"), "11:16: feeds.acme.blackouts is no daily window: write two times of day, such as 22:00-06:00"},
		"a second blackout of nothing": {pulled("blackouts: ['22:00-06:00', '12:00-12:00']"), "11:32: feeds.acme.blackouts[1] begins when it ends: write 00:00-24:00 for the whole day, or pause the feed"},
		"a holiday that never is":      {pulled("holidays: [2026-12-25, 2026-02-30]"), "11:28: feeds.acme.holidays[1] is no date: write year, month and day, such as 2026-12-25"},
		"a time that is none":          {pulled("schedule: '@daily'\n    expect_by: 7:30"), "12:16: feeds.acme.expect_by is no time of day: write hours and minutes, such as 07:30"},
		"a time without a schedule":    {pulled("expect_by: 07:30"), "11:16: feeds.acme.expect_by needs a schedule, which brings the drop: add one, or remove expect_by"},
		"nobody of that name":          {target(hook) + with("notify: {boss: always}"), `11:20: feeds.acme.notify names "boss", which is not under notify: add it there (it has ops)`},
		"another occasion":             {target(hook) + with("notify: {ops: never}"), "11:19: feeds.acme.notify.ops must be one of always, trouble, late"},
		"a drop that is never late":    {target(hook) + with("notify: {ops: late}"), "11:19: feeds.acme.notify.ops is late, but no drop is ever late: set expect_by, or write trouble"},

		"a target's name": {strings.Replace(target(hook), "ops", "o.ps", 1), `1:10: the target name "o.ps" has characters other than letters, digits, - and _: rename it`},
		"no way":          {target(""), "1:10: notify.ops has none of webhook, chat and mail: say with one of them how it is told"},
		"two ways":        {target(hook + ", " + chat), "1:10: notify.ops has several of webhook, chat and mail: keep one of them, and make a target of its own for each other"},
		"another way":     {target("sms: {}, " + chat), `1:16: notify.ops has no key "sms": use chat, mail, webhook`},
		"a way as a text": {target("chat: 'https://chat.example.com/hunter2'"), "1:22: notify.ops.chat must be a mapping, with lines of the form key: value"},
		"a text as a way": {"notify: {ops: someone}\n", "1:15: notify.ops must be a mapping, with lines of the form key: value"},

		"no webhook":           {target("webhook: {}"), "1:16: notify.ops.webhook.url is missing: write the whole address, such as https://hooks.example.com/importer"},
		"no whole webhook":     {target("webhook: {url: hooks.example.com}"), "1:31: notify.ops.webhook.url is no web address: write the whole address, such as https://hooks.example.com/importer"},
		"a webhook and login":  {target("webhook: {url: 'https://u:hunter2@hooks.example.com/'}"), "1:31: notify.ops.webhook.url holds a user or password: use token instead"},
		"a plain webhook":      {target("webhook: {url: 'http://hooks.example.com/hunter2'}"), "1:31: notify.ops.webhook.url is plain http, which shows what is told to the network: use https, or set allow_http: true"},
		"two tokens":           {target("webhook: {url: 'https://hooks.example.com', token: hunter2, token_file: t}"), "1:88: notify.ops.webhook has both token and token_file: keep one of them"},
		"a token of two lines": {target(`webhook: {url: 'https://hooks.example.com', token: "hunter2\nhunter2"}`), "1:67: the token of notify.ops.webhook has a line break or another character that cannot be sent: correct it"},

		"no chat":      {target("chat: {}"), "1:16: notify.ops.chat.url is missing: write the whole address that the chat gave you for incoming messages"},
		"a plain chat": {target("chat: {url: 'http://chat.example.com/hunter2'}"), "1:28: notify.ops.chat.url is plain http, which shows what is told to the network: use https, or set allow_http: true"},

		"no mail server":        {mail("from: a@example.com, to: b@example.com"), "1:16: notify.ops.mail.host is missing: name the mail server, such as smtp.example.com"},
		"a mail server's port":  {mail("host: 'smtp.example.com:587', from: a@example.com, to: b@example.com"), "1:29: notify.ops.mail.host must be a server's name or address alone, such as smtp.example.com"},
		"no port":               {mail(letter + ", port: 0"), "1:106: notify.ops.mail.port must be from 1 to 65535, usually 587"},
		"another encryption":    {mail(letter + ", tls: ssl"), "1:105: notify.ops.mail.tls must be one of starttls, tls, none"},
		"a user alone":          {mail(letter + ", user: u"), "1:106: notify.ops.mail has a user, but no password: set password: ${NAME} (and that variable), or password_file"},
		"a password alone":      {mail(letter + ", password: hunter2"), "1:16: notify.ops.mail has a password, but no user: write the login of the mail server"},
		"two passwords":         {mail(letter + ", user: u, password: hunter2, password_file: p"), "1:143: notify.ops.mail has both password and password_file: keep one of them"},
		"an open password":      {mail(letter + ", user: u, password: hunter2, tls: none"), "1:133: notify.ops.mail.tls is none, which shows the password to the network: use starttls or tls, or no user"},
		"no sender":             {mail("host: h, to: b@example.com"), "1:16: notify.ops.mail.from is missing: write the sender's mail address"},
		"a sender that is none": {mail("host: h, from: hunter2, to: b@example.com"), "1:38: notify.ops.mail.from is no mail address: write one such as importer@example.com"},
		"no receiver":           {mail("host: h, from: a@example.com"), "1:16: notify.ops.mail.to is missing: write the receiver's mail address, or a list of them"},
		"two lines to receive":  {mail(`host: h, from: a@example.com, to: [b@example.com, "c@example.com\nBcc: d@example.com"]`), "1:73: notify.ops.mail.to[1] is no mail address: write one such as importer@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := complaint(t, tc.text)
			require.Equal(t, "importer.yaml:"+tc.want, got)
			require.NotContains(t, got, hidden)
		})
	}
}

func TestServingIsCompleted(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, with("source: {"+folder+"}")+fmt.Sprintf(`    schedule: ["0 6 * * 1-5", "@every 90s"]
    catch_up: 0
    overlap: queue
    blackouts: 22:00-06:00
    holidays: [2026-12-25, 2027-01-01]
    expect_by: 07:30
    notify: {ops: always, team: trouble, manager: late}
serve: {listen: "", runs: 100, retry_after: 5s, stop_timeout: 30s}
notify:
  ops: {webhook: {url: 'http://[::1]:8080/x', token_file: %s}}
  team: {chat: {url: http://chat.example.com/x, allow_http: true}}
  manager: {mail: {host: 127.0.0.1, port: 25, tls: none, user: u, password: p, from: Importer <importer@example.com>, to: [a@example.com, b@example.com]}}
`, write(t, "token", "secret-2\n", 0o600)))
	require.NoError(t, err)
	require.Equal(t, config.Serve{Runs: 100, RetryAfter: config.Duration(5 * time.Second), StopTimeout: config.Duration(30 * time.Second)}, cfg.Serve)
	acme := cfg.Feeds["acme"]
	require.Zero(t, acme.CatchUp)
	require.Equal(t, "queue", acme.Overlap)
	require.Equal(t, config.Strings{"22:00-06:00"}, acme.Blackouts)
	require.Equal(t, config.Strings{"2026-12-25", "2027-01-01"}, acme.Holidays)
	require.Equal(t, "07:30", acme.ExpectBy)
	require.Equal(t, map[string]string{"ops": "always", "team": "trouble", "manager": "late"}, acme.Notify)
	require.Equal(t, "secret-2", cfg.Notify["ops"].Webhook.Token.Reveal())
	require.True(t, cfg.Notify["team"].Chat.AllowHTTP)
	require.Equal(t, config.Strings{"a@example.com", "b@example.com"}, cfg.Notify["manager"].Mail.To)
}

func TestServingListensWhereItIsTold(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{":9180", "0.0.0.0:9180", "[::1]:0", "localhost:9180", "importer.example.com:9180"} {
		cfg, err := load(t, "serve: {listen: '"+listen+"'}\n")
		require.NoError(t, err, listen)
		require.Equal(t, listen, cfg.Serve.Listen)
	}
}

func TestRulesForSlotsDoNoHarmWithoutASchedule(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, with("blackouts: [\"22:00-06:00\"]\n    holidays: 2026-12-25\n    catch_up: 1h"))
	require.NoError(t, err)
	require.Empty(t, cfg.Warnings)
}

func TestATargetNeverShowsItsSecrets(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, smallest+`notify:
  ops: {webhook: {url: 'https://hooks.example.com/hunter2', token: hunter2}}
  team: {`+chat+`}
  manager: {mail: {`+letter+`, user: u, password: hunter2}}
`)
	require.NoError(t, err)
	redacted, err := cfg.Redacted()
	require.NoError(t, err)
	require.Equal(t, 5, strings.Count(string(redacted), "[redacted]"), "the dialer's password and all of these")
	asJSON, err := json.Marshal(cfg)
	require.NoError(t, err)
	for how, text := range map[string]string{"Redacted": string(redacted), "JSON": string(asJSON), "%+v": fmt.Sprintf("%+v", cfg.Notify)} {
		requireHidden(t, how, text)
	}
}

func TestATargetsSecretsInAnOpenConfigurationAreAWarning(t *testing.T) {
	t.Parallel()
	path := write(t, "importer.yaml", `notify:
  ops: {webhook: {url: 'https://hooks.example.com/hunter2', token: hunter2}}
  team: {`+chat+`}
  manager: {mail: {`+letter+`, user: u, password: hunter2}}
  rehearsal: {webhook: {url: 'http://localhost/x'}}
  play: {chat: {url: 'http://127.0.0.1/x'}}
`, 0o644)
	cfg, err := config.Load(path, knowledge)
	require.NoError(t, err)
	var paths []string
	for _, w := range cfg.Warnings {
		subject, _, found := strings.Cut(w.Message, " stands here in clear and others may read this file")
		require.True(t, found, w.Message)
		paths = append(paths, subject)
	}
	require.Equal(t, []string{
		"notify.ops.webhook.url", "notify.ops.webhook.token", "notify.team.chat.url", "notify.manager.mail.password",
	}, paths)
}
