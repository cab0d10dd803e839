// Package row makes calls one after the other. A comment "row:" stands at the last
// of them and says what is known: the kind of loop, whether one feeds another, and
// whether all give something; "calls" before it is the number of lines above it
// at which the others stand.
package row

import "errors"

type user struct {
	ID, Name string
	Active   bool
}

type store struct{ cache map[string]user }

func (s *store) user(id string) (user, error)         { return user{ID: id}, nil }
func (s *store) cart(id string) (int, error)          { return len(id), nil }
func (s *store) page(n int) (list []string, next int) { return nil, n + 1 }
func (s *store) load(id string, into *user) error     { return nil }
func (s *store) touch(id string) error                { return errors.New(id) }

func items(s *store, ids []string) (list []user) {
	for _, id := range ids {
		u, err := s.user(id) // row: items - values
		if err != nil {
			return nil
		}
		list = append(list, u)
	}
	return list
}

func appended(s *store, ids []string) (list []int) {
	for _, id := range ids {
		list = append(list, first(s.cart(id))) // row: items - values
	}
	return list
}

func first(n int, _ error) int { return n }

func counted(s *store, ids []string) {
	all := make([]user, len(ids))
	for i := 0; i < len(ids); i++ {
		s.load(ids[i], &all[i]) // row: items - values
	}
}

func intoAField(s *store, ids []string) {
	for _, id := range ids {
		u, _ := s.user(id) // row: items - values
		s.cache[id] = u
	}
}

func pages(s *store) (all []string) {
	next := 1
	for next != 0 {
		var list []string
		list, next = s.page(next) // row: open feeds values
		all = append(all, list...)
	}
	return all
}

func search(s *store, ids []string) string {
	for _, id := range ids {
		u, err := s.user(id) // row: items feeds values
		if err == nil && u.Active {
			return id
		}
	}
	return ""
}

func chained(s *store, ids []string) {
	last := ""
	for range ids {
		u, _ := s.user(last) // row: items feeds values
		last = u.Name
	}
}

func queue(s *store, jobs chan string) {
	for id := range jobs {
		s.user(id) // row: queue - -
	}
}

func queueBySelect(s *store, jobs chan string, done chan bool) {
	for {
		select {
		case <-done:
			return
		case id := <-jobs:
			s.cart(id) // row: queue - -
		}
	}
}

func effects(s *store, ids []string) {
	for _, id := range ids {
		if err := s.touch(id); err != nil { // row: items - -
			return
		}
	}
}

func two(s *store, id string) (user, int, error) {
	u, err := s.user(id)
	if err != nil {
		return u, 0, err
	}
	n, err := s.cart(id) // row: none - values calls 4
	return u, n, err
}

func dependent(s *store, id string) (int, error) {
	u, err := s.user(id)
	if err != nil {
		return 0, err
	}
	name := u.Name
	n, err := s.cart(name) // row: none feeds values calls 5
	return n, err
}

func decides(s *store, id string) int {
	u, _ := s.user(id)
	if !u.Active {
		return 0
	}
	n, _ := s.cart(id) // row: none feeds values calls 4
	return n
}

func onlyIf(s *store, id string) (n int) {
	u, _ := s.user(id)
	if u.Active {
		n, _ = s.cart(id) // row: none feeds values calls 2
	}
	return n
}

func filled(s *store, id string) (user, int) {
	var u user
	if s.load(id, &u) != nil {
		return u, 0
	}
	n, _ := s.cart(u.ID) // row: none feeds values calls 3
	return u, n
}

func order(s *store, id string) error {
	err := s.touch(id)
	if err != nil {
		return err
	}
	_, err = s.user(id) // row: none - - calls 4
	return err
}

func inALiteral(s *store, ids []string) {
	for range ids {
		func() {
			s.user(ids[0]) // row: none - -
		}()
	}
}

func get[T any](s *store, id string) (v T, err error) { return v, nil }

func generic(s *store, ids []string) (list []user) {
	for i := range ids {
		u, err := get[user](s, ids[i]) // row: items - values
		if err != nil {
			return nil
		}
		list = append(list, u)
	}
	return list
}

type leaf struct {
	Items []int
	Next  string
}

func (s *store) open(id string) ([]byte, error) { return nil, nil }
func decode(b []byte, into any) error           { return nil }

func decodedPages(s *store) (all []int) {
	for next := "p0"; next != ""; {
		b, err := s.open(next) // row: open feeds values
		if err != nil {
			return nil
		}
		var p leaf
		if err := decode(b, &p); err != nil {
			return nil
		}
		all = append(all, p.Items...)
		next = p.Next
	}
	return all
}

func decodedItems(s *store, ids []string) {
	all := make([]leaf, len(ids))
	for i, id := range ids {
		b, err := s.open(id) // row: items - values
		if err != nil {
			return
		}
		if err := decode(b, &all[i]); err != nil {
			return
		}
	}
}

type line struct {
	SKU  string
	Page leaf
}

func otherField(s *store, lines []line) {
	for i := range lines {
		b, err := s.open(lines[i].SKU) // row: items - values
		if err != nil {
			return
		}
		if err := decode(b, &lines[i].Page); err != nil {
			return
		}
	}
}

func sameField(s *store, lines []line) {
	for i := 1; i < len(lines); i++ {
		b, err := s.open(lines[i-1].SKU) // row: items feeds values
		if err != nil {
			return
		}
		lines[i].SKU = string(b)
	}
}
