"""One base in memory, any adapter per request."""
