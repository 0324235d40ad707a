package doctor

import "testing"

func TestRepeatedCredentialsAreMasked(t *testing.T) {
	var s send
	s.Headers = map[string]string{"Authorization": "Bearer s3cr3t", "Api-Key": "k3yk3y"}
	if got, want := s.masked("no s3cr3t,\n\x1b[31m k3yk3y"), `no ******, \x1b[31m ******`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
