// Package poll is the floor under the event loops: an edge-triggered epoll
// with a wake-up, the hand-over of a descriptor from Go's own poller, and TLS
// that can change from a blocking connection to a loop's descriptor.
//
// A Poller and the descriptors added to it belong to one loop; only Wake may
// be called from another goroutine. Read and write never block and never
// allocate. Read poller.go, then descriptor.go, then tls.go.
package poll
