// Package pgtest gives tests a real PostgreSQL: one private cluster per test
// process, started when the first test asks, and an empty database for each
// test that wants one.
//
// A test package that uses it hands its TestMain over:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// Without that, nobody stops the cluster before the process ends (the kernel
// does then), and Main's search for leaked goroutines is missing.
//
// DERMAGA_TEST_POSTGRES_BIN names the folder of another PostgreSQL than the one
// installed, to run the tests against another version.
package pgtest
