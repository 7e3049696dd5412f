package admin

// Page is what all lists take. It is exported for huma, which skips embedded
// structs that are not.
type Page struct {
	Cursor string `query:"cursor" maxLength:"100" doc:"The field next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most rows to answer"`
}

// cut takes off the row that was asked for beyond the page, which is there when
// another page follows.
func cut[T any](rows []T, limit int) (page []T, more bool) {
	if len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}
