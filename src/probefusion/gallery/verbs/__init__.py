"""What a gallery can do; `Gallery` joins these."""
