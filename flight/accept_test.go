package flight

import "testing"

func TestNegotiate(t *testing.T) {
	all := []string{typeText, typeJSON, typeHTML}
	tests := []struct {
		accept string
		offers []string
		want   string
	}{
		{"", all, typeText},
		{"*/*", all, typeText}, // curl
		{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", all, typeHTML},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", all[:2], typeText}, // while there is no HTML
		{"application/json", all, typeJSON},
		{"application/json, text/plain, */*", all, typeText}, // equally well: the first
		{"application/json;q=1, text/plain;q=0.5", all, typeJSON},
		{"text/*", all, typeText},
		{"text/*;q=0.5, text/html", all, typeHTML},
		{"text/*, text/plain;q=0.1", all, typeHTML}, // the more specific range counts
		{"*/*, text/plain;q=0", all, typeJSON},
		{"APPLICATION/JSON", all, typeJSON},
		{"application/*", all, typeJSON},
		{"image/png", all, ""},
		{"text/plain;q=0", all, ""},
		{"application/json;q=2", all, ""},
		{";;;, application/json", all, typeJSON},
		{"a/b/c", all, ""},
	}
	for _, tt := range tests {
		if got := negotiate([]string{tt.accept}, tt.offers); got != tt.want {
			t.Errorf("negotiate(%q, %q) = %q, want %q", tt.accept, tt.offers, got, tt.want)
		}
	}
	if got := negotiate([]string{"text/html;q=0.1", "application/json"}, all); got != typeJSON {
		t.Errorf("two header fields: %q, want %q", got, typeJSON)
	}
}
