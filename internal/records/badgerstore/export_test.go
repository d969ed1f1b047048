package badgerstore

// SetMinFree changes how many bytes of the disk must stay free.
func SetMinFree(s *Store, n int64) { s.opts.MinFree = n }
