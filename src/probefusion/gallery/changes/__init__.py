"""One change of a gallery: what it edits, what it erases, and how it is taken back."""
