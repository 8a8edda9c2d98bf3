"""Forms of a network that compute the same with other operations."""
