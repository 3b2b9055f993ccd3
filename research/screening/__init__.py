"""Experiments with what judges sets of images: thresholds, trust."""
