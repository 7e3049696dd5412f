package broker

// Directory lets tests stand in for the registry.
type Directory = directory

// Start is New over any directory.
func Start(cfg Config, dir Directory) (*Broker, error) { return start(cfg, dir) }

// MaxVisits is how many clients the console may have.
const MaxVisits = maxVisits

// Census lets tests see who is counted.
func (b *Broker) Census() (tenants, logins map[string]int, keys int) {
	b.census.mu.Lock()
	defer b.census.mu.Unlock()
	b.keys.mu.Lock()
	defer b.keys.mu.Unlock()
	tenants, logins = map[string]int{}, map[string]int{}
	for k, n := range b.census.tenants {
		tenants[k] = n
	}
	for k, n := range b.census.logins {
		logins[k] = n
	}
	return tenants, logins, len(b.keys.owners)
}
