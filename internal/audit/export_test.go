package audit

// HoldAtMost sets how many files wait, at most, for what later receipts say.
func (q *Inquiry) HoldAtMost(files int) { q.most = files }
