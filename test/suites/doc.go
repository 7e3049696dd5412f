// Package suites runs the test suites of drivers, as their authors publish them,
// twice: against PostgreSQL, and through a broker in pool mode auto. Each of
// their tests has to end in the same way, or stands with its reason in
// testdata/differences. What docs/compatibility.md says of drivers comes from
// here.
//
// `make test-suites` runs them; without its flag every test here is skipped, for
// they fetch packages and take minutes.
//
// The order to read the files in:
//
//	main_test.go         one `dermaga dev` for all suites
//	road_test.go         a suite's tenant, the copy of its database, two addresses
//	compare_test.go      what the two runs had to say, and the committed list
//	list_test.go         that list
//	program_test.go      running a suite in bounded time
//	install_test.go      npm's and pip's packages, pinned, kept between runs
//	pgx_test.go          … and one file per suite
//
// A list in testdata/differences has every test that did not pass both ways: the
// result against PostgreSQL, the result through the broker, the test. The comment
// above a group of them is the reason for all of the group.
package suites
