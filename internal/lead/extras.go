package lead

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Extras are what a lead brings beside the columns of the dialer's lead table.
type Extras struct {
	Custom    map[string]string `json:"custom,omitempty"`     // by the label of the list's custom field
	AltPhones []AltPhone        `json:"alt_phones,omitempty"` // in the order in which they are dialled
	Callback  *Callback         `json:"callback,omitempty"`
}

// AltPhone is a further number of a lead.
type AltPhone struct {
	Code   string `json:"code,omitempty"` // country calling code; before Clean it may be empty
	Number string `json:"number"`
	Note   string `json:"note,omitempty"`
}

// Callback is a call that somebody was promised.
type Callback struct {
	At       string `json:"at"`                 // YYYY-MM-DD HH:MM:SS in the dialer's own time, NOW, or a number of days as 3DAYS
	User     string `json:"user,omitempty"`     // the agent who shall call; empty: anyone
	Status   string `json:"status,omitempty"`   // which the lead gets when it is due; empty: the dialer's own
	Comments string `json:"comments,omitempty"` // for the agent
}

// What the dialer stores of extras, in characters. How much a custom field
// holds is its own business; this is what a request may sensibly carry.
const (
	maxCustom          = 5000
	maxAltNote         = 30
	maxCallbackUser    = 20
	maxCallbackComment = 255
)

// noteSigns are those of multi_alt_phones, but for the two that part its
// numbers and their pieces.
var noteSigns = signsOf(" -:")

// cleanExtras returns a lead's extras as they would be posted, nil when
// nothing is left of them. The lead's numbers are clean already.
func (r Rules) cleanExtras(l *Lead, c *changes) (*Extras, *Refusal) {
	if l.Extras == nil {
		return nil, nil
	}
	callback, refused := r.cleanCallback(l.Extras.Callback, c)
	if refused != nil {
		return nil, refused
	}
	out := Extras{Custom: r.cleanCustom(l.Extras.Custom, c), AltPhones: r.cleanAltPhones(l, c), Callback: callback}
	if out.Custom == nil && out.AltPhones == nil && out.Callback == nil {
		return nil, nil
	}
	return &out, nil
}

func (r Rules) cleanCustom(in map[string]string, c *changes) map[string]string {
	var out map[string]string
	for _, label := range slices.Sorted(maps.Keys(in)) {
		from := strings.TrimSpace(in[label])
		to, why := r.fit(from, &anySigns, maxCustom)
		if to != from {
			c.add("custom_fields."+label, from, to, why)
		}
		if to == "" {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(in))
		}
		out[label] = to
	}
	return out
}

// cleanAltPhones drops what is no number, and what repeats one.
func (r Rules) cleanAltPhones(l *Lead, c *changes) []AltPhone {
	var out []AltPhone
	known := map[string]bool{l.PhoneNumber: true}
	if l.AltPhone != "" {
		known[l.AltPhone] = true
	}
	for i, alt := range l.Extras.AltPhones {
		from := strings.TrimSpace(alt.Number)
		if from == "" {
			continue
		}
		field := "alt_phones[" + strconv.Itoa(i) + "]"
		code := alt.Code
		if code == "" {
			code = l.PhoneCode
		}
		found, refused := r.numbers(from, code)
		if refused != "" {
			c.add(field, from, "", "dropped: "+details[refused])
			continue
		}
		n := found.numbers[0]
		if known[n.national] {
			c.add(field, from, "", "dropped: the lead has this number already")
			continue
		}
		known[n.national] = true
		c.addNumber(field, from, n, found.whys)
		// The note is the feed's word for the number, not the vendor's text.
		note, _ := r.fit(strings.TrimSpace(alt.Note), &noteSigns, maxAltNote)
		out = append(out, AltPhone{Code: n.code, Number: n.national, Note: note})
	}
	return out
}

// cleanCallback refuses what the dialer would not understand: it stores such a
// lead on hold, where nobody ever calls it. Without a time there is no callback.
func (r Rules) cleanCallback(in *Callback, c *changes) (*Callback, *Refusal) {
	if in == nil || strings.TrimSpace(in.At) == "" {
		return nil, nil
	}
	out := *in
	from := strings.TrimSpace(in.At)
	at, why := r.moment(from)
	if at == "" {
		return nil, &Refusal{Reason: CallbackInvalid, Detail: "the callback's date and time " + why}
	}
	if at != from {
		c.add("callback.datetime", from, at, why)
	}
	out.At = at
	out.User = strings.TrimSpace(in.User)
	if len(out.User) > maxCallbackUser || strings.ContainsFunc(out.User, notInLogin) {
		return nil, &Refusal{Reason: CallbackInvalid, Detail: "the callback's user is not made of up to 20 letters, digits, - and _"}
	}
	from = strings.TrimSpace(in.Comments)
	if out.Comments, why = r.fit(from, &anySigns, maxCallbackComment); out.Comments != from {
		c.add("callback.comments", from, out.Comments, why)
	}
	return &out, nil
}

func notInLogin(c rune) bool {
	return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// clocks are the ways to write a time of day behind a date. Those with
// seconds drop a fraction.
var clocks = []string{"15:04:05", "15:04", "3:04:05 PM", "3:04 PM", "3:04PM", "3 PM", "3PM"}

// moment reads when a callback is due: a date as date of birth is read, with a
// time of day or from midnight on; NOW; or a number of days. Empty: it cannot
// be read, and why says what is wrong.
func (r Rules) moment(s string) (at, why string) {
	word := strings.ToUpper(s)
	if days, ok := strings.CutSuffix(word, "DAYS"); word == "NOW" || ok && allDigits(days) && len(days) <= 3 {
		return word, "written in capital letters"
	}
	date, clock, _ := strings.Cut(s, " ")
	if clock == "" {
		date, clock, _ = strings.Cut(s, "T")
	}
	day, why := r.date("callback.datetime", date)
	if day == "" {
		return "", "cannot be read (" + strings.TrimPrefix(why, "dropped: ") + ")"
	}
	clock = strings.ToUpper(strings.TrimSpace(clock))
	if clock == "" {
		return day + " 00:00:00", why + "; due from midnight on, without a time of day"
	}
	for _, layout := range clocks {
		if t, err := time.Parse(layout, clock); err == nil {
			return day + " " + t.Format(time.TimeOnly), why + "; the time of day written as HH:MM:SS"
		}
	}
	return "", "cannot be read (no time of day, or one with a time zone, which only the dialer knows)"
}
