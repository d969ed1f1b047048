package intake

// Remembered returns how many sources' budgets and blocks are remembered.
func (g *Gate) Remembered() (budgets, blocks int) {
	return len(g.budgets.bySource), len(g.blocks.until)
}
