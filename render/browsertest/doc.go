// Package browsertest opens HTML reports in a browser. It is a module of its own,
// so that what drives the browser is not among the dependencies of tracedoc.
//
//	go test .                        # skipped where there is no Chromium or Chrome
//	go test . -need-browser          # fails there instead
//	go test . -run Pictures -args -pictures ../../docs
package browsertest
