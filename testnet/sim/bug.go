package sim

// Bug is a fault planted into the code around the core or into the core itself.
type Bug struct{ Name string }
