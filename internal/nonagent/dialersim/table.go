package dialersim

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The text columns of vicidial_list, in the order of lead_all_info's answer,
// which has list_id, last_local_call_time and lead_id between and behind them.
const (
	colStatus = iota
	colUser
	colVendorLeadCode
	colSourceID
	colGMT
	colPhoneCode
	colPhone
	colTitle
	colFirstName
	colMiddleInitial
	colLastName
	colAddress1
	colAddress2
	colAddress3
	colCity
	colState
	colProvince
	colPostalCode
	colCountryCode
	colGender
	colBirth
	colAltPhone
	colEmail
	colSecurityPhrase
	colComments
	colCalledCount
	colRank
	colOwner
	colEntryList
	columnCount
)

var columnNames = [columnCount]string{
	"status", "user", "vendor_lead_code", "source_id", "gmt_offset_now", "phone_code", "phone_number", "title",
	"first_name", "middle_initial", "last_name", "address1", "address2", "address3", "city", "state", "province",
	"postal_code", "country_code", "gender", "date_of_birth", "alt_phone", "email", "security_phrase", "comments",
	"called_count", "rank", "owner", "entry_list_id",
}

var columnIndex = func() map[string]int {
	index := map[string]int{}
	for i, name := range columnNames {
		index[name] = i
	}
	return index
}()

// dateTime is how VICIdial writes a moment.
const dateTime = "2006-01-02 15:04:05"

// values is a lead's text columns while they are worked on.
type values [columnCount]string

// Lead is one row of vicidial_list. Its text columns are packed into one
// string, so that a million leads and their log fit into about 300 MB.
type Lead struct {
	ID      int64
	ListID  uint64
	Entered time.Time
	packed  string
}

// Get returns a column by its name in vicidial_list; an unknown one is empty.
func (l Lead) Get(column string) string {
	switch column {
	case "lead_id":
		return strconv.FormatInt(l.ID, 10)
	case "list_id":
		return strconv.FormatUint(l.ListID, 10)
	case "entry_date", "last_local_call_time":
		return l.Entered.Format(dateTime)
	}
	if i, ok := columnIndex[column]; ok {
		return at(l.packed, i)
	}
	return ""
}

// Insert is one executed INSERT of a request.
type Insert struct {
	LeadID         int64     `json:"lead_id"`
	ListID         uint64    `json:"list_id"`
	Phone          string    `json:"phone_number"`
	VendorLeadCode string    `json:"vendor_lead_code"`
	SourceID       string    `json:"source_id"`
	SecurityPhrase string    `json:"security_phrase"`
	Time           time.Time `json:"time"`
}

// record is a lead in the table.
type record struct {
	id      int64
	list    uint64
	entered int64 // UnixNano
	packed  string
	older   int32 // the next older record of the same number, -1 when none
	deleted bool
}

// table is vicidial_list: the write lock of its own (turnstile) that requests
// may wait for, and under it the data.
type table struct {
	turnstile

	data    sync.RWMutex
	records []record // by ascending id
	log     []record // the executed INSERTs
	newest  map[uint64]int32
	nextID  int64
	live    int
	zone    *time.Location
}

func newTable() table {
	return table{newest: map[uint64]int32{}, nextID: 1, zone: time.Local}
}

var phoneSeed = maphash.MakeSeed()

// phoneKey is equal for numbers that PHP's == holds for equal: as integers.
func phoneKey(phone string) uint64 {
	n, err := strconv.ParseUint(phone, 10, 63)
	if err != nil {
		return maphash.String(phoneSeed, phone) | 1<<63
	}
	return n
}

// number reads a BIGINT UNSIGNED as MariaDB does without strict mode.
func number(digits string) uint64 {
	n, _ := strconv.ParseUint(digits, 10, 64) // too large: the largest; no number: 0
	return n
}

// insert stores a new lead. The caller holds the turn.
func (t *table) insert(list uint64, entered time.Time, v *values, byRequest bool) int64 {
	packed := pack(v)
	key := phoneKey(v[colPhone])
	t.data.Lock()
	defer t.data.Unlock()
	r := record{id: t.nextID, list: list, entered: entered.UnixNano(), packed: packed, older: -1}
	if i, ok := t.newest[key]; ok {
		r.older = i
	}
	t.newest[key] = int32(len(t.records))
	t.records = append(t.records, r)
	t.zone = entered.Location()
	t.nextID++
	t.live++
	if byRequest {
		t.log = append(t.log, r)
	}
	return r.id
}

// update stores changed columns of a lead; its number cannot change. Returns
// false when the lead has gone meanwhile or nothing differs. The caller holds
// the turn.
func (t *table) update(id int64, list uint64, v *values) bool {
	packed := pack(v)
	t.data.Lock()
	defer t.data.Unlock()
	i, ok := t.find(id)
	if !ok || (t.records[i].packed == packed && t.records[i].list == list) {
		return false
	}
	t.records[i].packed, t.records[i].list = packed, list
	return true
}

// remove deletes a lead. The caller holds the turn.
func (t *table) remove(id int64) bool {
	t.data.Lock()
	defer t.data.Unlock()
	i, ok := t.find(id)
	if ok {
		t.records[i].deleted = true
		t.records[i].packed = ""
		t.live--
	}
	return ok
}

// find is the place of a live record. The caller holds data.
func (t *table) find(id int64) (int, bool) {
	i, ok := slices.BinarySearchFunc(t.records, id, func(r record, id int64) int { return cmp.Compare(r.id, id) })
	return i, ok && !t.records[i].deleted
}

func (t *table) open(r *record) Lead {
	return Lead{ID: r.id, ListID: r.list, Entered: time.Unix(0, r.entered).In(t.zone), packed: r.packed}
}

func (t *table) lead(id int64) (Lead, bool) {
	t.data.RLock()
	defer t.data.RUnlock()
	i, ok := t.find(id)
	if !ok {
		return Lead{}, false
	}
	return t.open(&t.records[i]), true
}

// byPhone is the leads of exactly this number, newest first.
func (t *table) byPhone(phone string) []Lead {
	t.data.RLock()
	defer t.data.RUnlock()
	i, ok := t.newest[phoneKey(phone)]
	if !ok {
		return nil
	}
	var found []Lead
	for ; i >= 0; i = t.records[i].older {
		if r := &t.records[i]; !r.deleted && at(r.packed, colPhone) == phone {
			found = append(found, t.open(r))
		}
	}
	return found
}

// scan is the leads that match, by ascending id: a full table scan.
func (t *table) scan(match func(list uint64, packed string) bool) []Lead {
	t.data.RLock()
	defer t.data.RUnlock()
	var found []Lead
	for i := range t.records {
		if r := &t.records[i]; !r.deleted && match(r.list, r.packed) {
			found = append(found, t.open(r))
		}
	}
	return found
}

// count is the number of a list's leads, and of those with the status NEW.
func (t *table) count(list uint64) (all, fresh int) {
	t.data.RLock()
	defer t.data.RUnlock()
	for i := range t.records {
		if r := &t.records[i]; !r.deleted && r.list == list {
			all++
			if at(r.packed, colStatus) == "NEW" {
				fresh++
			}
		}
	}
	return all, fresh
}

func (t *table) leads() []Lead {
	return t.scan(func(uint64, string) bool { return true })
}

func (t *table) len() int {
	t.data.RLock()
	defer t.data.RUnlock()
	return t.live
}

func (t *table) inserted() int {
	t.data.RLock()
	defer t.data.RUnlock()
	return len(t.log)
}

func (t *table) setNext(id int64) {
	t.data.Lock()
	defer t.data.Unlock()
	t.nextID = max(t.nextID, id)
}

func (t *table) inserts() []Insert {
	t.data.RLock()
	defer t.data.RUnlock()
	all := make([]Insert, len(t.log))
	for i := range t.log {
		r := &t.log[i]
		all[i] = Insert{
			LeadID:         r.id,
			ListID:         r.list,
			Phone:          at(r.packed, colPhone),
			VendorLeadCode: at(r.packed, colVendorLeadCode),
			SourceID:       at(r.packed, colSourceID),
			SecurityPhrase: at(r.packed, colSecurityPhrase),
			Time:           time.Unix(0, r.entered).In(t.zone),
		}
	}
	return all
}

// pack writes every column with its length in front.
func pack(v *values) string {
	size := 0
	for _, s := range v {
		size += len(s) + 2
	}
	var b strings.Builder
	b.Grow(size)
	var length [binary.MaxVarintLen64]byte
	for _, s := range v {
		b.Write(length[:binary.PutUvarint(length[:], uint64(len(s)))])
		b.WriteString(s)
	}
	return b.String()
}

// at is one column of a packed lead.
func at(packed string, column int) string {
	for {
		length, shift := 0, 0
		for {
			c := packed[0]
			packed = packed[1:]
			length |= int(c&0x7f) << shift
			if c < 0x80 {
				break
			}
			shift += 7
		}
		if column == 0 {
			return packed[:length]
		}
		packed = packed[length:]
		column--
	}
}

func unpack(packed string) values {
	var v values
	for i := range v {
		v[i] = at(packed, i)
	}
	return v
}
