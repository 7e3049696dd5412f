package registry

// LookupSQL is the broker's one question, for the test of its plan.
const LookupSQL = lookupSQL
