package dialersim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// minNANPA is how many rows of NANPA data VICIdial takes for "loaded".
const minNANPA = 10

// acceptPhone makes the checks that add_lead and check_phone_number share, and
// says what is wrong.
func (c *call) acceptPhone(phone string) bool {
	refuse := func(reason string) bool {
		c.say("ERROR: ", c.function, " ", reason, " - ", phone, "|", c.userName)
		return false
	}
	nanpa := c.yes("nanpa_ac_prefix_check")
	if loaded := len(c.set.NANPA); loaded < minNANPA && (nanpa || c.param("tz_method", dashedWord) == "NANPA") {
		if !c.say("NOTICE: ", c.function, " NANPA options disabled, NANPA prefix data not loaded - ",
			strconv.Itoa(loaded), "|", c.userName) {
			return false
		}
		nanpa = false
	}
	switch {
	case len(phone) < 6 || len(phone) > 16:
		return refuse("INVALID PHONE NUMBER LENGTH")
	case c.yes("usacan_prefix_check") && phone[3] < '2':
		return refuse("INVALID PHONE NUMBER PREFIX")
	case c.yes("usacan_areacode_check") && !knownArea(phone):
		return refuse("INVALID PHONE NUMBER AREACODE")
	case nanpa && !slices.Contains(c.set.NANPA, phone[:6]):
		return refuse("INVALID PHONE NUMBER NANPA AREACODE PREFIX")
	case c.onDNC("", c.param("dnc_check", upper), phone):
		return refuse("PHONE NUMBER IN DNC")
	}
	campaign := c.param("campaign_id", dashedWord)
	list := campaign
	if found, ok := c.d.campaign(campaign); ok && found.UseOtherDNC != "" {
		list = found.UseOtherDNC
	}
	if campaign != "" && c.onDNC(list, c.param("campaign_dnc_check", upper), phone) {
		c.say("ERROR: ", c.function, " PHONE NUMBER IN CAMPAIGN DNC - ", phone, "|", campaign, "|", c.userName)
		return false
	}
	return true
}

// onDNC asks the list of a campaign, "" for the internal one, as check says:
// Y for the number, AREACODE for its area code's entry too.
func (c *call) onDNC(campaign, check, phone string) bool {
	d := c.d
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch check {
	case "Y":
		return d.dnc[dncKey(campaign, phone)]
	case "AREACODE":
		return d.dnc[dncKey(campaign, phone)] || d.dnc[dncKey(campaign, phone[:3]+"XXXXXXX")]
	}
	return false
}

// scope is where a duplicate is looked for.
type scope struct{ word, text string }

var scopes = []scope{{"LIST", "IN LIST"}, {"CAMP", "IN CAMPAIGN LISTS"}, {"SYS", "IN SYSTEM"}}

// match is what counts as a duplicate.
type match struct {
	word, text string
	find       func(*call, *values) []Lead
}

var matches = []match{
	{"DUP", "PHONE NUMBER", samePhone},
	{"DUPPHONEALT", "PHONE NUMBER", samePhoneOrAlt},
	{"DUPTITLEALTPHONE", "TITLE ALT_PHONE", sameTitleAlt},
	{"DUPNAMEPHONE", "NAME PHONE", sameNamePhone},
}

// windows are the day windows there are; where several match the text, as 1
// and 21 do in 21DAY, the last wins.
var windows = []int{1, 2, 3, 7, 14, 15, 21, 28, 30, 60, 90, 180, 360}

// acceptUnique makes the duplicate checks that the request asks for, and says
// what is wrong. It reads without a lock on what add_lead then writes: it races,
// as the real one does.
func (c *call) acceptUnique(list string, v *values) bool {
	words := strings.ToUpper(c.param("duplicate_check", dashedWord))
	if !strings.Contains(words, "DUP") {
		return true
	}
	days := 0
	for _, n := range windows {
		if strings.Contains(words, strconv.Itoa(n)+"DAY") {
			days = n
		}
	}
	for _, m := range matches {
		for _, s := range scopes {
			if !strings.Contains(words, m.word+s.word) {
				continue
			}
			if found, ok := c.duplicate(m, s, list, days, v); !ok || found != nil {
				if found != nil {
					c.sayDuplicate(m, s, list, v, found)
				}
				return false
			}
		}
	}
	return true
}

// duplicate is the lead that a check finds, nil when none. False: the script ended.
func (c *call) duplicate(m match, s scope, list string, days int, v *values) (*Lead, bool) {
	if m.word == "DUPNAMEPHONE" && strings.Contains(v[colFirstName]+v[colLastName], "'") {
		return nil, c.failedQuery()
	}
	var lists map[uint64]bool
	switch s.word {
	case "LIST":
		lists = map[uint64]bool{number(list): true}
	case "CAMP":
		defined, ok := c.d.list(number(list))
		if !ok {
			return nil, c.failedQuery()
		}
		lists = c.d.listsOf(defined.Campaign)
	}
	found := slices.DeleteFunc(m.find(c, v), func(l Lead) bool {
		return lists != nil && !lists[l.ListID] ||
			days > 0 && !l.Entered.After(c.now.AddDate(0, 0, -days))
	})
	if len(found) == 0 {
		return nil, true
	}
	return &found[0], true
}

func (c *call) sayDuplicate(m match, s scope, list string, v *values, found *Lead) {
	phone, id := v[colPhone], strconv.FormatInt(found.ID, 10)
	data := []string{phone, list, id}
	switch m.word {
	case "DUPTITLEALTPHONE":
		data = []string{v[colTitle], v[colAltPhone], list, id}
	case "DUPNAMEPHONE":
		data = []string{v[colFirstName], v[colLastName], phone, list, id}
	}
	if s.word != "LIST" {
		data = append(data, strconv.FormatUint(found.ListID, 10))
	}
	if m.word == "DUPPHONEALT" {
		if at(found.packed, colPhone) == phone {
			data = append(data, "PHONE")
		} else {
			data = append(data, "ALT")
		}
	}
	c.say("ERROR: ", c.function, " DUPLICATE ", m.text, " ", s.text, " - ", strings.Join(data, "|"))
}

// samePhone is in the order of the index on phone_number and list_id, which
// decides which of several leads the database names.
func samePhone(c *call, v *values) []Lead {
	found := c.d.table.byPhone(v[colPhone])
	slices.SortFunc(found, func(a, b Lead) int { return cmp.Or(cmp.Compare(a.ListID, b.ListID), cmp.Compare(a.ID, b.ID)) })
	return found
}

func samePhoneOrAlt(c *call, v *values) []Lead {
	return c.d.table.scan(func(_ uint64, packed string) bool {
		return at(packed, colPhone) == v[colPhone] || at(packed, colAltPhone) == v[colPhone]
	})
}

func sameTitleAlt(c *call, v *values) []Lead {
	title, alt := stored(v[colTitle], c.set.UseNonLatin), stored(v[colAltPhone], c.set.UseNonLatin)
	return c.d.table.scan(func(_ uint64, packed string) bool {
		return strings.EqualFold(at(packed, colTitle), title) && strings.EqualFold(at(packed, colAltPhone), alt)
	})
}

func sameNamePhone(c *call, v *values) []Lead {
	first, last := stored(v[colFirstName], c.set.UseNonLatin), stored(v[colLastName], c.set.UseNonLatin)
	return slices.DeleteFunc(samePhone(c, v), func(l Lead) bool {
		return !strings.EqualFold(at(l.packed, colFirstName), first) || !strings.EqualFold(at(l.packed, colLastName), last)
	})
}
