"""Experiments with what judges sets of images and pairs of them: strangers among a person's images, thresholds."""
