"""Degradations: poor images made from good ones, for training, protocols and the checks of 8-bit forms."""
