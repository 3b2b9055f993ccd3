"""What stands before every request: keys, rates, limits, patience, headers, and the log of accesses."""
