package login

import "net/http"

// Callback reads a request of a browser; right says whether it belongs to the
// flow.
func (f *Flow) Callback(req *http.Request) (code string, right bool, err error) {
	query, right := f.comesBack(req)
	if right {
		code, err = f.code(query)
	}
	return code, right, err
}
