package auto

// built says what the program was built with. "clew go" puts another file in
// place of this one. It is a variable because a constant would not be in the
// executable, where "clew doctor -binary" looks for it.
var built = ""
