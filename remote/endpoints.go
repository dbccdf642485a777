package remote

// StaticEndpoints are engines that stay the same.
type StaticEndpoints []RemoteEngine

// Engines implements RemoteEndpoints.
func (e StaticEndpoints) Engines() []RemoteEngine { return e }
