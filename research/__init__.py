"""Research beside the product: what made the shipped weights, and what they were compared with."""
