package archive

// HastenGroup has the index put what waits into the store with the next block.
func (a *Archive) HastenGroup() { a.chain.Load().index.base -= groupBlocks }

// ForgetDurable has the next block say that nothing before it is known to be durable.
func (a *Archive) ForgetDurable() { a.durable.Store(0) }
