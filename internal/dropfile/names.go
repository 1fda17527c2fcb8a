package dropfile

// knownName tells a header that many vendors use, a number behind it or not.
func knownName(header string) bool {
	if len(header) > 40 {
		return false
	}
	name := plain(header)
	return entryOf[name] != "" || entryOf[stem(name)] != ""
}

// knownNames counts a record's cells that are usual headers.
func knownNames(cells []string) int {
	n := 0
	for _, c := range cells {
		if knownName(c) {
			n++
		}
	}
	return n
}
