"""Fusers that hold on real poor faces: variants of several families, weights learned again, judged on films."""
