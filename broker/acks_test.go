package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// ledger is acks whose tellings are kept.
func ledger(heard ...int64) (*acks, *[]int64) {
	told := &[]int64{}
	a := &acks{tell: func(change int64) { *told = append(*told, change) }}
	for _, change := range heard {
		a.hear(change)
	}
	return a, told
}

func TestChangesAreAcknowledgedInOrder(t *testing.T) {
	a, told := ledger(1, 2)
	first := a.begin([]int64{1})
	happened := a.expect(first)
	a.end(first)
	a.end(a.begin([]int64{2}))
	require.Empty(t, *told, "a client of the first is still there")
	happened()
	happened()
	require.Equal(t, []int64{2}, *told)
}

// A transaction that took its number early may commit late.
func TestSmallerChangeThatComesLateHoldsUpTheGreater(t *testing.T) {
	a, told := ledger(5)
	five := a.begin([]int64{5})
	a.hear(4)
	a.end(five)
	require.Equal(t, []int64{3}, *told)
	a.end(a.begin([]int64{4}))
	require.Equal(t, []int64{3, 5}, *told)
}

func TestWithdrawnChangesStayUnacknowledged(t *testing.T) {
	a, told := ledger(1)
	batch := a.begin([]int64{1})
	a.withdraw(batch)
	a.end(batch)
	require.Empty(t, *told)
	a.end(a.begin([]int64{1}))
	require.Equal(t, []int64{1}, *told)
}
