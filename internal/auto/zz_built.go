package auto

// built says what the program was built with. "clew go" puts another file in
// place of this one.
const built = ""
