package dialersim

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"time"
)

// User is one user of the dialer.
type User struct {
	// Name and Password are compared without regard to case, and with what
	// remains of the sent ones after everything but [-_0-9A-Za-z] was dropped:
	// a password with other characters never matches.
	Name, Password string
	Group          string // default ADMIN
	Level          int    // 7 may use the API, 8 may add leads
	Inactive       bool
	APIAccess      bool // vdc_agent_api_access
	ModifyLeads    int  // 1–4: read and write, 5: search only
	ModifyLists    bool
	ViewReports    bool
	ListRestrict   bool     // api_list_restrict: only lists of the group's campaigns
	Functions      []string // api_allowed_functions; empty: all
	// TwoFactorOverride lets the user in without a second factor.
	TwoFactorOverride bool
}

// APIUser is a user who may do everything that the simulated API offers.
func APIUser(name, password string) User {
	return User{
		Name: name, Password: password, Group: "ADMIN", Level: 9,
		APIAccess: true, ModifyLeads: 1, ModifyLists: true, ViewReports: true,
	}
}

// Group is one user group.
type Group struct {
	ID        string
	Campaigns []string // that its users may use; empty: all
	IPs       []string // that its users may call from; empty: any
}

const (
	maxFailures = 10
	lockWindow  = 15 * time.Minute
)

// account is a user with what the login remembers. Guarded by Dialer.mu.
type account struct {
	User
	failures  int
	lastLogin time.Time // of the last success, or of a failure that began a new window
}

// login checks who asks and says what is wrong. These answers are not logged.
// The counter's window runs from the last good login, not from the failures.
func (c *call) login() bool {
	c.userName = filter(c.form.get("user"), dashedWord, false)
	password := filter(c.form.get("pass"), dashedWord, false)
	d := c.d
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.accounts[strings.ToLower(c.userName)]
	if a == nil {
		c.print("ERROR: Login incorrect, please try again: |", c.userName, "|", password, "|BAD|\n")
		return false
	}
	recent := c.now.Sub(a.lastLogin) < lockWindow
	if a.failures >= maxFailures && recent || c.set.AccountLocked {
		c.print("ERROR: Too many login attempts, try again in 15 minutes: |", c.userName, "|LOCK|\n")
		return false
	}
	if !strings.EqualFold(a.Password, password) || c.set.PasswordChanged || a.Inactive || a.Level < 7 {
		if !recent {
			a.failures, a.lastLogin = 0, c.now
		}
		a.failures++
		c.print("ERROR: Login incorrect, please try again: |", c.userName, "|", password, "|BAD|\n")
		return false
	}
	if c.set.TwoFactor && !a.TwoFactorOverride {
		c.print("ERROR: Login incorrect, please try again: |", c.userName, "|", password, "|2FA|\n")
		return false
	}
	a.failures, a.lastLogin = 0, c.now
	c.user = a.User
	group, ok := d.groups[cmp.Or(a.Group, "ADMIN")]
	c.group = group
	if ip := c.remoteIP(); len(group.IPs) > 0 && !slices.Contains(group.IPs, ip) {
		c.print("ERROR: Your IP Address is not allowed: ", ip, ": ||IPBLOCK|\n")
		return false
	}
	if !ok && a.ListRestrict {
		c.print("ERROR: user_group DOES NOT EXIST: |", c.userName, "|", a.Group, "|\n")
		return false
	}
	return true
}

func (c *call) remoteIP() string {
	host, _, err := net.SplitHostPort(c.remoteAddr)
	if err != nil {
		return c.remoteAddr
	}
	return host
}

// mayUse tells whether the user's group may use a campaign.
func (c *call) mayUse(campaign string) bool {
	return len(c.group.Campaigns) == 0 || slices.ContainsFunc(c.group.Campaigns, func(have string) bool {
		return strings.EqualFold(have, campaign)
	})
}

// allowedList tells whether a list is one of the group's campaigns.
func (c *call) allowedList(id uint64) bool {
	l, ok := c.d.list(id)
	return ok && c.mayUse(l.Campaign)
}
