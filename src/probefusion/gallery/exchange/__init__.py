"""Galleries given out as files or as plain numbers in SQL, and taken in."""
