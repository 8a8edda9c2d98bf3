"""What lies on disk: the cache, the meta data of exports, the tensors of graphs."""
