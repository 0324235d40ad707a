package shadow

import "errors"

// filePatch is all that is changed in one file.
type filePatch struct {
	file  string // net/http/server.go; of a module's package, the base name
	steps []step
}

// step is one change, which finds its place by itself or fails.
type step struct {
	where string // the function or type
	what  string // the statement
	text  string // what is put there
	apply func(s *source, p step) error
}

// apply returns the patched text of s. All mismatches are reported, not the
// first only.
func (p filePatch) apply(s *source) ([]byte, error) {
	var errs []error
	for _, st := range p.steps {
		if err := st.apply(s, st); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s.result()
}

// before puts text in front of a statement of a function.
func before(signature, statement, text string) step {
	return step{signature, statement, text, func(s *source, p step) error {
		st, err := s.statement(p.where, p.what)
		if err == nil {
			s.insert(st.Pos(), p.text+"; ")
		}
		return err
	}}
}

// instead puts text in place of a statement of a function.
func instead(signature, statement, text string) step {
	return step{signature, statement, text, func(s *source, p step) error {
		st, err := s.statement(p.where, p.what)
		if err == nil {
			s.replace(st, p.text)
		}
		return err
	}}
}

// atStart puts text in front of the first statement of a function.
func atStart(signature, text string) step {
	return step{signature, "", text, func(s *source, p step) error {
		f, err := s.function(p.where)
		if err == nil {
			s.insert(f.Body.Lbrace+1, " "+p.text+";")
		}
		return err
	}}
}

// renamed gives a function another name. A file that is added has a function of
// the old name, which calls it.
func renamed(signature, to string) step {
	return step{signature, "", to, func(s *source, p step) error {
		f, err := s.function(p.where)
		if err == nil {
			s.replace(f.Name, p.text)
		}
		return err
	}}
}

// field adds a field at the end of a struct.
func field(name, text string) step {
	return step{name, "", text, func(s *source, p step) error {
		st, err := s.structType(p.where)
		if err == nil {
			// On the line of the last field, which may have a comment behind it.
			s.insert(st.Fields.List[len(st.Fields.List)-1].End(), "; "+p.text)
		}
		return err
	}}
}
