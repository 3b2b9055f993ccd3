"""The quality network of the universal fuser: training and judging it."""
